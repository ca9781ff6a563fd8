# SPDX-License-Identifier: MIT
"""What has been read of the sources: manifests and lists of referrers by digest, tags by repository; each once.

Stories that want the same at the same moment share one reading. What was read last is kept for those that come later;
not all of it, since ten thousand images are not to be in memory at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from ..content.descriptor import Descriptor
from ..content.digest import Digest
from ..content.manifest import Manifest
from ..content.store import Source, key_of
from ..errors import EngineError, QuotaSpent
from .driver import Driver
from .queues import Rank
from .request import CopyRequest

__all__ = ["Readings"]

V = TypeVar("V")

# Bytes of manifests that are kept after the last story that read them; some thousand manifests.
KEPT_BYTES = 4 * 1024 * 1024
# Lists of referrers that are kept, and descriptors in them together.
KEPT_DESCRIPTORS = 20_000
# A listing that is shared may take as many requests as asking for each image's tags would.
QUESTIONS_AN_IMAGE = 3
# Reading a tag there counts as a pull, asking what it names does not: a digest that two tags share is read once.
COUNTS_PULLS = frozenset({"docker.io"})


class Readings:
    """Of one run. ``requests`` tell how many images each source repository is asked for."""

    def __init__(self, driver: Driver, requests: Iterable[CopyRequest]) -> None:
        self._driver = driver
        self._images = Counter(request.key for request in requests)
        self._manifests: _Kept[Manifest] = _Kept(driver, KEPT_BYTES, lambda manifest: len(manifest.raw))
        self._referrers: _Kept[Sequence[Descriptor]] = _Kept(driver, KEPT_DESCRIPTORS, lambda found: 1 + len(found))
        self._tags: _Kept[frozenset[str] | None] = _Kept(driver, KEPT_DESCRIPTORS, lambda tags: 1)
        self._named: _Kept[Descriptor | None] = _Kept(driver, KEPT_DESCRIPTORS, lambda found: 1)
        self._shared: set[str] = set()
        self._turns: dict[str, asyncio.Lock] = {}
        self._too_few: dict[str, int] = {}

    @asynccontextmanager
    async def turn(self, source: Source) -> AsyncIterator[None]:
        """Where manifests are counted, one image is read after the other: what is spent then completes images."""
        if source.quota is None:
            yield
            return
        async with self._turns.setdefault(source.registry, asyncio.Lock()):
            yield

    def require(self, source: Source, count: int) -> None:
        """Raise QuotaSpent where the place would not let so many manifests be read, or has not for an earlier image."""
        quota = source.quota
        if quota is not None and count and (quota.left < count or quota.left <= self._too_few.get(source.registry, -1)):
            self._too_few[source.registry] = quota.left
            raise QuotaSpent(source.registry, count, *quota)

    def shares_digests(self, source: Source) -> bool:
        """Whether it is better to ask what a tag names before it is read: then several tags cost one reading.

        Where readings are counted, the answer also tells whether one is left.
        """
        return self.counts_pulls(source) or key_of(source) in self._shared

    def counts_pulls(self, source: Source) -> bool:
        """Whether reading a manifest there is counted, and soon refused."""
        return source.registry in COUNTS_PULLS

    def learn(self, source: Source, manifest: Manifest, media_type: str) -> None:
        """Keep what was read in another way: by its tag."""
        key = key_of(source), manifest.descriptor.digest, media_type
        if self._manifests.has(key):
            self._shared.add(key_of(source))
        self._manifests.keep(key, manifest)

    async def manifest(self, source: Source, descriptor: Descriptor, rank: Rank, *, as_served: bool) -> Manifest:
        """The manifest, verified. Its own mediaType wins; else what the descriptor says, or how it is served."""

        async def read() -> Manifest:
            self.require(source, 1)
            raw, media_type = await self._driver.ask(
                "source", source, "read", lambda: source.manifest(descriptor.digest, descriptor.size), rank
            )
            return Manifest.parse(raw, media_type if as_served else descriptor.media_type, descriptor.digest)

        return await self._manifests.get((key_of(source), descriptor.digest, descriptor.media_type), read)

    async def referrers(self, source: Source, subject: Digest, rank: Rank) -> Sequence[Descriptor]:
        """As ``Source.referrers``."""

        async def read() -> Sequence[Descriptor]:
            return await self._driver.ask("source", source, "referrers", lambda: source.referrers(subject), rank)

        return await self._referrers.get((key_of(source), subject), read)

    async def named(self, source: Source, tag: str, rank: Rank) -> Descriptor | None:
        """As ``Source.find``, for a tag that is no image's."""

        async def read() -> Descriptor | None:
            return await self._driver.ask("source", source, "read", lambda: source.find(tag), rank)

        return await self._named.get((key_of(source), tag), read)

    async def tags(self, source: Source, rank: Rank) -> frozenset[str] | None:
        """All tags of the repository; None where asking for single ones is cheaper, or where it cannot be told."""
        images = self._images[key_of(source)]
        if images < 2:
            return None

        async def read() -> frozenset[str] | None:
            pages = images * QUESTIONS_AN_IMAGE
            found = await self._driver.ask("source", source, "read", lambda: source.list_tags(pages), rank)
            return None if found is None else frozenset(found)

        return await self._tags.get(key_of(source), read)


class _Kept(Generic[V]):
    """Values by key; the oldest go when all together are larger than ``most``."""

    def __init__(self, driver: Driver, most: int, size: Callable[[V], int]) -> None:
        self._driver = driver
        self._left = most
        self._size = size
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._under_way: dict[Hashable, asyncio.Future[V]] = {}

    def has(self, key: Hashable) -> bool:
        return key in self._values

    def keep(self, key: Hashable, value: V) -> None:
        if key not in self._values:
            self._values[key] = value
            self._left -= self._size(value)
        while self._left < 0 and len(self._values) > 1:
            self._left += self._size(self._values.popitem(last=False)[1])

    async def get(self, key: Hashable, read: Callable[[], Awaitable[V]]) -> V:
        """What is kept, or what is being read, or what is read now. A failure is for all who wait for it."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        if key in self._under_way:
            return await self._under_way[key]
        future = self._under_way[key] = self._driver.promise()
        try:
            value = await read()
        except EngineError as error:
            future.set_exception(error)
            future.exception()  # heard, also when nobody waits
            raise
        finally:
            del self._under_way[key]
        future.set_result(value)
        self.keep(key, value)
        return value
