# SPDX-License-Identifier: MIT
"""Which repository of a registry held a blob, from one az to the next: a small file in az's configuration folder.

With it an image whose layers are in another repository since an earlier import is mounted, not sent. In a second file:
what was left of an image of which only some platforms were wanted. With it such an image is not read again, which
Docker Hub would count, to see that it is there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..engine import BlobPlaces, Descriptor, Digest, InvalidReference, parse_repository_tag
from .memory import Memory

PLATFORMS = "acrimport-platforms.json"
# The images of a large batch; about 2 MB, read only where platforms are named.
MAX_IMAGES = 10_000
NAME = "acrimport-blobs.json"
# A smaller blob is sent as fast as the question is asked.
WORTH_BYTES = 1_000_000
# The layers of some hundred images; about 700 kB, read in a few milliseconds.
MAX_ENTRIES = 5000


class RememberedPlaces(BlobPlaces):
    """Read when the first large blob is to be written, saved when the import has ended."""

    def __init__(self, folder: str) -> None:
        self._memory = Memory(folder, NAME, MAX_ENTRIES)
        self._left = Memory(folder, PLATFORMS, MAX_IMAGES)

    def where(self, registry: str, blob: Descriptor) -> str:
        """As ``BlobPlaces.where``."""
        if blob.size < WORTH_BYTES:
            return ""
        return _repository(self._memory.get(f"{registry}/{blob.digest}"))

    def holds(self, registry: str, repository: str, blob: Descriptor) -> None:
        """As ``BlobPlaces.holds``."""
        if registry and blob.size >= WORTH_BYTES:
            self._memory.put(f"{registry}/{blob.digest}", repository)

    def left_of(self, image: Digest, platforms: str) -> Digest | None:
        """As ``BlobPlaces.left_of``."""
        try:
            return Digest.parse(self._left.get(f"{image} {platforms}"))
        except ValueError:
            return None

    def leaves(self, image: Digest, platforms: str, left: Digest) -> None:
        """As ``BlobPlaces.leaves``."""
        self._left.put(f"{image} {platforms}", str(left))

    def save(self) -> None:
        """As ``Memory.save``."""
        self._memory.save()
        self._left.save()


@contextlib.contextmanager
def remembered(cli_ctx: Any) -> Iterator[RememberedPlaces]:
    """What earlier azs have left, and at its end what this one leaves."""
    places = RememberedPlaces(cli_ctx.config.config_dir)
    try:
        yield places
    finally:
        places.save()


def _repository(name: str) -> str:
    """The name where it is one: it becomes part of a scope and of a URL, and anybody may have written the file."""
    try:
        repository, tag, digest = parse_repository_tag(name)
    except InvalidReference:
        return ""
    return "" if tag or digest else repository
