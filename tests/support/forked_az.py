# SPDX-License-Identifier: MIT
"""The real az for shell scripts, without its start: a process that has loaded it forks for each call of a small ``az``.

``python forked_az.py SOCKET`` serves; ``python forked_az.py SOCKET WORDS…`` is a call: it hands over its words, its
environment, its folder and its three streams, and exits as az would have.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import signal
import socket
import sys

STREAMS = (0, 1, 2)
LENGTH = 4  # bytes that say how long the call is


def call(path: str, words: list[str]) -> int:
    """The exit code."""
    told = json.dumps({"words": words, "environment": dict(os.environ), "folder": os.getcwd()}).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [len(told).to_bytes(LENGTH, "big")], STREAMS)
        connection.sendall(told)
        return int(connection.makefile().readline() or 1)


def serve(path: str) -> None:
    """Until SIGTERM. What takes the time is done before: az, its commands, and what an import loads."""
    from azure.cli.core import get_default_cli

    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        get_default_cli().invoke(["acr", "import", "--help"])
    for name in ("azext_acrimport.engine", "azext_acrimport.imports.many", "azure.cli.core.auth.identity", "yaml"):
        importlib.import_module(name)

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                code = 1
                try:
                    code = run(connection)
                finally:
                    os._exit(code)
            connection.close()


def run(connection: socket.socket) -> int:
    """In the forked process: be az, and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, streams, _, _ = socket.recv_fds(connection, LENGTH, len(STREAMS))
    told = json.loads(connection.makefile("rb").read(int.from_bytes(head, "big")))
    for stream, here in zip(streams, STREAMS, strict=True):
        os.dup2(stream, here)
        os.close(stream)
    os.environ.clear()
    os.environ.update(told["environment"])
    os.chdir(told["folder"])
    sys.argv = ["az", *told["words"]]

    from azure.cli.core import get_default_cli

    try:
        code = get_default_cli().invoke(told["words"])
    except SystemExit as end:
        code = end.code
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    connection.sendall(f"{int(code or 0)}\n".encode())
    return 0


if __name__ == "__main__":
    if sys.argv[2:]:
        sys.exit(call(sys.argv[1], sys.argv[2:]))
    serve(sys.argv[1])
