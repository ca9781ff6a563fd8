# SPDX-License-Identifier: MIT
"""The lines before a body: of a request as they are sent, and of an answer as they come, within a time.

The standard library makes a mail of an answer's headers, and urllib3 a mapping of that; both go over every header of a
request one by one. That is more CPU than the sending of a small request and the reading of its answer.
"""

from __future__ import annotations

import io
import re
import socket
import time
from collections.abc import Mapping
from http.client import (
    CONTINUE,
    HTTPException,
    HTTPMessage,
    HTTPResponse,
    InvalidURL,
    LineTooLong,
    RemoteDisconnected,
    UnknownProtocol,
)
from typing import Any

from requests.utils import requote_uri

__all__ = ["AnswerHead", "Headers", "MailHead", "request_head"]

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
# What no line may hold: whoever gets a line break into a header writes the next one, or the next request.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# https://www.rfc-editor.org/rfc/rfc3986#section-2: all that stands in a URL as it is
TARGET = re.compile(r"[A-Za-z0-9._~:/?@!$&'()*+,;=%\[\]-]+")


def request_head(method: str, target: str, host: str, headers: Mapping[str, str]) -> bytes:
    """All lines, with the empty one. Raises InvalidURL and ValueError, as ``http.client``, for what would be two."""
    if not TARGET.fullmatch(target):
        if CONTROL.search(target):
            raise InvalidURL("a URL cannot contain control characters")
        target = requote_uri(target)
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {headers[name]}" for name in headers), "", ""]
    if CONTROL.search("".join(lines)):
        raise ValueError("a header cannot contain control characters")
    return "\r\n".join(lines).encode("iso-8859-1")


class Headers(dict[str, str]):
    """Of an answer: names in any case. https://www.rfc-editor.org/rfc/rfc9110#section-5.3: two of a name are one."""

    @classmethod
    def of(cls, found: list[tuple[str, str]]) -> Headers:
        """From names and values in their order."""
        headers = cls()
        for name, value in found:
            key = name.lower()
            before = dict.get(headers, key)
            dict.__setitem__(headers, key, value if before is None else f"{before}, {value}")
        return headers

    def __getitem__(self, name: str) -> str:
        return dict.__getitem__(self, name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and dict.__contains__(self, name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """As that of every mapping."""
        return dict.get(self, name.lower(), default)


class AnswerHead(HTTPResponse):
    """An answer of which the headers do not trickle, and whose lines that are no headers are nobody's to read."""

    @staticmethod
    def named(found: list[tuple[str, str]]) -> Any:
        """What ``headers`` will be."""
        return Headers.of(found)

    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(_Clocked(sock), *args, **options)  # type: ignore[arg-type]

    def begin(self, **_: Any) -> None:
        """As ``http.client`` calls it, to read status and headers.

        https://www.rfc-editor.org/rfc/rfc9112#section-6.3 is how the body's length is told.
        """
        if self.headers is not None:
            return  # urllib3 asks for it once more through a proxy
        version, self.status, reason = self._read_status()
        while self.status == CONTINUE:
            _lines(self.fp)
            version, self.status, reason = self._read_status()
        if not version.startswith("HTTP/1."):
            raise UnknownProtocol(version)
        self.code, self.reason, self.version = self.status, reason.strip(), 10 if version == "HTTP/1.0" else 11
        self.headers = self.msg = self.named(_lines(self.fp))
        self.chunked = _said_once(self.headers.get("Transfer-Encoding", "")).lower() == "chunked"
        self.chunk_left, self.length = None, None
        self.will_close = self._check_close()
        stated = _said_once(self.headers.get("Content-Length", ""))
        if "," in stated:
            raise HTTPException("two lengths")
        if self.status in (204, 304) or self.status < 200 or self._method == "HEAD":
            self.length = 0
        elif stated.isascii() and stated.isdigit() and len(stated) < MAX_DIGITS and not self.chunked:
            self.length = int(stated)
        self.will_close = self.will_close or (not self.chunked and self.length is None)
        raw = getattr(self.fp, "raw", None)
        if isinstance(raw, _ClockedReader):
            raw.deadline = NO_DEADLINE


class MailHead(AnswerHead):
    """The same for urllib3, which wants the headers as the standard library has them."""

    @staticmethod
    def named(found: list[tuple[str, str]]) -> HTTPMessage:
        """What ``headers`` will be."""
        message = HTTPMessage()
        message._headers = found  # type: ignore[attr-defined]
        return message


def _said_once(value: str) -> str:
    """What is said again is said once. https://www.rfc-editor.org/rfc/rfc9110#section-8.6"""
    first, *others = value.split(",")
    return first if all(other.strip() == first for other in others) else value


def _lines(stream: Any) -> list[tuple[str, str]]:
    """To the empty line after them. From the first line on that is no header, the rest is nobody's to read."""
    found: list[tuple[str, str]] = []
    ended = False
    for _ in range(MAX_HEADERS + 1):
        raw = stream.readline(MAX_LINE + 1)
        if len(raw) > MAX_LINE:
            raise LineTooLong("header line")
        line = raw.decode("iso-8859-1").rstrip("\r\n")
        if not line:
            return found
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
