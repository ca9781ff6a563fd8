# SPDX-License-Identifier: MIT
"""An answer: its status and headers, and a body that is on the wire or, where all of it was wanted, here."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from urllib3 import HTTPResponse

from ..content.stream import BLOCK_BYTES
from ..errors import ManifestError, NetworkError, Origin
from .exchange import SLICE_SECONDS, Received
from .failures import network_error
from .redaction import redact_url

__all__ = ["SMALL_BODY_SECONDS", "Answer", "Response"]

# Reading so much costs less than a new connection with TLS, if it comes within so many seconds.
DRAINED_BYTES = 64 * 1024
DRAIN_SECONDS = 0.3
# Four megabytes, the largest manifest, at a rate that nobody would wait for; a byte a second is not an answer.
SMALL_BODY_SECONDS = 120.0
# After so many seconds at least so many bytes a second: less is not an answer. A modem brings more.
TRICKLE_SECONDS = 10.0
TRICKLE_BYTES = 1024


class Answer(NamedTuple):
    """An answer of which everything is here. ``headers``: names in any case."""

    status: int
    headers: Mapping[str, str]
    url: str
    origin: Origin
    body: bytes

    @property
    def says_what(self) -> bool:
        """Whether a 201 tells what is stored now, and where. A bare one may come from anybody in between."""
        return bool(self.headers.get("Location") or self.headers.get("Docker-Content-Digest"))


class Response:
    """An answer whose body is still on the wire. Close it, or read it to its end."""

    def __init__(self, answer: requests.Response | Received, origin: Origin, url: str) -> None:
        self._answer = answer
        self.origin: Origin = origin
        self.url = url
        self.status: int = answer.status_code
        # names in any case
        self.headers: Mapping[str, str] = answer.headers
        stated = answer.headers.get("Content-Length", "")
        # -1 where nothing is stated that could be a length
        self._length = int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 20 else -1
        raw: Any = answer.raw
        # as it comes, not when all of it is there; older ones, and recordings that are replayed, cannot do that
        self._some: Any = raw.read1 if isinstance(raw, (HTTPResponse, Received)) and hasattr(raw, "read1") else raw.read
        self._broken: NetworkError | None = None
        self.has_body = self._length != 0 and answer.request.method != "HEAD" and self.status not in (204, 304)

    def read(self, size: int = BLOCK_BYTES, /) -> bytes:
        """The next bytes, as sent (never decompressed), empty at the end. Raises NetworkError of this side.

        What has come before the connection broke is handed out first: on a line that breaks again and again, parts of
        blocks are all the progress there is.
        """
        if self._broken:
            raise self._broken
        blocks, count, started = [], 0, time.monotonic()
        try:
            while count < size and (block := self._read(size - count)):
                blocks.append(block)
                count += len(block)
                if time.monotonic() - started > SLICE_SECONDS:
                    break
        except NetworkError as error:
            if not blocks:
                raise
            self._broken = error
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def read_all(self, limit: int, seconds: float) -> bytes:
        """The whole body, at most ``limit`` bytes. Raises ManifestError beyond: nothing small is that large.

        Raises NetworkError when it breaks off before its length, or takes longer than anything small does (seconds).
        """
        if self._length > limit:
            self._answer.close()
            raise self._too_long(limit)
        blocks, size, started = [], 0, time.monotonic()
        try:
            while size != self._length and (block := self._read(min(BLOCK_BYTES, limit + 1))):
                blocks.append(block)
                size += len(block)
                if size > limit:
                    raise self._too_long(limit)
                elapsed = time.monotonic() - started
                if elapsed > seconds or (elapsed > TRICKLE_SECONDS and size < elapsed * TRICKLE_BYTES):
                    raise self._failure("timeout", f"{size} bytes of its answer came in {elapsed:.0f} s")
            if size < self._length:
                raise self._failure("reset", f"its answer ended after {size} of {self._length} bytes")
        except NetworkError as error:
            self._broken = error
            raise
        finally:
            self.close()
        return b"".join(blocks)

    def _read(self, size: int) -> bytes:
        try:
            block: bytes = self._some(size, decode_content=False)
            return block
        except Exception as error:
            raise network_error(error, urlsplit(self.url).netloc, self.origin) from None

    def _too_long(self, limit: int) -> ManifestError:
        message = f"{redact_url(self.url)} answered with more than {limit} bytes"
        return ManifestError(message, origin=self.origin, subject=urlsplit(self.url).netloc)

    def _failure(self, reason: str, said: str) -> NetworkError:
        return NetworkError(urlsplit(self.url).netloc, reason, said, origin=self.origin)

    def close(self) -> None:
        """Give the connection back; end it when more than a little of the body is still to come, or it dawdles."""
        if getattr(self._answer, "is_over", False):
            return  # the connection may be somebody else's by now
        with contextlib.suppress(Exception):
            if self._broken is None and (not self.has_body or 0 <= self._length <= DRAINED_BYTES):
                self._drain()
        self._answer.close()

    def _drain(self) -> None:
        raw, until = self._answer.raw, time.monotonic() + DRAIN_SECONDS
        sock = getattr(getattr(raw, "connection", None), "sock", None)
        if sock is not None:
            sock.settimeout(DRAIN_SECONDS)  # until the next request sets its own
        while time.monotonic() < until and self._some(BLOCK_BYTES, decode_content=False):
            pass

    def shutdown(self) -> None:
        """Wake a thread that waits for this body."""
        raw = self._answer.raw
        getattr(raw, "shutdown", raw.close)()  # urllib3 before 2.3 has no shutdown; close is the next best
