# SPDX-License-Identifier: MIT
"""The last part of an image's story: its manifests and tags are put, in an order that leaves nothing half said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from ..content.digest import Digest
from ..content.manifest import Manifest
from .missing import Missing, levels
from .progress import Share
from .puts import Puts
from .referrers import Image, put_cosigned
from .report import Attachment
from .request import Destination
from .tags import LastLooks, Tags, put_tag

__all__ = ["Writing"]


class Writing:
    """Of one image, to all destinations that lack some of it. ``looks``: None where others fill each wait."""

    def __init__(
        self,
        image: Image,
        puts: Puts,
        tags: Tags,
        looks: LastLooks | None,
        share: Share,
        manifests: Mapping[Digest, Manifest],
    ) -> None:
        self._image = image
        self._puts = puts
        self._tags = tags
        self._looks = looks
        self._share = share
        self._manifests = manifests
        self._missing: Sequence[Missing] = ()

    def begin(self, missing: Sequence[Missing]) -> None:
        """Be told what will be put, when its blobs are there."""
        self._missing = missing
        self._share.expect(0, 0, sum(lack.puts for lack in missing))

    def blobs_are_read(self) -> None:
        """Be told that the last bytes are being sent: time to look at tags before which nothing else is put."""
        for lack in self._missing:
            if not _steps(lack):
                self._look_at_tags(lack)

    async def write(self, root: Digest) -> None:
        """All of it. Raises EngineError."""
        at_once = self._image.at_once
        await at_once(*(self._put_manifests(lack) for lack in self._missing))
        await at_once(*(self._put_root(root, lack.destination, tag) for lack in self._missing for tag in lack.tags))

    async def _put_manifests(self, lack: Missing) -> None:
        """Whatever is there of an image has all that vouches for it, also when it was interrupted."""
        steps = _steps(lack)
        for number, step in enumerate(steps, 1):
            if number == len(steps):
                self._look_at_tags(lack)
            await self._image.at_once(*(self._put(lack.destination, each) for each in step))

    async def _put(self, destination: Destination, what: Manifest | Attachment) -> None:
        if isinstance(what, Manifest):
            await self._puts.by_digest(destination, what)
        else:
            manifest = self._manifests[what.descriptor.digest]
            put = partial(put_cosigned, destination, what.tag, manifest, self._image.request.force)
            await self._puts.by_tag(destination, what.tag, manifest, put)
        self._share.manifest_done()

    async def _put_root(self, root: Digest, destination: Destination, tag: str) -> None:
        """The last thing that happens to an image."""
        image, manifest, judged = self._image, self._manifests[root], self._tags.named_by(destination, tag)
        look = await self._looks.end(destination, tag) if self._looks else None
        put = partial(put_tag, destination, tag, manifest, judged, image.request.force, look)
        self._tags.names(destination, tag, await self._puts.by_tag(destination, tag, manifest, put))
        self._share.manifest_done()
        image.result.written += (f"{destination.store.repository}:{tag}",)

    def _look_at_tags(self, lack: Missing) -> None:
        """While the last of what must be there before them is on its way."""
        if self._looks:
            self._looks.begin(lack.destination, lack.tags)


def _steps(lack: Missing) -> list[Sequence[Manifest | Attachment]]:
    """What is put before its tags: what vouches for the image first, then children before parents."""
    steps: tuple[Sequence[Manifest | Attachment], ...]
    steps = *levels(lack.vouching), lack.cosigned, *levels(lack.manifests)
    return [step for step in steps if step]
