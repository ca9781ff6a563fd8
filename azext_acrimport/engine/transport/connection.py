# SPDX-License-Identifier: MIT
"""One connection: its host's name is looked up where that can be given up, and its answers begin within a time."""

from __future__ import annotations

import io
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from http.client import (
    CONTINUE,
    HTTPException,
    HTTPMessage,
    HTTPResponse,
    LineTooLong,
    RemoteDisconnected,
    UnknownProtocol,
)
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NameResolutionError
from urllib3.util.connection import allowed_gai_family

from ..cancellation import Cancellation
from ..waiting import Ahead
from .addresses import Astray, Reach, check_address

__all__ = ["PlainConnection", "TlsConnection"]

# From its first byte on, an answer's status and headers come within so many seconds; they are some kilobytes.
# A read timeout is no limit: it begins anew with each byte.
HEADER_SECONDS = 10.0
NO_DEADLINE = float("inf")
# As http.client has them: bytes of a line, and headers.
MAX_LINE = 65536
MAX_HEADERS = 100
# Of a length: no body has so many bytes.
MAX_DIGITS = 20
# https://www.rfc-editor.org/rfc/rfc9110#section-5.1; what http.client takes for a name, which is a little more
FIELD_NAME = re.compile(r"[!-9;-~]+")
# Of a host that has more addresses the others are no better.
MAX_ADDRESSES = 8


class _Answer(HTTPResponse):
    """An answer of which the headers do not trickle, and whose lines that are no headers are nobody's to read."""

    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(_Clocked(sock), *args, **options)  # type: ignore[arg-type]

    def begin(self, **_: Any) -> None:
        """As ``http.client`` calls it, to read status and headers; its own way makes a mail of them, for a tenth of all
        that a small request costs. https://www.rfc-editor.org/rfc/rfc9112#section-6.3 is how the body's length is told.
        """
        if self.headers is not None:
            return  # urllib3 asks for it once more through a proxy
        version, self.status, reason = self._read_status()
        while self.status == CONTINUE:
            _headers(self.fp)
            version, self.status, reason = self._read_status()
        if not version.startswith("HTTP/1."):
            raise UnknownProtocol(version)
        self.code, self.reason, self.version = self.status, reason.strip(), 10 if version == "HTTP/1.0" else 11
        self.headers = self.msg = _headers(self.fp)
        self.chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        self.chunk_left, self.length = None, None
        self.will_close = self._check_close()
        stated = self.headers.get("Content-Length", "")
        if self.status in (204, 304) or self.status < 200 or self._method == "HEAD":
            self.length = 0
        elif stated.isascii() and stated.isdigit() and len(stated) < MAX_DIGITS and not self.chunked:
            self.length = int(stated)
        self.will_close = self.will_close or (not self.chunked and self.length is None)
        raw = getattr(self.fp, "raw", None)
        if isinstance(raw, _ClockedReader):
            raw.deadline = NO_DEADLINE


def _headers(stream: Any) -> HTTPMessage:
    """To the empty line after them. From the first line on that is no header, the rest is nobody's to read."""
    found: list[tuple[str, str]] = []
    ended = False
    for _ in range(MAX_HEADERS + 1):
        raw = stream.readline(MAX_LINE + 1)
        if len(raw) > MAX_LINE:
            raise LineTooLong("header line")
        line = raw.decode("iso-8859-1").rstrip("\r\n")
        if not line:
            message = HTTPMessage()
            message._headers = found  # type: ignore[attr-defined]
            return message
        name, colon, value = line.partition(":")
        if line[0] in " \t" and found and not ended:
            found[-1] = found[-1][0], f"{found[-1][1]} {line.strip()}"  # an obsolete way to write long ones
        elif colon and FIELD_NAME.fullmatch(name) and not ended:
            found.append((name, value.strip(" \t")))
        else:
            ended = True
    raise HTTPException(f"more than {MAX_HEADERS} headers")


