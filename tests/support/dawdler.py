# SPDX-License-Identifier: MIT
"""Servers that answer a byte at a time, in each part of an answer."""

from __future__ import annotations

import contextlib
import socket
import threading


class Dawdler:
    """A raw server that answers with these bytes, one at a time, for as long as anybody waits.

    ``asked`` is set when somebody waits; ``over`` is for a test to set, when it has waited for too long.
    """

    def __init__(self, head: bytes, drop: bytes = b"x", pause: float = 0.02) -> None:
        self.head, self.drop, self.pause = head, drop, pause
        self.over, self.asked = threading.Event(), threading.Event()
        self.dropped = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Dawdler:
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while not self.over.is_set():
                connection, _ = self._server.accept()
                threading.Thread(target=self._dawdle, args=(connection,), daemon=True).start()

    def _dawdle(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if connection.recv(65536)[:1] == b"\x16":
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")  # it speaks no TLS
                return
            connection.sendall(self.head)
            self.asked.set()
            while not self.over.wait(self.pause):
                connection.sendall(self.drop)
                self.dropped += 1


LENGTH = b"Content-Length: 60000\r\n\r\n"
DAWDLERS = {
    "status line": (b"HTTP/1.1 ", b"2"),
    "headers": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "many headers": (b"HTTP/1.1 200 OK\r\n", b"X-Slow: x\r\n"),
    "manifest": (b"HTTP/1.1 200 OK\r\n" + LENGTH, b" "),
    "chunked manifest": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "error body": (b"HTTP/1.1 403 Forbidden\r\n" + LENGTH, b" "),
    "body of a redirect": (b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /v2/\r\n" + LENGTH, b" "),
    "body of a challenge": (b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="/t"\r\n' + LENGTH, b" "),
    "silence": (b"", b""),
}
