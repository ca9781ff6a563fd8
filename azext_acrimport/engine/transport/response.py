# SPDX-License-Identifier: MIT
"""An answer: its status and headers, and a body that is on the wire or, where all of it was wanted, here."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
from urllib3 import HTTPResponse

from ..content.stream import BLOCK_BYTES
from ..errors import ManifestError, NetworkError, Origin
from .failures import translate
from .redaction import redact_url

__all__ = ["Answer", "Response"]

# Reading so much costs less than a new connection with TLS.
DRAINED_BYTES = 64 * 1024
DRAINING_SECONDS = 0.5
# Four megabytes, the largest manifest, at a rate that nobody would wait for; a byte a second is not an answer.
SMALL_BODY_SECONDS = 120.0
# What comes so slowly that no block is full after so many seconds is handed on as it is.
SLICE_SECONDS = 5.0


class Answer(NamedTuple):
    """An answer of which everything is here. ``headers``: names in any case."""

    status: int
    headers: Mapping[str, str]
    url: str
    origin: Origin
    body: bytes


class Response:
    """An answer whose body is still on the wire. Close it, or read it to its end."""

    def __init__(self, answer: requests.Response, origin: Origin, url: str) -> None:
        self._answer = answer
        self.origin: Origin = origin
        self.url = url
        self.status: int = answer.status_code
        # names in any case
        self.headers: Mapping[str, str] = answer.headers
        stated = answer.headers.get("Content-Length", "")
        # -1 where nothing is stated that could be a length
        self._length = int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 20 else -1
        raw = answer.raw
        # as it comes, not when all of it is there; older ones, and recordings that are replayed, cannot do that
        self._some = raw.read1 if isinstance(raw, HTTPResponse) and hasattr(raw, "read1") else raw.read
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

    def read_all(self, limit: int) -> bytes:
        """The whole body, at most ``limit`` bytes. Raises ManifestError beyond: nothing small is that large.

        Raises NetworkError when it breaks off before its length, or takes longer than anything small does.
        """
        blocks, size, started = [], 0, time.monotonic()
        try:
            while size != self._length and (block := self._read(min(BLOCK_BYTES, limit + 1))):
                blocks.append(block)
                size += len(block)
                if size > limit:
                    message = f"{redact_url(self.url)} answered with more than {limit} bytes"
                    raise ManifestError(message, origin=self.origin, subject=urlsplit(self.url).netloc)
                if time.monotonic() - started > SMALL_BODY_SECONDS:
                    raise self._failure("timeout", f"{size} bytes of its answer came in {SMALL_BODY_SECONDS:.0f} s")
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
            return self._some(size, decode_content=False)
        except Exception as error:
            raise translate(error, urlsplit(self.url).netloc, self.origin) from None

    def _failure(self, reason: str, said: str) -> NetworkError:
        return NetworkError(urlsplit(self.url).netloc, reason, said, origin=self.origin)

    def close(self) -> None:
        """Give the connection back; end it when more than a little of the body is still to come, or when it is slow."""
        with contextlib.suppress(Exception):
            if self._broken is None and (not self.has_body or 0 <= self._length <= DRAINED_BYTES):
                started = time.monotonic()
                while self._read(BLOCK_BYTES) and time.monotonic() - started < DRAINING_SECONDS:
                    pass
        self._answer.close()

    def shutdown(self) -> None:
        """Wake a thread that waits for this body."""
        raw = self._answer.raw
        getattr(raw, "shutdown", raw.close)()  # urllib3 before 2.3 has no shutdown; close is the next best
