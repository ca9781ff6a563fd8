# SPDX-License-Identifier: MIT
"""Files by name, in a folder of this machine. Nothing leads outside."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from ..content.stream import ByteStream
from ..errors import LayoutError

__all__ = ["Files", "Folder", "open_file", "unreadable"]

NOT_THERE = (FileNotFoundError, NotADirectoryError)


class Files(Protocol):
    """Content by the names that image layouts use: relative, with slashes. Safe in any thread."""

    @property
    def path(self) -> str:
        """Where it is, for people."""

    def size(self, name: str) -> int | None:
        """Bytes; None when there is no such file. Raises LayoutError where that is not to be seen."""

    def open(self, name: str) -> ByteStream:
        """The file from its start. Raises LayoutError."""

    def close(self) -> None:
        """Let go of everything."""


class Folder:
    """Files below a folder of this machine. A link may lead to another place in there, never out of it."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._root = Path(os.path.realpath(path))
            is_folder = stat.S_ISDIR(os.stat(self._root).st_mode)
        except NOT_THERE:  # also where the path begins, when that has been removed
            is_folder = False
        except OSError as error:
            raise unreadable(path, "it", error) from None
        if not is_folder:
            raise LayoutError(path, "there is no such folder", missing=True)

    def size(self, name: str) -> int | None:
        """As ``Files.size``."""
        try:
            status = os.stat(self._root / self._inside(name))
        except PermissionError as error:
            raise unreadable(self.path, name, error) from None
        except OSError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def open(self, name: str) -> ByteStream:
        """As ``Files.open``."""
        inside = self._inside(name)
        try:
            return _Whole(self._opened(inside.parts), self.path)
        except PermissionError as error:
            raise unreadable(self.path, name, error) from None
        except OSError as error:
            raise LayoutError(self.path, f"{name} is not there, or is no file to be read ({error.strerror})") from None

    def _inside(self, name: str) -> Path:
        """Where it is below the folder, with no link on the way. Raises LayoutError."""
        place = Path(os.path.realpath(self._root / name))
        if self._root != place and self._root not in place.parents:
            raise LayoutError(self.path, f"{name} is a link that leads out of it")
        return place.relative_to(self._root)

    def _opened(self, parts: Sequence[str]) -> BinaryIO:
        """Step by step, and through no link: what was looked at may be another one by now."""
        if not parts or os.open not in os.supports_dir_fd:  # Windows, where links are for administrators
            return open_file(str(self._root.joinpath(*parts)))
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts[:-1]:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = inner
            return open_file(parts[-1], folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Nothing is held."""


def open_file(path: str, folder: int | None = None) -> BinaryIO:
    """A regular file, to be read. Raises OSError, for a pipe as well: it would be waited for.

    ``folder``: a descriptor, below which ``path`` is a single name, and then no link.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    if folder is not None:
        flags |= os.O_NOFOLLOW
    descriptor = os.open(path, flags, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def unreadable(path: str, what: str, error: OSError) -> LayoutError:
    """What to raise for ``what``, which the system does not let us read."""
    denied = isinstance(error, PermissionError)
    return LayoutError(path, f"{what} cannot be read ({error.strerror})", denied=denied)


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
