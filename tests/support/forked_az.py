# SPDX-License-Identifier: MIT
"""The real az without most of its start: a process that has loaded what az loads forks for each call of a small ``az``.

``python forked_az.py SOCKET`` serves; ``python forked_az.py SOCKET WORDS…`` is a call: it hands over its words, its
environment, its folder and its three streams, and exits as az has. A call may have any environment: what az keeps of it
while it is loaded is put right, or az is loaded anew.
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
    from collections.abc import Iterator, Sequence
    from pathlib import Path

STREAMS = (0, 1, 2)
LENGTH = 4  # bytes that say how long the call is
# what it loads on its way to a registry that is not there is all that any import needs
AN_IMPORT = ["acr", "import", "--name", "localhost:9", "--source", "localhost:9/x:1"]
# and what others need besides
OF_OTHERS = ["azure.cli.core.auth.identity", "azext_acrimport.imports.many", "yaml"]
# what az reads while it is loaded: the first is a path that stands in a few of its modules
CONFIG = "AZURE_CONFIG_DIR"
OTHERS = ("AZURE_EXTENSION_DIR", "AZURE_EXTENSION_SYS_DIR", "AZURE_EXTENSION_DEV_SOURCES", "ARM_CLOUD_METADATA_URL")
OF_AZ_ITSELF = ("azure.cli", "azext_")


def call(
    path: str,
    words: list[str],
    environment: dict[str, str],
    folder: str,
    streams: Sequence[int],
    patience: float | None = None,
) -> int:
    """The exit code; TimeoutError when there is none after ``patience`` seconds."""
    told = json.dumps({"words": words, "environment": environment, "folder": folder}).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(patience)
        connection.connect(path)
        socket.send_fds(connection, [len(told).to_bytes(LENGTH, "big")], streams)
        connection.sendall(told)
        return int(connection.makefile().readline() or 1)


def serve(path: str) -> None:
    """Until SIGTERM."""
    import gc

    load_what_az_loads()
    gc.collect()
    gc.freeze()  # or the collector of each call looks through all of it, and copies the pages that it shares with us
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


def load_what_az_loads() -> None:
    """Modules, and nothing that they would do."""
    import importlib
    import re
    import subprocess

    words = [sys.executable, "-X", "importtime", "-m", "azure.cli", *AN_IMPORT]
    told = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True).stderr
    sys.path.append(f"{os.environ['AZURE_EXTENSION_DIR']}/acrimport")
    for name in [*re.findall(r"^import time:.*\| +([\w.]+)$", told, re.MULTILINE), *OF_OTHERS]:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    sys.path.pop()


def put_right(before: dict[str, str]) -> None:
    """What az's modules know of the environment that they were loaded in; all of az goes where that would not do."""
    of_az = [name for name in sys.modules if name.startswith(OF_AZ_ITSELF)]
    if any(before.get(name) != os.environ.get(name) for name in OTHERS) or CONFIG not in os.environ:
        for name in of_az:
            del sys.modules[name]
        return
    for known in [vars(sys.modules[name]) for name in of_az]:
        for name, value in known.items():
            if isinstance(value, str) and value.startswith(before[CONFIG]):
                known[name] = os.environ[CONFIG] + value.removeprefix(before[CONFIG])


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
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update({"AZ_INSTALLER": "PIP", **told["environment"]})
    put_right(before)
    os.chdir(told["folder"])
    sys.path[0], sys.argv = told["folder"], ["az", *told["words"]]
    runpy.run_module("azure.cli", run_name="__main__", alter_sys=True)
    sys.exit()


_servers: list[str] = []


def command() -> list[str] | None:
    """What comes before the words of a call; None while nothing serves in this process (see ``for_all_calls``)."""
    return [sys.executable, "-SE", __file__, _servers[-1]] if _servers else None


def run(words: tuple[str, ...], environment: dict[str, str], folder: str, stdin: str) -> tuple[int, str, str] | None:
    """The exit code and what it has said of a call without a process of its own here; None while nothing serves."""
    import tempfile

    if not _servers:
        return None
    with contextlib.ExitStack() as files:
        given, *said = (files.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for _ in STREAMS)
        given.write(stdin)
        given.seek(0)
        code = call(_servers[-1], list(words), environment, folder, [file.fileno() for file in (given, *said)], 100)
        for file in said:
            file.seek(0)
        return code, said[0].read(), said[1].read()


@contextlib.contextmanager
def for_all_calls(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """``command`` names a server, as long as this lasts."""
    import subprocess

    path, pipe = str(folder / "az.socket"), subprocess.PIPE
    with subprocess.Popen([sys.executable, __file__, path], env=environment, cwd=folder, stdout=pipe) as server:
        assert server.stdout
        assert server.stdout.readline() == b"ready\n"
        _servers.append(path)
        try:
            yield
        finally:
            _servers.remove(path)
            server.terminate()


if __name__ == "__main__":
    if sys.argv[2:]:
        sys.exit(call(sys.argv[1], sys.argv[2:], dict(os.environ), os.getcwd(), STREAMS))
    serve(sys.argv[1])
