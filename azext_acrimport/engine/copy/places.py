# SPDX-License-Identifier: MIT
"""What earlier runs have left for the next one to begin with."""

from __future__ import annotations

from ..content.descriptor import Descriptor
from ..content.digest import Digest

__all__ = ["BlobPlaces"]


class BlobPlaces:
    """What is remembered from earlier runs of where blobs are, and of images of which only some platforms were wanted.
    Nothing here; a subclass may remember.

    Only the calling thread asks and tells.
    """

    def where(self, registry: str, blob: Descriptor) -> str:
        """A repository of this registry that has held the blob; empty when none is known."""
        return ""

    def holds(self, registry: str, repository: str, blob: Descriptor) -> None:
        """Be told that this repository holds the blob now."""

    def left_of(self, image: Digest, platforms: str) -> Digest | None:
        """What an image is with these platforms only; None when that is not known."""
        return None

    def leaves(self, image: Digest, platforms: str, left: Digest) -> None:
        """Be told what it is with these platforms only."""
