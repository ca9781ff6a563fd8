# SPDX-License-Identifier: MIT
"""The story of one image, from request to result.

What the source's tag names, and what the targets name; refuse early; what is missing, and what vouches for it;
*planned*; blobs, manifests, tags. A dry run and the choice of another engine end at *planned*. What many stories must
know of each other is in ``Shared``; what only this one knows ends with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ..content.descriptor import Descriptor
from ..content.digest import Digest
from ..content.manifest import Manifest
from ..content.store import Outcome, Source, Target
from ..errors import BlobUnknown, Cancelled, Origin, TagConflict
from .blobs import Blobs
from .driver import Driver, gather
from .limits import Kind
from .missing import Missing, levels, missing_at
from .once import UnderWay
from .platforms import select
from .progress import Share, Totals
from .queues import Rank
from .readings import Readings
from .referrers import Attachment, Attachments
from .report import Action, Change, ItemResult
from .request import CopyRequest, Destination
from .tree import Tree

__all__ = ["ImageCopy", "Planned", "Shared"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Planned:
    """An image of which all is known that must be done. ``bytes_at_most``: of blobs that the target may lack.

    ``counted``: the result's blobs and bytes tell what would happen to each.
    """

    request: CopyRequest
    result: ItemResult
    attachments: tuple[Attachment, ...]
    bytes_at_most: int
    counted: bool


@dataclass(slots=True)
class Shared:
    """What all stories of a run have in common. ``go_on`` is asked at *planned*, in the calling thread.

    ``count_above``: bytes from which on the target is asked for each blob before that.
    """

    driver: Driver
    blobs: Blobs
    readings: Readings
    totals: Totals
    go_on: Callable[[Planned], bool]
    count_above: int | None
    putting: UnderWay = field(init=False)
    # manifests that this run has put, by place
    stored: dict[str, set[Digest]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.putting = UnderWay(self.driver.promise)


class ImageCopy:
    """One image on its way. ``run`` is the story; the rest is what it calls, in the same order."""

    def __init__(self, shared: Shared, request: CopyRequest, result: ItemResult, number: int) -> None:
        self.request = request
        self.result = result
        self.readings = shared.readings
        self.destinations = request.destinations
        self.reading_rank: Rank = (number, 2)
        self._shared = shared
        self._moving_rank: Rank = (number, 1)
        self._writing_rank: Rank = (number, 0)
        # of many images, the first asks both sides at once, so that both let us in meanwhile
        self._asks_both = number == 0 or not all(destination.tags for destination in request.destinations)
        self._root: Descriptor
        self._existing: dict[tuple[str, str], Digest | None] = {}
        self._tree = Tree(self)
        self.attachments = Attachments(self, self._tree.depths)
        self._share: Share
        self._over = False

    async def run(self) -> None:
        """To the end, which stands in the result. Raises EngineError when that is none."""
        await self._resolve()
        await self._select_platforms()
        moved = self._judge_tags()
        await self._find_out(moved)
        self.result.changes = tuple(self._changes())
        tree, digest = self._tree, self._root.digest
        parts = tree, self.attachments, self.has_put
        missing = [missing_at(destination, digest, *parts) for destination in self.destinations]
        for lack in missing:
            lack.refuse_strangers({*tree.depths, digest, self.result.source_digest})
            if lack.left_out:
                was_there = f"images that {lack.destination.key} had before"
                self.result.notices += (f"{lack.left_out} referrer(s) of {was_there}: left out",)
        if not any(lack.puts for lack in missing):
            self.result.status = "unchanged"
            return
        if not await self._is_planned(missing):
            return
        try:
            await self._at_once(
                *(self._bring(lack.destination, blob) for lack in missing for blob in lack.blobs.values())
            )
            await self._at_once(*(self._put_manifests(lack) for lack in missing))
            await self._at_once(*(self._put_root(lack.destination, tag) for lack in missing for tag in lack.tags))
        finally:
            self._over = True
            self._share.end()
        self.result.status = "updated" if moved else "copied"

    async def ask(self, side: Origin, store: Source | Target, kind: Kind, work: Callable[[], T]) -> T:
        """Have a worker ask one of the places something."""
        return await self._shared.driver.ask(side, store, kind, work, self.reading_rank)

    async def read_tree(self, descriptor: Descriptor) -> Manifest:
        """The manifest, and those below it that some destination lacks."""
        return await self._tree.read(descriptor)

    def has_put(self, place: str, digest: Digest) -> bool:
        """Whether this run has put the manifest there, for this image or another one."""
        return digest in self._shared.stored.get(place, ())

    async def _resolve(self) -> None:
        """What the source's tag names, and what each target tag names."""
        named = [self._named_by(destination, tag) for destination in self.destinations for tag in destination.tags]
        if self._asks_both:
            await gather(self._named_by_source(), *named)
        else:
            await gather(*named)
            await self._named_or_read()
        self.result.digest = self.result.source_digest = self._root.digest

    async def _named_by(self, destination: Destination, tag: str) -> None:
        store = destination.store
        found = await self.ask("target", store, "read", lambda: store.find(tag))
        self._existing[destination.key, tag] = found.digest if found else None

    async def _named_by_source(self) -> None:
        source, identifier = self.request.source, self.request.identifier
        resolved = await self.ask("source", source, "read", lambda: source.resolve(identifier))
        self._root = _pinned(resolved, identifier)

    async def _named_or_read(self) -> None:
        """Where no target has the tag yet, the manifest will be needed: one request for its digest and itself."""
        source, identifier = self.request.source, self.request.identifier
        by_digest = ":" in identifier
        if any(self._existing.values()) or self.request.platforms or by_digest or self.readings.shares_digests(source):
            await self._named_by_source()
            return
        self._root, raw = await self.ask("source", source, "read", lambda: source.read(identifier))
        self.result.digest = self.result.source_digest = self._root.digest
        manifest = Manifest.parse(raw, self._root.media_type, self._root.digest)
        self._tree.given[self._root.digest] = manifest
        self.readings.learn(source, manifest, self._root.media_type)

    async def _select_platforms(self) -> None:
        """Only some of them: from here on the smaller index is the image."""
        source, root, wanted, name = self.request.source, self._root, self.request.platforms, self.request.name
        if not wanted:
            return
        selection = await self.ask("source", source, "read", lambda: select(source, root, wanted, name))
        self._tree.given |= selection.read
        self._root = selection.root.descriptor
        if self._root.digest != root.digest:
            listed = ", ".join(map(str, wanted))
            notice = f"Only {listed}: the index is a smaller one, {self._root.digest} instead of {root.digest}"
            self.result.notices += (notice,)
        self.result.digest = self._root.digest

    def _judge_tags(self) -> frozenset[str]:
        """Refuse a missing right and a conflict before anything moves; the tags that move, with their registry.

        Only the destinations are left at which something may be done, with the tags that must be written.
        """
        digest, moved, left = self._root.digest, [], []
        for destination in self.destinations:
            destination.store.require_push()
            for tag in destination.tags:
                existing = self._existing[destination.key, tag]
                if existing not in (None, digest):
                    moved.append(f"{destination.key}:{tag}")
        self.result.changes = tuple(self._changes())
        self._tree.settled = True
        for destination in self.destinations:
            tags = tuple(tag for tag in destination.tags if self._existing[destination.key, tag] != digest)
            for tag in tags:
                existing = self._existing[destination.key, tag]
                if existing is not None and not self.request.force:
                    raise TagConflict(f"{destination.key}:{tag}", str(existing), str(digest))
            if len(tags) < len(destination.tags):
                self._tree.present.add((destination.key, digest))
            self._tree.settled &= bool(destination.tags) and not tags
            if tags or not destination.tags or self.request.referrers:
                left.append(Destination(destination.store, tags))
        self.destinations = tuple(left)
        return frozenset(moved)

    def _changes(self) -> Iterator[Change]:
        digest = self._root.digest
        for destination in self.request.destinations:
            repository = destination.store.repository
            for tag in destination.tags:
                existing = self._existing[destination.key, tag]
                action: Action = "create" if existing is None else "none" if existing == digest else "move"
                yield Change(f"{repository}:{tag}", action, existing)
            if not destination.tags:
                there = (destination.key, digest) in self._tree.present
                yield Change(repository, "none" if there else "create", digest if there else None)

    async def _find_out(self, moved: frozenset[str]) -> None:
        """What the targets have of it, and what vouches for it; the manifests of what they lack are read."""
        settled = self._tree.settled
        if settled and not self.request.referrers:
            return
        self._tree.begin(self._root)
        if not settled:
            works: list[Coroutine[Any, Any, None]] = [
                self._require_writable(destination, moved)
                for destination in self.destinations
                if destination.store.tells_locks
            ]
            await gather(
                *works, self._tree.look(self._likely()), *([self._find_attachments()] if self.request.referrers else [])
            )
            return
        await self._find_attachments()
        lacks = self.request.force or any(attachment.lacking for attachment in self.attachments.all)
        # an image that is there may have been imported without what vouches for its platforms
        if self._root.is_index and (lacks or self.result.digest != self.result.source_digest):
            await self.read_tree(self._root)

    def _likely(self) -> list[Destination]:
        """Where none of its tags exists, one image hardly does, and its few blobs are looked for when it is their turn.

        Of an index it is worth knowing: its images need not be read then.
        """
        likely = []
        for destination in self.destinations:
            known = [self._existing[destination.key, tag] for tag in destination.tags]
            if self._root.is_index or not known or any(known) or destination.key == self.request.key:
                likely.append(destination)
        return likely

    async def _require_writable(self, destination: Destination, moved: frozenset[str]) -> None:
        store, digest = destination.store, self._root.digest
        tags = [tag for tag in destination.tags if f"{destination.key}:{tag}" in moved]
        await self.ask("target", store, "read", lambda: store.require_writable(tags, digest))

    async def _find_attachments(self) -> None:
        """What refers to the whole. An index that was written anew is not what they refer to."""
        if self.result.digest == self.result.source_digest:
            await self.attachments.find(self._root)

    async def _is_planned(self, missing: Sequence[Missing]) -> bool:
        """All is known; whether it shall be done. What is there is counted now, all else when it is."""
        shared, result = self._shared, self.result
        blobs = {blob.digest: blob for manifest in self._tree.manifests.values() for blob in manifest.blobs}
        for lack in missing:
            for blob in blobs.values():
                if blob.digest not in lack.blobs:
                    self._tally("existing", blob)
        wanted = [(lack, blob) for lack in missing for blob in lack.blobs.values()]
        at_most = sum(blob.size for _, blob in wanted)
        counted = shared.count_above is not None and at_most > shared.count_above
        if counted:
            before = replace(result.blobs), replace(result.bytes)
            await gather(*(self._foresee(lack.destination, blob) for lack, blob in wanted))
        if not shared.go_on(Planned(self.request, result, self.attachments.all, at_most, counted)):
            return False
        if counted:
            result.blobs, result.bytes = before
        self._share = shared.totals.share(len(wanted), at_most, sum(lack.puts for lack in missing))
        return True

    async def _foresee(self, destination: Destination, blob: Descriptor) -> None:
        blobs, source = self._shared.blobs, self.request.source
        self._tally(await blobs.foresee(blob, destination.store, source, self.reading_rank), blob)

    async def _bring(self, destination: Destination, blob: Descriptor) -> None:
        blobs, source = self._shared.blobs, self.request.source
        outcome = await blobs.bring(blob, destination.store, source, self._moving_rank, self._goes_on)
        self._tally(outcome, blob)
        self._share.blob_done(blob.size)

    def _goes_on(self) -> bool:
        return not self._over

    def _tally(self, outcome: Outcome, blob: Descriptor) -> None:
        self.result.blobs.add(outcome, 1)
        self.result.bytes.add(outcome, blob.size)

    async def _put_manifests(self, lack: Missing) -> None:
        """What vouches for the image first, then children before parents; its tag is the last of it.

        Whatever is there of an image has all that vouches for it, also when it was interrupted.
        """
        for level in levels(lack.vouching):
            await self._at_once(*(self._put(lack.destination, manifest) for manifest in level))
        await self._at_once(*(self._put_tag(lack.destination, manifest, tag) for tag, manifest in lack.tagged.items()))
        for level in levels(lack.manifests):
            await self._at_once(*(self._put(lack.destination, manifest) for manifest in level))

    async def _put(self, destination: Destination, manifest: Manifest) -> None:
        """Under its digest, once in a run: many images have the same one."""
        shared, here = self._shared, (destination.key, manifest.descriptor.digest)
        there = shared.stored.setdefault(destination.key, set())
        while manifest.descriptor.digest not in there:
            if not await shared.putting.end_of(here):
                await shared.putting.at(here, lambda: self._put_whole(destination, manifest))
                there.add(manifest.descriptor.digest)
        self._share.manifest_done()

    async def _put_tag(self, destination: Destination, manifest: Manifest, tag: str) -> None:
        await self._put_whole(destination, manifest, tag)
        self._share.manifest_done()

    async def _put_root(self, destination: Destination, tag: str) -> None:
        """The last thing that happens to an image."""
        await self._put_tag(destination, self._tree.manifests[self._root.digest], tag)
        self.result.written += (f"{destination.store.repository}:{tag}",)

    async def _put_whole(self, destination: Destination, manifest: Manifest, tag: str = "") -> None:
        """When the target misses something that it said it had, bring that once, and put again."""
        try:
            await self._put_once(destination, manifest, tag)
        except BlobUnknown:
            push, source = self._shared.blobs.push, self.request.source
            for blob in manifest.blobs:
                await push(blob, destination.store, source, self._moving_rank)
            for child in manifest.manifests:
                if child.digest in self._tree.manifests:
                    await self._put_whole(destination, self._tree.manifests[child.digest])
            await self._put_once(destination, manifest, tag)

    async def _put_once(self, destination: Destination, manifest: Manifest, tag: str) -> None:
        store = destination.store
        digest, media_type, raw = manifest.descriptor.digest, manifest.descriptor.media_type, manifest.raw
        work = (
            (lambda: store.tag(tag, digest, media_type, raw))
            if tag
            else (lambda: store.put_manifest(digest, media_type, raw))
        )
        await self._shared.driver.ask("target", store, "write", work, self._writing_rank, wanted=self._goes_on)

    async def _at_once(self, *works: Coroutine[Any, Any, None]) -> None:
        """All of them; the first error ends the story, and what has not begun by then never begins."""

        async def one(work: Coroutine[Any, Any, None]) -> None:
            if self._over:
                work.close()
                raise Cancelled
            try:
                await work
            except BaseException:
                self._over = True
                raise

        if len(works) == 1:
            await one(works[0])
        elif works:
            await asyncio.gather(*map(one, works))


def _pinned(resolved: Descriptor, identifier: str) -> Descriptor:
    """When the user named a digest it is that one, whatever algorithm the registry prefers to state."""
    try:
        return Descriptor(resolved.media_type, Digest.parse(identifier), -1)
    except ValueError:
        return resolved
