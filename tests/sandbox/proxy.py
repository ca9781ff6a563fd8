# SPDX-License-Identifier: MIT
"""A CONNECT proxy that leads every name that it knows to the sandbox's own front, and all others nowhere."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable

BUFFER = 256 * 1024


class Proxy:
    """``knows(host, port)`` is the closed list; nothing ever leaves loopback.

    ``line``: bytes a second that all connections let through together, in both directions; None for as fast as it goes.
    """

    def __init__(self, front_port: int, knows: Callable[[str, int], bool], line: float | None = None) -> None:
        self._server = _Server(("127.0.0.1", 0), _Tunnel)
        self._server.front_port = front_port
        self._server.knows = knows
        self._server.line = Line(line) if line else None
        self.refused = self._server.refused
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the socket; tunnels end with their clients."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Line:
    """Who sends waits until what all have sent has had its time."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._free = 0.0

    def let_through(self, count: int) -> None:
        """Returns when so many bytes have passed."""
        with self._lock:
            self._free = max(self._free, time.monotonic()) + count / self._rate
            wait = self._free - time.monotonic()
        time.sleep(max(0.0, wait))


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128
    front_port: int
    knows: Callable[[str, int], bool]
    line: Line | None

    def __init__(self, *args: object) -> None:
        self.refused: list[str] = []
        super().__init__(*args)  # type: ignore[arg-type]


class _Tunnel(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        method, _, rest = self.rfile.readline(8192).decode("latin-1").partition(" ")
        while self.rfile.readline(8192).strip():
            pass
        host, _, port = rest.split(" ")[0].rpartition(":")
        if method != "CONNECT" or not port.isdigit() or not self.server.knows(host.lower(), int(port)):
            self.server.refused.append(rest.split(" ")[0])
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", self.server.front_port)) as front:
            front.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            line = self.server.line
            back = threading.Thread(target=_pump, args=(front, self.connection, line), daemon=True)
            back.start()
            _pump(self.connection, front, line)
            back.join()


def _pump(source: socket.socket, target: socket.socket, line: Line | None) -> None:
    """Until the source ends; then the target is told, so that both directions close."""
    with contextlib.suppress(OSError):
        while block := source.recv(BUFFER):
            if line:
                line.let_through(len(block))
            target.sendall(block)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
