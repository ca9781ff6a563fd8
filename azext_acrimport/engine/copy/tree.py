# SPDX-License-Identifier: MIT
"""The manifests of one image, read as far as some destination lacks them."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from ..content.descriptor import ATTESTED, Descriptor
from ..content.digest import Digest
from ..content.manifest import Manifest
from .driver import gather
from .measure import Measure
from .referrers import Image
from .request import Destination

__all__ = ["Tree"]


class Tree:
    """``manifests``: those that have been read, what vouches for the image included; what was not is everywhere.

    ``given``: those that need not be asked for. ``present``: what is known to be there, by place and digest.
    ``depths``: every digest that has been met. ``settled``: the whole is everywhere, so its own parts are; those of
    what vouches for it need not be.
    """

    def __init__(self, image: Image) -> None:
        self.given: dict[Digest, Manifest] = {}
        self.manifests: dict[Digest, Manifest] = {}
        self.present: set[tuple[str, Digest]] = set()
        self.depths: dict[Digest, int] = {}
        self.settled = False
        self._image = image
        self._root: Descriptor
        self._own: set[Digest] = set()
        self._measure = Measure(image.request)

    def begin(self, root: Descriptor) -> None:
        """The whole, from which all depths count."""
        self._root = root
        self.depths[root.digest] = 0
        self._own.add(root.digest)

    async def look(self, likely: Sequence[Destination]) -> None:
        """Read the whole, look for it at these destinations, and then for its parts."""
        await gather(self._read(self._root), *(self._look_for(destination, self._root) for destination in likely))
        await self._look_at_children(self.manifests[self._root.digest])

    async def read(self, descriptor: Descriptor) -> Manifest:
        """The manifest, and those below it that some destination lacks."""
        await self._read(descriptor)
        manifest = self.manifests[descriptor.digest]
        await self._look_at_children(manifest)
        return manifest

    async def _look_for(self, destination: Destination, descriptor: Descriptor) -> None:
        store, identifier, here = destination.store, str(descriptor.digest), (destination.key, descriptor.digest)
        if here in self.present:
            return
        image = self._image
        there = image.has_put(*here)
        if not there and not await image.is_new(store):
            there = await image.ask("target", store, "read", lambda: store.find(identifier) is not None)
        if there:
            self.present.add(here)

    async def _look_at_children(self, manifest: Manifest) -> None:
        depth = self.depths[manifest.descriptor.digest] + 1
        new = [child for child in manifest.manifests if child.digest not in self.depths]
        self.depths.update({child.digest: depth for child in new})
        if manifest.descriptor.digest in self._own:
            self._own.update(child.digest for child in new)
        if new:
            self._measure.expect(new, depth)
        if not self._is_everywhere(self._root):
            self._image.readings.require(self._image.request.source, len(new))
        await gather(*map(self._look_at_child, new))

    async def _look_at_child(self, child: Descriptor) -> None:
        """Where a destination lacks the whole, its parts are worth reading before they are looked for."""
        image = self._image
        if self.settled and child.digest in self._own:
            self.present.update((destination.key, child.digest) for destination in image.destinations)
        works: list[Coroutine[Any, Any, object]] = [self._look_for(place, child) for place in image.destinations]
        if image.request.referrers and ATTESTED not in child.annotations:
            image.find_attachments_of(child)
        read_now = not self._is_everywhere(self._root) or child.is_index
        if read_now:
            works.append(self.read(child))
        await gather(*works)
        if not read_now and not self._is_everywhere(child):
            await self.read(child)

    def _is_everywhere(self, descriptor: Descriptor) -> bool:
        return all((destination.key, descriptor.digest) in self.present for destination in self._image.destinations)

    async def _read(self, descriptor: Descriptor) -> None:
        image, digest = self._image, descriptor.digest
        self._measure.expect([descriptor])
        manifest = self.given.get(digest) or await image.readings.manifest(
            image.request.source, descriptor, image.reading_rank, as_served=self.depths[digest] == 0
        )
        if digest in self.manifests:
            return
        self._measure.take(manifest, descriptor.size)
        self.manifests[digest] = manifest
        image.result.manifests += digest not in image.attachments
        if manifest.foreign:
            count = len(manifest.foreign)
            layers = f"{count} foreign layer{'' if count == 1 else 's'}"
            image.result.notices += (f"Left out of {digest}, since no registry holds them: {layers}",)
