# SPDX-License-Identifier: MIT
"""The first questions of an import, asked at once: what the source's tag names, and what each target tag names."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from ..content.descriptor import Descriptor
from ..content.digest import Digest
from ..content.manifest import Manifest
from ..errors import EngineError
from .driver import both, gather
from .referrers import Image
from .request import Destination
from .standing import Standing
from .tags import Tags

__all__ = ["AT_FIRST", "Resolution"]

# Connections a side for an image of which nothing is known yet but that it must be brought: most have so few blobs.
AT_FIRST = 6


class Resolution:
    """Of one image. ``tags`` is told what they name, ``given`` gets what has been read for that.

    ``enters``: of many images the first one has us let in at the source while the targets are asked. ``expect`` is told
    how many connections a side will be needed, as soon as that is likely.
    """

    def __init__(
        self,
        image: Image,
        tags: Tags,
        given: dict[Digest, Manifest],
        standing: Standing,
        *,
        enters: bool,
        expect: Callable[[int], None],
    ) -> None:
        self._image = image
        self._tags = tags
        self._given = given
        self._standing = standing
        self._enters = enters
        self._expect = expect

    async def run(self) -> Descriptor:
        """What the source names; the digest stands in the result. Raises EngineError."""
        targets = [(destination, tag) for destination in self._image.destinations for tag in destination.tags]
        named = gather(*(self._named_by(destination, tag) for destination, tag in targets))
        root, _ = await both(self._enter(), self._of_targets(named))
        return self._known(root) if root else await self._named_or_read()

    async def _named_by(self, destination: Destination, tag: str) -> None:
        found = await self._standing.named(destination.store, tag, self._image.reading_rank)
        self._tags.names(destination, tag, found)
        if found is None:
            self._expect(AT_FIRST)

    async def _enter(self) -> Descriptor | None:
        """None where being let in has not told what the tag names."""
        if not self._enters:
            return None
        source, identifier = self._image.request.source, self._image.request.identifier
        found = await self._image.ask("source", source, "read", lambda: source.enter(identifier))
        return _pinned(found, identifier) if found else None

    async def _of_targets(self, named: Coroutine[None, None, object]) -> None:
        """What they name. Where one refuses, the source may do so, too: that is said first, as it is to be mended."""
        try:
            await named
        except EngineError:
            if self._enters:
                await self._named_by_source()
            raise

    async def _named_by_source(self) -> Descriptor:
        source, identifier = self._image.request.source, self._image.request.identifier
        found = await self._image.ask("source", source, "read", lambda: source.resolve(identifier))
        return _pinned(found, identifier)

    async def _named_or_read(self) -> Descriptor:
        """Where no target has the tag yet, the manifest will be needed: one request for its digest and itself."""
        image, request, readings = self._image, self._image.request, self._image.readings
        source, identifier = request.source, request.identifier
        needless = self._tags.named(*image.destinations) or readings.shares_digests(source)
        if needless or request.platforms or ":" in identifier:
            return self._known(await self._named_by_source())
        root, raw = await image.ask("source", source, "read", lambda: source.read(identifier))
        manifest = Manifest.parse(raw, root.media_type, self._known(root).digest)
        self._given[root.digest] = manifest
        readings.learn(source, manifest, root.media_type)
        return root

    def _known(self, root: Descriptor) -> Descriptor:
        """Told at once: whatever comes next may fail."""
        self._image.result.digest = self._image.result.source_digest = root.digest
        return root


def _pinned(resolved: Descriptor, identifier: str) -> Descriptor:
    """When the user named a digest it is that one, whatever algorithm the registry prefers to state."""
    try:
        return Descriptor(resolved.media_type, Digest.parse(identifier), -1)
    except ValueError:
        return resolved
