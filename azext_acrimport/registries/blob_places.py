# SPDX-License-Identifier: MIT
"""Which repository of a registry held a blob, from one az to the next: a small file in az's configuration folder.

With it an image whose layers are in another repository since an earlier import is mounted, not sent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..engine import BlobPlaces, Descriptor, InvalidReference, parse_repository_tag
from .memory import Memory

NAME = "acrimport-blobs.json"
# A smaller blob is sent as fast as the question is asked.
WORTH_BYTES = 1_000_000
# The layers of some hundred images; about 700 kB, read in a few milliseconds.
MAX_ENTRIES = 5000


class RememberedPlaces(BlobPlaces):
    """Read when the first large blob is to be written, saved when the import has ended."""

    def __init__(self, folder: str) -> None:
        self._memory = Memory(folder, NAME, MAX_ENTRIES)

    def where(self, registry: str, blob: Descriptor) -> str:
        """As ``BlobPlaces.where``."""
        if blob.size < WORTH_BYTES:
            return ""
        return _repository(self._memory.get(f"{registry}/{blob.digest}"))

    def holds(self, registry: str, repository: str, blob: Descriptor) -> None:
        """As ``BlobPlaces.holds``."""
        if registry and blob.size >= WORTH_BYTES:
            self._memory.put(f"{registry}/{blob.digest}", repository)

    def save(self) -> None:
        """As ``Memory.save``."""
        self._memory.save()


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
