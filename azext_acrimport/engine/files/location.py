# SPDX-License-Identifier: MIT
"""What a source may be: an image in a registry, or content in files of this machine.

``oci:DIR[:TAG]``, ``oci-archive:FILE[:TAG]`` and ``docker-archive:FILE[:REPOSITORY:TAG]`` are written as for skopeo.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ..content.reference import Reference
from ..errors import InvalidReference

__all__ = ["LayoutReference", "parse_location"]

Kind = Literal["oci", "oci-archive", "docker-archive"]
KINDS: tuple[Kind, ...] = ("oci", "oci-archive", "docker-archive")

# The colon of a Windows drive separates nothing.
DRIVE = re.compile(r"[A-Za-z]:[\\/]")
DIGEST = re.compile(r"sha[0-9]+:.*")


@dataclass(frozen=True, slots=True)
class LayoutReference:
    """``name``: the tag, digest, or repository and tag in there; empty for the only image. ``str()`` is read back."""

    kind: Kind
    path: str
    name: str = ""

    @property
    def repository(self) -> str:
        """The repository that the name holds, without a registry; empty where there is none in it."""
        name = self._parts[0]
        first, slash, rest = name.partition("/")
        return rest if slash and ("." in first or ":" in first or first == "localhost") else name

    @property
    def tag(self) -> str | None:
        """The tag that is named; None without one, and for a digest."""
        return self._parts[1] or None

    @property
    def _parts(self) -> tuple[str, str]:
        """Repository and tag. A layout names an image by its tag, or as containerd does by all of its name."""
        if not self.name or DIGEST.fullmatch(self.name):
            return "", ""
        repository, colon, tag = self.name.rpartition(":")
        if colon and "/" not in tag:
            return repository, tag
        return (self.name, "") if "/" in self.name else ("", self.name)

    def __str__(self) -> str:
        separator = "@" if DIGEST.fullmatch(self.name) else ":"
        return f"{self.kind}:{self.path}{separator if self.name else ''}{self.name}"


def parse_location(text: str) -> Reference | LayoutReference:
    """Read any source. Raises InvalidReference. No file is looked at."""
    for kind in KINDS:
        if text.startswith(f"{kind}:") and not text.startswith("oci://"):  # as Helm writes what is in a registry
            return _layout(kind, text)
    return Reference.parse(text)


def _layout(kind: Kind, text: str) -> LayoutReference:
    rest = text[len(kind) + 1 :]
    drive = 2 if DRIVE.match(rest) else 0
    path, at, digest = rest[drive:].partition("@sha")
    path, name = path.removesuffix(":"), f"sha{digest}"  # a digest is offered with its @, and may follow a colon
    if not at or kind == "docker-archive":
        path, at, name = rest[drive:].partition(":")
    if not path:
        raise InvalidReference(text, "the path is missing")
    if at and not name:
        raise InvalidReference(text, "nothing follows the last colon")
    if at and kind == "docker-archive" and not re.fullmatch(r"[^\s@]+:[^\s@/:]+", name):
        raise InvalidReference(text, f"'{name}' is not a repository and a tag")
    return LayoutReference(kind, rest[:drive] + path, name if at else "")
