# SPDX-License-Identifier: MIT
"""A small threaded HTTP/1.1 server on loopback: requests in, responses out, bodies streamed. Standard library only.

Handlers are functions from Request to Response, so every stand-in can be put behind another one.
"""

from __future__ import annotations

import contextlib
import io
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

BLOCK = 1024 * 1024


class BodyReader:
    """The request's body, read once; knows Content-Length and chunked encoding."""

    def __init__(self, stream: Any, length: int, chunked: bool) -> None:
        self._stream = stream
        self._left = length
        self._chunked = chunked
        self.chunked = chunked
        self.count = 0

    def read(self, size: int = BLOCK) -> bytes:
        """At most ``size`` bytes; empty at the end. Raises ConnectionError when the client is gone."""
        if self._chunked and not self._left:
            self._left = int(self._stream.readline().split(b";")[0] or b"0", 16)
            if not self._left:
                self._stream.readline()
                self._chunked = False
        if not self._left:
            return b""
        block = self._stream.read(min(size, self._left))
        if not block:
            raise ConnectionError("the client went away in the middle of a body")
        self._left -= len(block)
        self.count += len(block)
        if self.chunked and not self._left:
            self._stream.readline()
        return block

    def read_all(self) -> bytes:
        """Everything."""
        return b"".join(iter(self.read, b""))


@dataclass
class Request:
    """``host`` without the default port; ``query`` as pairs in order."""

    method: str
    scheme: str
    host: str
    path: str
    query: list[tuple[str, str]]
    headers: Any
    body: BodyReader
    client: str = "127.0.0.1"
    # who asked, as far as a stand-in has found out; for the log
    subject: str = ""

    def param(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), default)

    def form(self) -> dict[str, str]:
        """The fields of a form body."""
        return dict(parse_qsl(self.body.read_all().decode(), keep_blank_values=True))


@dataclass
class Response:
    """``body``: bytes, or blocks whose total is ``length``. ``cut_after``: so many bytes the connection ends in its
    ``cut``: it is reset, or closed as if all had been said, or nothing more is said.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""
    length: int | None = None
    cut_after: int | None = None
    cut: Literal["reset", "end", "silence"] = "reset"

    @property
    def size(self) -> int:
        """Content-Length in bytes."""
        return len(self.body) if isinstance(self.body, bytes) else self.length or 0

    def blocks(self) -> Iterator[bytes]:
        """The body by blocks."""
        if isinstance(self.body, bytes):
            yield self.body
        else:
            yield from self.body


Handler = Callable[[Request], Response]


def call(
    handler: Handler,
    method: str,
    target: str,
    *,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    host: str = "localhost",
    expect: int | None = None,
) -> Response:
    """Ask a handler without a socket; the response's body is bytes."""
    parts = urlsplit(target)
    message = Message()
    for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
        message[name] = value
    query = parse_qsl(parts.query, keep_blank_values=True)
    reader = BodyReader(io.BytesIO(body), len(body), False)
    response = handler(Request(method, "https", host, parts.path, query, message, reader))
    response.body = b"".join(response.blocks())
    if expect is not None and response.status != expect:
        raise AssertionError(f"{method} {target}: {response.status} {response.body[:500]!r}, expected {expect}")
    return response


class Listener:
    """Serves a handler at 127.0.0.1 on a free port, or the one given, until ``stop``."""

    def __init__(
        self, handler: Handler, *, tls: ssl.SSLContext | None = None, port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        self._server = _Server((host, port), handler, tls)
        self.port: int = self._server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self.scheme = "https" if tls else "http"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the socket and every connection."""
        self._server.shutdown()
        self._server.server_close()
        self._server.close_connections()
        self._thread.join()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: Handler, tls: ssl.SSLContext | None) -> None:
        self.handle = handler
        self.tls = tls
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Exchange)

    def close_connections(self) -> None:
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may leave when they like; anything else is a fault of the sandbox and must be seen."""
        import sys
        import traceback

        if not isinstance(sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1], (OSError, ValueError)):
            traceback.print_exc()


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rbufsize = 256 * 1024
    wbufsize = 0
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        if self.server.tls:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.server.connections.add(self.request)
        super().setup()

    def finish(self) -> None:
        self.server.connections.discard(self.request)
        with contextlib.suppress(OSError):
            super().finish()
        self.request.close()  # with TLS this is not the socket that the server will close

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        scheme = "https" if self.server.tls else "http"
        host = (self.headers.get("Host") or "").lower()
        request = Request(
            self.command,
            scheme,
            host.removesuffix(":443") if scheme == "https" else host,
            parts.path,
            parse_qsl(parts.query, keep_blank_values=True),
            self.headers,
            BodyReader(self.rfile, length, chunked),
            client=self.client_address[0],
        )
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        self._answer(request, self.server.handle(request))
        return False  # the request is served; BaseHTTPRequestHandler needs no do_GET

    def handle_one_request(self) -> None:
        """As the base class, but without its look-up of a method by name."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
            return
        self.parse_request()

    def _answer(self, request: Request, response: Response) -> None:
        if response.cut_after is None:
            while request.body.read():
                pass
        lines = [f"HTTP/1.1 {response.status} {self.responses.get(response.status, ('',))[0]}"]
        headers = {"Content-Length": str(response.size), **response.headers}
        if response.status == 204:
            headers.pop("Content-Length")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.wfile.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        if request.method != "HEAD" and response.status not in (204, 304):
            self._send_body(response)
        if headers.get("Connection", "").lower() == "close":
            self.close_connection = True

    def _send_body(self, response: Response) -> None:
        left = response.cut_after
        for block in response.blocks():
            if left is not None:
                block = block[:left]
                left -= len(block)
            self.wfile.write(block)
            if left == 0:
                self.close_connection = True
                if response.cut == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif response.cut == "silence":
                    self.connection.recv(1)  # until the client has had enough
                elif response.cut == "end":
                    self.connection.shutdown(socket.SHUT_WR)
                self.connection.close()
                raise ConnectionResetError("cut by a fault")

    def log_message(self, format: str, *args: Any) -> None:
        """The sandbox has a log of its own."""
