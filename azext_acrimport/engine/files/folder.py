# SPDX-License-Identifier: MIT
"""Files by name, in a folder of this machine. Nothing leads outside."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Protocol

from ..content.stream import ByteStream
from ..errors import LayoutError

__all__ = ["Files", "Folder"]


class Files(Protocol):
    """Content by the names that image layouts use: relative, with slashes. Safe in any thread."""

    @property
    def path(self) -> str:
        """Where it is, for people."""

    def size(self, name: str) -> int | None:
        """Bytes; None when there is no such file."""

    def open(self, name: str) -> ByteStream:
        """The file from its start. Raises LayoutError."""

    def close(self) -> None:
        """Let go of everything."""


class Folder:
    """Files below a folder of this machine. A link may lead to another place in there, never out of it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._root = Path(os.path.realpath(path))
        if not self._root.is_dir():
            raise LayoutError(path, "there is no such folder", missing=True)

    def size(self, name: str) -> int | None:
        """As ``Files.size``."""
        place = Path(os.path.realpath(self._root / name))
        if self._root != place and self._root not in place.parents:
            raise LayoutError(self.path, f"{name} is a link that leads out of it")
        try:
            status = os.stat(place)
        except OSError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def open(self, name: str) -> ByteStream:
        """As ``Files.open``."""
        if self.size(name) is None:
            raise LayoutError(self.path, f"{name} is not there, or is no file")
        try:
            return _Whole(open(self._root / name, "rb"), self.path)
        except OSError as error:
            raise LayoutError(self.path, f"{name} cannot be read ({error.strerror})") from None

    def close(self) -> None:
        """Nothing is held."""


class _Whole:
    """A file of the disk, whose failures are those of its layout."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self._path = path

    def read(self, size: int, /) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise LayoutError(self._path, f"it cannot be read any further ({error.strerror})") from None

    def close(self) -> None:
        self._file.close()
