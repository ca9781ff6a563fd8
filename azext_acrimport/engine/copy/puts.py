# SPDX-License-Identifier: MIT
"""Writing manifests and tags: each manifest once in a run, and again when the target lacks what it said it had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from ..content.digest import Digest
from ..content.manifest import Manifest
from ..content.store import Source
from ..errors import BlobUnknown
from .blobs import Blobs
from .driver import Driver
from .once import UnderWay
from .queues import Rank
from .request import Destination

__all__ = ["Puts", "Stored"]

T = TypeVar("T")


@dataclass(slots=True)
class Stored:
    """Of one run: the manifests that it has put, by place; what is being put, by place and digest or tag."""

    driver: Driver
    digests: dict[str, set[Digest]] = field(default_factory=dict)
    under_way: UnderWay = field(init=False)

    def __post_init__(self) -> None:
        self.under_way = UnderWay(self.driver.promise)

    def has(self, place: str, digest: Digest) -> bool:
        """Whether the manifest has been put there, for whichever image."""
        return digest in self.digests.get(place, ())


class Puts:
    """Of one image. ``manifests``: all that were read of it; ``wanted``: whether it still goes on."""

    def __init__(
        self,
        stored: Stored,
        blobs: Blobs,
        source: Source,
        manifests: Mapping[Digest, Manifest],
        ranks: tuple[Rank, Rank],
        wanted: Callable[[], bool],
    ) -> None:
        self._stored = stored
        self._blobs = blobs
        self._source = source
        self._manifests = manifests
        self._moving_rank, self._writing_rank = ranks
        self._wanted = wanted

    async def by_digest(self, destination: Destination, manifest: Manifest) -> None:
        """Under its digest, once in a run: many images have the same one."""
        digest, stored = manifest.descriptor.digest, self._stored
        there, here = stored.digests.setdefault(destination.key, set()), (destination.key, digest)
        while digest not in there:
            if not await stored.under_way.end_of(here):
                await stored.under_way.at(here, lambda: self._put_by_digest(destination, manifest))
                there.add(digest)

    async def by_tag(self, destination: Destination, tag: str, manifest: Manifest, put: Callable[[], T]) -> T:
        """``put``, which looks at the tag before it writes it; one after the other where two images want the same."""
        here = destination.key, tag
        while await self._stored.under_way.end_of(here):
            pass
        return await self._stored.under_way.at(here, lambda: self._put_whole(destination, manifest, put))

    async def _put_by_digest(self, destination: Destination, manifest: Manifest) -> None:
        store, descriptor = destination.store, manifest.descriptor
        put = partial(store.put_manifest, descriptor.digest, descriptor.media_type, manifest.raw)
        await self._put_whole(destination, manifest, put)

    async def _put_whole(self, destination: Destination, manifest: Manifest, put: Callable[[], T]) -> T:
        """When the target misses something that it said it had, bring that once, and put again."""
        try:
            return await self._asked(destination, put)
        except BlobUnknown:
            for blob in manifest.blobs:
                await self._blobs.push(blob, destination.store, self._source, self._moving_rank)
            for child in manifest.manifests:
                if child.digest in self._manifests:
                    await self._put_by_digest(destination, self._manifests[child.digest])
            return await self._asked(destination, put)

    async def _asked(self, destination: Destination, put: Callable[[], T]) -> T:
        driver, store = self._stored.driver, destination.store
        return await driver.ask("target", store, "write", put, self._writing_rank, wanted=self._wanted)
