# SPDX-License-Identifier: MIT
"""The real az without most of its start: a process that has loaded what az loads forks for each call of a small ``az``.

``python forked_az.py SOCKET`` serves; ``python forked_az.py SOCKET WORDS…`` is a call: it hands over its words, its
environment, its folder and its three streams, and exits as az has. A call may have any environment: az itself, which
reads it while it is loaded, is loaded for each. With ``SOCKET --one-environment`` az is loaded, too, as for the server.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a call needs as little as possible, since there are a thousand
    from collections.abc import Iterator
    from pathlib import Path

STREAMS = (0, 1, 2)
LENGTH = 4  # bytes that say how long the call is
ONE = "--one-environment"
# what it loads on its way to a registry that is not there is all that any import needs
AN_IMPORT = ["acr", "import", "--name", "localhost:9", "--source", "localhost:9/x:1"]
OF_AZ_ITSELF = ("azure.cli", "azext_")


def call(path: str, words: list[str]) -> int:
    """The exit code."""
    told = json.dumps({"words": words, "environment": dict(os.environ), "folder": os.getcwd()}).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [len(told).to_bytes(LENGTH, "big")], STREAMS)
        connection.sendall(told)
        return int(connection.makefile().readline() or 1)


def serve(path: str, *, one_environment: bool) -> None:
    """Until SIGTERM."""
    if one_environment:
        load_az()
    else:
        load_what_az_loads()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                be_az(connection)
            connection.close()


def load_az() -> None:
    """With its commands, and what an import loads."""
    import importlib
    import io

    from azure.cli.core import get_default_cli

    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        get_default_cli().invoke(["acr", "import", "--help"])
    for name in ("azext_acrimport.engine", "azext_acrimport.imports.many", "azure.cli.core.auth.identity", "yaml"):
        importlib.import_module(name)


def load_what_az_loads() -> None:
    """All but az itself, and extensions."""
    import importlib
    import re
    import subprocess

    words = [sys.executable, "-X", "importtime", "-m", "azure.cli", *AN_IMPORT]
    told = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True).stderr
    for name in re.findall(r"^import time:.*\| +([\w.]+)$", told, re.MULTILINE):
        if not name.startswith(OF_AZ_ITSELF):
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def be_az(connection: socket.socket) -> None:
    """In a process of its own, that waits for another one: that one is az, from its first line to its own end."""
    import runpy

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, streams, _, _ = socket.recv_fds(connection, LENGTH, len(STREAMS))
    told = json.loads(connection.makefile("rb").read(int.from_bytes(head, "big")))
    child = os.fork()
    if child:
        for stream in streams:
            os.close(stream)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with contextlib.suppress(OSError):  # whoever called may be gone
            connection.sendall(f"{code}\n".encode())
        os._exit(0)
    connection.close()
    for stream, here in zip(streams, STREAMS, strict=True):
        os.dup2(stream, here)
        os.close(stream)
    os.environ.clear()
    os.environ.update({"AZ_INSTALLER": "PIP", **told["environment"]})
    os.chdir(told["folder"])
    sys.path[0], sys.argv = told["folder"], ["az", *told["words"]]
    runpy.run_module("azure.cli", run_name="__main__", alter_sys=True)
    sys.exit()


_servers: list[str] = []


def command() -> list[str] | None:
    """What comes before the words of a call; None while nothing serves in this process (see ``for_all_calls``)."""
    return [sys.executable, "-SE", __file__, _servers[-1]] if _servers else None


@contextlib.contextmanager
def serving(folder: Path, environment: dict[str, str], *words: str) -> Iterator[str]:
    """A server, as long as this lasts; its socket. ``words``: as on its command line."""
    import subprocess

    path = str(folder / "az.socket")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, __file__, path, *words], env=environment, cwd=folder, stdout=pipe) as server:
        assert server.stdout
        assert server.stdout.readline() == b"ready\n"
        try:
            yield path
        finally:
            server.terminate()


@contextlib.contextmanager
def for_all_calls(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """``command`` names a server from now on."""
    with serving(folder, environment) as path:
        _servers.append(path)
        yield
        _servers.remove(path)


if __name__ == "__main__":
    if sys.argv[2:] not in ([], [ONE]):
        sys.exit(call(sys.argv[1], sys.argv[2:]))
    serve(sys.argv[1], one_environment=ONE in sys.argv)