class _Clocked:
    """What ``http.client`` asks of a socket."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> Any:
        """As ``http.client`` calls it; a socket within a proxy's TLS has its own way to be read."""
        if not isinstance(self._sock, socket.socket):
            return self._sock.makefile(mode)
        # as ``socket.makefile`` does it: whoever closes the file lets go of the socket
        self._sock._io_refs += 1  # type: ignore[attr-defined]
        return io.BufferedReader(_ClockedReader(self._sock, "rb"))


class _ClockedReader(socket.SocketIO):
    """Raises TimeoutError when the headers have not ended ``HEADER_SECONDS`` after their first byte.

    Raises RemoteDisconnected when they never do: ``http.client`` would take a cut connection for their end.
    """

    deadline = 0.0

    def readinto(self, buffer: Any, /) -> int | None:
        """As ``io`` calls it."""
        count = super().readinto(buffer)
        if self.deadline == NO_DEADLINE:
            return count
        if count == 0:
            raise RemoteDisconnected("it was cut before its headers had ended")
        now = time.monotonic()
        self.deadline = self.deadline or now + HEADER_SECONDS
        if now > self.deadline:
            raise TimeoutError("its headers came too slowly")
        return count


class _Connection(HTTPConnection):
    """What has no value here is set by the pool. ``met``: told of host and port whether their address is public."""

    response_class = _Answer
    cancellation: Cancellation
    reach: Reach
    met: Callable[[str, int, bool], None]

    def _new_conn(self) -> socket.socket:
        """As urllib3 calls it: the first of the host's addresses that is within reach, and answers. Raises Astray."""
        name, timeout = self._dns_host, float(self.timeout or 0)
        found = self._within_reach(name, self._looked_up(name))[:MAX_ADDRESSES]
        try:
            for number, (self._dns_host, public) in enumerate(found):
                self.cancellation.check()
                self.timeout = min(timeout, self.cancellation.left or timeout)
                try:
                    sock = super()._new_conn()
                except (OSError, HTTPError):
                    if number == len(found) - 1:
                        raise
                else:
                    self.met(name, int(self.port or 0), public)
                    return sock
        finally:
            self._dns_host, self.timeout = name, timeout
        raise OSError("it has no address")

    def is_silent(self) -> bool:
        """Of one that is open and was asked nothing yet: whether the other side has neither closed it nor spoken.

        The tickets that TLS 1.3 sends after its greeting are nothing that was said; urllib3 takes them for the end.
        """
        sock: Any = self.sock
        if sock is None or not isinstance(sock, ssl.SSLSocket):
            return self.is_connected
        try:
            sock.settimeout(0)
            sock.recv(1)
        except ssl.SSLWantReadError:
            return True
        except OSError:
            pass
        return False

    def _within_reach(self, name: str, found: Iterable[str]) -> list[tuple[str, bool]]:
        """Those to which we may go, and whether they are public. Those of a proxy are for whoever has chosen it."""
        if self.proxy is not None:
            return [(address, True) for address in found]
        allowed: list[tuple[str, bool]] = []
        astray: Astray | None = None
        for address in found:
            try:
                allowed.append((address, check_address(name, address, self.reach)))
            except Astray as error:
                astray = error
        if astray and not allowed:
            raise astray
        return allowed

    def _looked_up(self, name: str) -> list[str]:
        """Its addresses; in a thread of its own, since nothing can interrupt the system's resolver."""
        work = Ahead(lambda: socket.getaddrinfo(name, self.port, allowed_gai_family(), socket.SOCK_STREAM))
        try:
            return list(dict.fromkeys(str(entry[4][0]) for entry in work.result(self.cancellation.check)))
        except (socket.gaierror, UnicodeError) as error:
            cause = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
            raise NameResolutionError(self.host, self, cause) from error


class PlainConnection(_Connection):
    """http, and to a proxy."""


class TlsConnection(_Connection, HTTPSConnection):
    """https."""
