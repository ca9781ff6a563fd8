# SPDX-License-Identifier: MIT
"""What a tar archive says of its members: as ``docker save``, skopeo, buildah, GNU tar and Python write it.

https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13 (ustar and pax), and GNU's long names.
Python's own reader unpacks what a header announces, follows chains of them, and makes files of holes; of an archive
that a stranger has made less is more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..errors import LayoutError
from .gzipped import Reading

__all__ = ["BLOCK", "Member", "members"]

BLOCK = 512
# `docker save` writes three members a layer; an archive with more than this is made to keep us busy.
MAX_MEMBERS = 100_000
# Bytes of a member's longer names, link and pax records together. Paths of files end at 4096.
MAX_EXTENDED = 64 * 1024
# Of all members: a hundred thousand names that are as long as the usual ones are short.
MAX_EXTENDED_IN_ALL = 16 * 1024 * 1024
# A long name, a long link and one set of pax records is all that stands before any member.
MAX_EXTENSIONS = 4

HARD_LINK, SYMBOLIC_LINK, DIRECTORY = b"1", b"2", b"5"
# Devices, pipes and directories have no content, whatever their size says; nor have links.
WITHOUT_CONTENT = frozenset({HARD_LINK, SYMBOLIC_LINK, DIRECTORY, b"3", b"4", b"6"})
LONG_NAME, LONG_LINK, PAX, SOLARIS_PAX, GLOBAL_PAX, SPARSE = b"L", b"K", b"x", b"X", b"g", b"S"
EXTENSIONS = frozenset({LONG_NAME, LONG_LINK, PAX, SOLARIS_PAX, GLOBAL_PAX})


class Member(NamedTuple):
    """``link``: where a link leads, as it is written; None for what is none. ``offset`` and ``size`` in bytes."""

    name: str
    is_file: bool
    link: str | None
    symbolic: bool
    offset: int
    size: int


def members(file: Reading, path: str, end: int) -> Iterator[Member]:
    """All of them, from the front; only headers are read. ``end``: where the archive does. Raises LayoutError."""
    return _Headers(file, path, end).members()


class _Headers:
    def __init__(self, file: Reading, path: str, end: int) -> None:
        self._file = file
        self._path = path
        self._end = end
        self._next = 0
        # where the last content ends, without what fills it up: that may be missing at the very end
        self._needed = 0
        self._extended = 0

    def members(self) -> Iterator[Member]:
        count = 0
        while (member := self._member()) is not None:
            count += 1
            if count > MAX_MEMBERS:
                raise self._error(f"it has more than {MAX_MEMBERS} members")
            yield member

    def _member(self) -> Member | None:
        """The next one, with what stands before it; None at the end."""
        said: dict[str, bytes] = {}
        extended = 0
        for _ in range(MAX_EXTENSIONS + 1):
            header = self._header()
            if header is None:
                return None
            kind, size = header[156:157], self._number(header[124:136])
            if kind not in EXTENSIONS:
                return self._made(header, kind, size, said)
            extended += size
            if size < 0 or extended > MAX_EXTENDED:
                raise self._error(f"it has a header of {size} bytes, which is not read")
            said |= self._extension(kind, size)
        raise self._error("it has headers of headers without end")

    def _header(self) -> bytes | None:
        """The next block with a header; None at the end of the archive, which need not be marked."""
        self._file.seek(self._next)
        if self._file.tell() < self._needed:
            raise self._error("it breaks off in its last member")
        header = self._file.read(BLOCK)
        if (not header and self._next) or (header and not header.strip(b"\0")):
            return None
        if len(header) < BLOCK or not self._is_header(header):
            raise self._error("it is not a tar archive, or a damaged one")
        self._next += BLOCK
        return header

    def _is_header(self, header: bytes) -> bool:
        """Its check sum, of all bytes but those of the sum itself."""
        stated = self._number(header[148:156])
        rest = header[:148] + b" " * 8 + header[156:]
        if stated == sum(rest):
            return True
        # as if bytes had a sign: old programs on some machines thought so
        return stated == sum(byte - 256 if byte > 127 else byte for byte in rest)

    def _extension(self, kind: bytes, size: int) -> dict[str, bytes]:
        """What it says of the member behind it: name and link, a size; what is global says nothing of names."""
        self._extended += size
        if self._extended > MAX_EXTENDED_IN_ALL:
            raise self._error(f"the names of its members have more than {MAX_EXTENDED_IN_ALL} bytes")
        raw = self._file.read(size)
        if len(raw) < size:
            raise self._error("it breaks off in a header")
        self._next += _blocks(size)
        if kind == LONG_NAME:
            return {"path": raw.partition(b"\0")[0]}
        if kind == LONG_LINK:
            return {"linkpath": raw.partition(b"\0")[0]}
        records = dict(self._records(raw))
        if any(key.startswith("GNU.sparse") for key in records):
            raise self._error("it has a sparse member, and no image has holes")
        return {} if kind == GLOBAL_PAX else records

    def _records(self, raw: bytes) -> Iterator[tuple[str, bytes]]:
        """Of pax: length in decimal, of all of it; a blank; key, =, value, and a line's end."""
        position = 0
        while position < len(raw) and raw[position]:
            blank = raw.find(b" ", position, position + 10)
            digits = raw[position : max(blank, position)]
            end = position + int(digits) if digits.isdigit() else 0
            record = raw[blank + 1 : end]
            key, equals, value = record[:-1].partition(b"=")
            if not blank < end <= len(raw) or not equals or record[-1:] != b"\n":
                raise self._error("it is a damaged tar archive: a pax record cannot be read")
            yield key.decode("utf-8", "replace"), value
            position = end

    def _made(self, header: bytes, kind: bytes, size: int, said: dict[str, bytes]) -> Member:
        name = said.get("path") or self._plain_name(header)
        if kind == SPARSE:
            raise self._error(f"its member {_text(name)} is sparse, and no image has holes")
        if "size" in said:
            size = int(said["size"]) if said["size"].isdigit() and len(said["size"]) < 20 else -1
        if kind == b"\0" and name.endswith(b"/"):  # how directories were written before there was a kind for them
            kind = DIRECTORY
        offset = self._next
        if kind not in WITHOUT_CONTENT:
            if not 0 <= size <= self._end - offset:
                raise self._error(f"it breaks off in its member {_text(name)}")
            self._next, self._needed = offset + _blocks(size), offset + size
        is_link = kind in (HARD_LINK, SYMBOLIC_LINK)
        link = _text(said.get("linkpath") or _field(header[157:257])) if is_link else None
        return Member(_text(name), kind not in WITHOUT_CONTENT, link, kind == SYMBOLIC_LINK, offset, size)

    def _plain_name(self, header: bytes) -> bytes:
        """GNU's archives have times where those of POSIX have the front of a name."""
        prefix = _field(header[345:500]) if header[257:263] == b"ustar\0" else b""
        name = _field(header[:100])
        return prefix + b"/" + name if prefix else name

    def _number(self, field: bytes) -> int:
        """Octal digits, or the number itself, with its first bit set, as GNU writes what is larger."""
        if field[0] in (0x80, 0xFF):
            return int.from_bytes(field[1:], "big") - (256 ** (len(field) - 1) if field[0] == 0xFF else 0)
        digits = field.strip(b" \0")
        if digits.translate(None, b"01234567"):
            raise self._error("it is not a tar archive, or a damaged one")
        return int(digits or b"0", 8)

    def _error(self, why: str) -> LayoutError:
        return LayoutError(self._path, why)


def _field(raw: bytes) -> bytes:
    return raw.partition(b"\0")[0]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _blocks(size: int) -> int:
    """Content is filled up to whole blocks."""
    return -(-size // BLOCK) * BLOCK
