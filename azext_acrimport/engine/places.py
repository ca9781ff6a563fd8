# SPDX-License-Identifier: MIT
"""What is remembered of where blobs are: a hint of where to mount from, which the mount itself proves or disproves."""

from __future__ import annotations

from .descriptor import Descriptor

__all__ = ["BlobPlaces"]


class BlobPlaces:
    """Nothing is remembered. A subclass may; only the calling thread of plans and runs asks and tells."""

    def where(self, registry: str, blob: Descriptor) -> str:
        """A repository of this registry that has held the blob; empty when none is known."""
        return ""

    def holds(self, registry: str, repository: str, blob: Descriptor) -> None:
        """Be told that this repository holds the blob now."""
