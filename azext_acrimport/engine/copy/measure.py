# SPDX-License-Identifier: MIT
"""What one image may be at most: beyond it a source only keeps us busy, or wants our memory."""

from __future__ import annotations

from collections.abc import Iterable

from ..content.descriptor import Descriptor
from ..content.digest import Digest
from ..content.manifest import Manifest
from ..errors import ManifestError
from .request import CopyRequest

__all__ = ["Measure"]

# Indexes of indexes exist (two levels), and so do signatures of SBOMs; a loop is impossible with digests.
MAX_DEPTH = 6
# The largest known indexes have some hundred children.
MAX_MANIFESTS = 5000
# All manifests of an image are kept until they are pushed. They are some kilobytes each: five thousand fit in here.
MAX_BYTES = 32 * 1024 * 1024
# All that its manifests refer to, some 600 bytes of memory each. Images have up to 127 layers, models some thousand.
MAX_DESCRIPTORS = 50_000


class Measure:
    """Of one image. What is about to be read is counted before it is asked for, by what its descriptor says."""

    def __init__(self, request: CopyRequest) -> None:
        self._request = request
        self._expected: set[Digest] = set()
        self._bytes = 0
        self._descriptors = 0

    def expect(self, manifests: Iterable[Descriptor], depth: int = 0) -> None:
        """These will be read, so many levels below the whole. Raises ManifestError."""
        for descriptor in manifests:
            if descriptor.digest not in self._expected:
                self._expected.add(descriptor.digest)
                self._bytes += max(descriptor.size, 0)
        self._check(depth)

    def take(self, manifest: Manifest, stated: int) -> None:
        """This one has been read; ``stated``: the size that was known before, or -1. Raises ManifestError."""
        if stated < 0:
            self._bytes += len(manifest.raw)
        self._descriptors += len(manifest.manifests) + len(manifest.blobs) + len(manifest.foreign)
        self._check(0)

    def _check(self, depth: int) -> None:
        if depth > MAX_DEPTH or len(self._expected) > MAX_MANIFESTS:
            self._refuse("has more manifests, or nests them deeper, than any real image")
        if self._bytes > MAX_BYTES:
            self._refuse(f"has manifests of {self._bytes} bytes in all; no real image has {MAX_BYTES}")
        if self._descriptors > MAX_DESCRIPTORS:
            self._refuse(f"refers to more than {MAX_DESCRIPTORS} blobs and manifests; no real image does")

    def _refuse(self, why: str) -> None:
        request = self._request
        raise ManifestError(f"{request.identifier} {why}", origin="source", subject=request.key)
