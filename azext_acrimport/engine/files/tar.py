# SPDX-License-Identifier: MIT
"""Files by name, in a tar archive. Nothing is unpacked to the disk, and nothing leads outside."""

from __future__ import annotations

import os
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from ..content.stream import ByteStream
from ..errors import LayoutError
from .folder import open_file, unreadable
from .gzipped import GzipFile, Reading
from .headers import members

__all__ = ["TarArchive"]

GZIP = b"\x1f\x8b"
# Formats that tar programs write, and that would have to be unpacked by what Python does not have everywhere.
OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
# Layers are compressed once already. What unpacks to a hundred times its size, and to more than a gigabyte, is a bomb.
MAX_RATIO = 100
ALWAYS_ALLOWED = 1024 * 1024 * 1024
BLOCK = 1024 * 1024
DAMAGED = (OSError, EOFError, zlib.error, ValueError)
DRIVE_LIKE = re.compile("[A-Za-z]:")


class TarArchive:
    """Members of a tar archive, plain or gzipped, read where they are.

    It may be large: whoever looks through it calls ``check``, which raises when nobody wants to wait any longer.
    """

    def __init__(self, path: str, check: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self._check = check
        self._lock = threading.Lock()
        try:
            self._file = open_file(path)
        except FileNotFoundError:
            raise LayoutError(path, "there is no such file", missing=True) from None
        except OSError as error:
            raise unreadable(path, "it", error) from None
        try:
            self._gzip = self._unzipped()
            self._members = dict(self._scanned())
        except DAMAGED:
            self.close()
            raise LayoutError(path, "it is not a tar archive, or a damaged one") from None
        except BaseException:
            self.close()
            raise

    def size(self, name: str) -> int | None:
        """As ``Files.size``. A link to another member counts as that one; `docker save` once wrote such links."""
        found = self._members.get(self._target(name))
        return found[1] if isinstance(found, tuple) else None

    def open(self, name: str) -> ByteStream:
        """As ``Files.open``."""
        found = self._members.get(self._target(name))
        if found is None:
            raise LayoutError(self.path, f"it has no member {name}")
        if isinstance(found, str):
            raise LayoutError(self.path, f"its member {name} is a link; links are not followed")
        if self._gzip:
            return _Zipped(self._gzip, found[0], found[1], self.path)
        return _Member(self._file, self._lock, found[0], found[1], self.path, self._check)

    def close(self) -> None:
        """Close the archive."""
        self._file.close()

    def _target(self, name: str) -> str:
        found = self._members.get(name)
        inside = _normal(found) if isinstance(found, str) else None
        return inside if inside and isinstance(self._members.get(inside), tuple) else name

    def _scanned(self) -> Iterator[tuple[str, tuple[int, int] | str]]:
        """Name and (offset, size), or name and where a link leads, read as a path of the archive."""
        end = self._gzip.limit if self._gzip else self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        file: Reading = self._gzip.reader() if self._gzip else self._file
        try:
            for member in members(file, self.path, end):
                self._check()
                name = _normal(member.name)
                if name is None:
                    raise LayoutError(self.path, f"its member {member.name} leads out of it")
                if member.is_file:
                    yield name, (member.offset, member.size)
                elif member.link is not None:
                    yield name, str(PurePosixPath(name).parent / member.link) if member.symbolic else member.link
            while self._gzip and file.read(BLOCK):
                pass  # to the end: it may be cut, or damaged, there
        finally:
            if self._gzip:
                file.close()

    def _unzipped(self) -> GzipFile | None:
        head = self._file.read(6)
        self._file.seek(0)
        other = next((kind for magic, kind in OTHERS.items() if head.startswith(magic)), None)
        if other:
            raise LayoutError(self.path, f"it is compressed with {other}; unpack it first")
        packed = os.fstat(self._file.fileno()).st_size
        limit = max(ALWAYS_ALLOWED, MAX_RATIO * packed)
        return GzipFile(self.path, self._file, limit, self._check) if head.startswith(GZIP) else None


def _normal(name: str) -> str | None:
    """``./a/b`` and ``a/x/../b`` as ``a/b``; None for what leads outside."""
    parts: list[str] = []
    for part in name.replace("\\", "/").split("/"):
        if part == ".." and not parts:
            return None
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return None if name.startswith("/") or DRIVE_LIKE.match(name) else "/".join(parts)


class _Member:
    """A part of an open file; several threads read several parts of it by turns."""

    def __init__(
        self, file: BinaryIO, lock: threading.Lock, offset: int, size: int, path: str, check: Callable[[], None]
    ) -> None:
        self._check = check
        self._file = file
        self._lock = lock
        self._next = offset
        self._end = offset + size
        self._path = path

    def read(self, size: int, /) -> bytes:
        self._check()
        try:
            with self._lock:
                self._file.seek(self._next)
                block = self._file.read(min(size, self._end - self._next))
        except (OSError, ValueError):
            raise LayoutError(self._path, "it cannot be read any further") from None
        self._next += len(block)
        return block

    def close(self) -> None:
        """The archive stays open for the others."""


class _Zipped:
    """A part of a gzipped file, with a reader of its own; it is opened when it is first read."""

    def __init__(self, gzip: GzipFile, offset: int, size: int, path: str) -> None:
        self._gzip = gzip
        self._offset = offset
        self._left = size
        self._path = path
        self._reader: Reading | None = None

    def read(self, size: int, /) -> bytes:
        try:
            if self._reader is None:
                self._reader = self._gzip.reader()
                self._reader.seek(self._offset)
            block = self._reader.read(min(size, self._left))
        except DAMAGED:
            raise LayoutError(self._path, "it cannot be read any further") from None
        self._left -= len(block)
        return block

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
