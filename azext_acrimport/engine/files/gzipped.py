# SPDX-License-Identifier: MIT
"""A gzip file that can be read from any place: the state of the decompression is kept at some places on the way.

https://www.rfc-editor.org/rfc/rfc1952
"""

from __future__ import annotations

import bisect
import os
import threading
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

from ..content.stream import BLOCK_BYTES
from ..errors import LayoutError
from .folder import open_file

__all__ = ["GzipFile", "Reading"]

# A state is some 50 KB. With twice as many the distance between them doubles, so all of them stay below 10 MB.
MAX_STATES = 100
FIRST_DISTANCE = 4 * 1024 * 1024
READ_BYTES = 256 * 1024
GZIP = 16 + zlib.MAX_WBITS


class Reading(Protocol):
    """What is needed of an open file."""

    def read(self, size: int, /) -> bytes:
        """So many bytes; fewer only at the end."""

    def seek(self, position: int, /) -> int:
        """From the front."""

    def tell(self) -> int:
        """From the front, too."""

    def close(self) -> None:
        """Let go of it."""


class GzipFile:
    """Shared by all its readers, in all threads. ``limit``: bytes; what expands beyond is a bomb.

    ``file``: open, and only asked which one it is; each reader opens the path for itself. ``check`` is called at each
    step, and raises when nobody wants to wait any longer.
    """

    def __init__(self, path: str, file: BinaryIO, limit: int, check: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self.file = file
        self.limit = limit
        self.check = check
        self._lock = threading.Lock()
        self._distance = FIRST_DISTANCE
        # position in what comes out, position in the file, the decompressor as it was there
        self._states: list[tuple[int, int, Any]] = [(0, 0, zlib.decompressobj(GZIP))]

    def reader(self) -> _Reader:
        """At the front."""
        return _Reader(self)

    def before(self, position: int) -> tuple[int, int, Any]:
        """The last state that is kept at or before this place."""
        with self._lock:
            number = bisect.bisect_right(self._states, position, key=lambda state: state[0]) - 1
            out, file, decompressor = self._states[number]
            return out, file, decompressor.copy()

    def passed(self, out: int, file: int, decompressor: Any) -> None:
        """A reader is here: keep the state if it is far enough from the last."""
        with self._lock:
            if out < self._states[-1][0] + self._distance:
                return
            self._states.append((out, file, decompressor.copy()))
            if len(self._states) > MAX_STATES:
                self._states = self._states[::2]
                self._distance *= 2


class _Reader:
    def __init__(self, gzip: GzipFile) -> None:
        self._gzip = gzip
        self._file = open_file(gzip.path)
        if not os.path.sameopenfile(self._file.fileno(), gzip.file.fileno()):
            self._file.close()
            raise LayoutError(gzip.path, "it was replaced by another file")
        self._ready = b""
        self._position = 0
        self._out, self._in, self._decompressor = gzip.before(0)

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, /) -> int:
        """What lies between is read over."""
        out = self._gzip.before(position)
        if position < self._position or out[0] > self._out:
            self._out, self._in, self._decompressor = out
            self._file.seek(self._in)
            self._ready, self._position = b"", self._out
        while self._position < position:
            if not self.read(min(BLOCK_BYTES, position - self._position)):
                break
        return self._position

    def read(self, size: int, /) -> bytes:
        """Exactly so many bytes, but at the end."""
        blocks = []
        while size > 0:
            if not self._ready and not self._fill():
                break
            block, self._ready = self._ready[:size], self._ready[size:]
            blocks.append(block)
            size -= len(block)
            self._position += len(block)
        return b"".join(blocks)

    def close(self) -> None:
        self._file.close()

    def _fill(self) -> bool:
        """Decompress the next piece. False at the end; zlib.error and EOFError for what is damaged or cut."""
        while not self._ready:
            self._gzip.check()
            decompressor = self._decompressor
            if decompressor.eof:  # gzip files may stand one after the other
                raw = decompressor.unused_data or self._read_file()
                if not raw.strip(b"\0"):
                    return False
                self._decompressor = zlib.decompressobj(GZIP)
            else:
                if not decompressor.unconsumed_tail:
                    self._gzip.passed(self._out, self._in, decompressor)
                raw = decompressor.unconsumed_tail or self._read_file()
                if not raw:
                    raise EOFError("it ends in the middle")
            self._ready = self._decompressor.decompress(raw, BLOCK_BYTES)
            self._out += len(self._ready)
            if self._out > self._gzip.limit:
                raise LayoutError(self._gzip.path, "it unpacks to so many times its size that it must be a bomb")
        return True

    def _read_file(self) -> bytes:
        raw = self._file.read(READ_BYTES)
        self._in += len(raw)
        return raw
