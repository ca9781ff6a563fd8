# SPDX-License-Identifier: MIT
"""The story of one image, from request to result.

What the source's tag names, and what the targets name; refuse early; what is missing, and what vouches for it;
*planned*; blobs, manifests, tags. A dry run and the choice of another engine end at *planned*. What many stories must
know of each other is in ``Shared``; what only this one knows ends with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ..content.descriptor import Descriptor
from ..content.digest import Digest
from ..content.manifest import Manifest
from ..content.store import Source, Target
from ..errors import Cancelled, EngineError, Origin
from .blobs import Blobs
from .bringing import Bringing
from .driver import Driver, gather
from .limits import Kind
from .missing import Missing, missing_at, own_missing
from .narrowing import Narrowing
from .progress import Share, Totals
from .puts import Puts, Stored
from .queues import Rank
from .readings import Readings
from .referrers import QUESTIONS, Attachments
from .report import ItemResult, Planned
from .request import CopyRequest, Destination
from .resolution import AT_FIRST, Resolution
from .standing import Standing
from .tags import LastLooks, Tags
from .tree import Tree
from .writing import Writing

__all__ = ["ImageCopy", "Shared"]

T = TypeVar("T")

# Connections a side for an image whose blobs are known: more at once fill a line by themselves, and a greeting costs a
# millisecond of CPU.
AT_MOST = 10


@dataclass(slots=True)
class Shared:
    """What all stories of a run have in common. ``go_on`` is asked at *planned*, in the calling thread, and before
    blobs move of an image of which it is not known yet what vouches for it.

    ``count_above``: bytes from which on the target is asked for each blob before that. ``spends_quota``: whether
    manifests are read where that counts as a pull; an image that would need it stays ``planned``. ``is_one``: there is
    one image only, so while it waits for an answer nobody else has anything to ask.
    """

    driver: Driver
    blobs: Blobs
    readings: Readings
    standing: Standing
    totals: Totals
    go_on: Callable[[Planned], bool]
    count_above: int | None
    spends_quota: bool = True
    is_one: bool = False
    stored: Stored = field(init=False)

    def __post_init__(self) -> None:
        self.stored = Stored(self.driver)


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
        self._enters = number == 0 or not all(destination.tags for destination in request.destinations)
        self._root: Descriptor
        self._tags = Tags(request)
        self._tree = Tree(self)
        self.attachments = Attachments(self, self._tree.depths)
        puts = Puts(
            shared.stored,
            shared.blobs,
            request.source,
            self._tree.manifests,
            ranks=(self._moving_rank, (number, 0)),
            wanted=self._goes_on,
        )
        self._share = Share(shared.totals)
        looks = LastLooks(shared.driver, self.reading_rank) if shared.is_one else None
        self._writing = Writing(self, puts, self._tags, looks, self._share, self._tree.manifests)
        self._bringing = Bringing(
            shared.driver,
            shared.blobs,
            request.source,
            result,
            self._share,
            (self.reading_rank, self._moving_rank),
            self._goes_on,
            self._writing.blobs_are_read if looks else None,
        )
        # what is being found out while the story goes on
        self._finding: list[asyncio.Task[None]] = []
        self._agreed = False
        self._over = False

    async def run(self) -> None:
        """To the end, which stands in the result. Raises EngineError when that is none."""
        try:
            await self._run()
        finally:
            self._over = True
            self._share.end()

    async def _run(self) -> None:
        self._root = await Resolution(
            self, self._tags, self._tree.given, self._shared.standing, enters=self._enters, expect=self._expect
        ).run()
        async with self.readings.turn(self.request.source):
            if not await self._plan():
                return
        tree, digest = self._tree, self._root.digest
        parts = tree, self.attachments, self.has_put
        missing = [missing_at(destination, digest, *parts) for destination in self.destinations]
        for lack in missing:
            lack.refuse_strangers({*tree.depths, digest, self.result.source_digest})
            if lack.left_out:
                count, place = lack.left_out, lack.destination.key
                what = f"{count} referrer{'' if count == 1 else 's'} of images that {place} had before"
                self.result.notices += (f"Left out: {what}",)
        if not any(lack.puts for lack in missing):
            self.result.status = "unchanged"
            return
        if not await self._is_planned(missing):
            return
        self._begin_blobs(missing)
        self._writing.begin(missing)
        await self._bringing.end()
        await self._writing.write(digest)
        self._tell_changes()
        self.result.status = "updated" if any(change.action == "move" for change in self.result.changes) else "copied"

    async def _plan(self) -> bool:
        """All that can be known before anything is written; False where that is the end."""
        narrowing = Narrowing(self, self._tags, self._tree.given, self._shared.blobs.places)
        spares = not self._shared.spends_quota and self.readings.counts_pulls(self.request.source)
        if spares and self.request.platforms and not narrowing.left_of(self._root):
            self.result.digest = None  # what the smaller index would be is not known without reading
            self.result.changes = tuple(self._tags.foreseen())
            return False
        self._root = await narrowing.of(self._root)
        self._judge_tags()
        if self.result.status == "skipped" or (spares and not self._tree.settled):
            return False
        await self._find_out()
        self._tell_changes()
        return True

    async def ask(self, side: Origin, store: Source | Target, kind: Kind, work: Callable[[], T]) -> T:
        """Have a worker ask one of the places something."""
        return await self._shared.driver.ask(side, store, kind, work, self.reading_rank)

    async def is_new(self, store: Target) -> bool:
        """Whether there is no such repository yet."""
        return await self._shared.standing.is_new(store)

    async def read_tree(self, descriptor: Descriptor) -> Manifest:
        """The manifest, and those below it that some destination lacks."""
        return await self._tree.read(descriptor)

    def find_attachments_of(self, part: Descriptor) -> None:
        """Begin to look for what vouches for a part of it; its blobs do not wait for that."""
        self._finding.append(self._shared.driver.start(self.attachments.find(part)))

    def has_put(self, place: str, digest: Digest) -> bool:
        """Whether this run has put the manifest there, for this image or another one."""
        return self._shared.stored.has(place, digest)

    def _expect(self, requests: int) -> None:
        """Have both sides open their connections before they are needed; with one job there is never a second one."""
        if not self._shared.driver.inline:
            # what vouches for it is asked for at the same moment as its blobs
            self.request.source.expect(requests + (QUESTIONS if self.request.referrers else 0))
            for destination in self.destinations:
                destination.store.expect(requests)

    def _judge_tags(self) -> None:
        """Refuse a missing right and a conflict before anything moves.

        Only the destinations are left at which something may be done, with the tags that must be written.
        """
        digest, tree, left, skips = self._root.digest, self._tree, [], False
        for destination in self.destinations:
            destination.store.require_push()
        self._tell_changes()
        tree.settled = True
        for destination in self.destinations:
            tags = self._tags.to_write(destination, digest)
            kept = self._tags.kept(destination, digest)
            if len(tags) + len(kept) < len(destination.tags):
                tree.present.add((destination.key, digest))
            tree.settled &= bool(destination.tags) and not tags
            if tags or not destination.tags or (self.request.referrers and not kept):
                left.append(Destination(destination.store, tags))
            skips = skips or bool(kept)
        self.destinations = tuple(left)
        if skips and not left:
            self.result.status = "skipped"

    def _tell_changes(self) -> None:
        self.result.changes = tuple(self._tags.changes(self._root.digest, self._tree.present))

    async def _find_out(self) -> None:
        """What the targets have of it, and what vouches for it; the manifests of what they lack are read."""
        settled = self._tree.settled
        if settled and (self.request.new_only or not self.request.referrers):
            return
        self._tree.begin(self._root)
        try:
            await (self._find_out_again() if settled else self._find_out_anew())
        except EngineError:
            await self._found()
            raise
        if errors := await self._found():
            raise errors[0]

    async def _found(self) -> list[EngineError]:
        """When nothing is being found out any longer: what has gone wrong in that."""
        errors: list[EngineError] = []
        while self._finding:  # what is found has parts of its own
            try:
                await self._finding.pop(0)
            except EngineError as error:
                errors.append(error)
        return errors

    async def _find_out_anew(self) -> None:
        self._expect(AT_FIRST)
        works: list[Coroutine[Any, Any, None]] = [
            self._require_writable(destination) for destination in self.destinations if destination.store.tells_locks
        ]
        if self.request.referrers:
            self._finding.append(self._shared.driver.start(self._find_attachments()))
        await gather(*works, self._tree.look(self._likely()))
        if self._finding:
            self._begin_to_bring()

    async def _find_out_again(self) -> None:
        """All tags name it already; what vouches for it may be new."""
        await self._find_attachments()
        lacks = self.request.force or any(attachment.lacking for attachment in self.attachments.all)
        # an image that is there may have been imported without what vouches for its platforms; whether it has any is
        # for itself to say, since not every registry states the right type
        if lacks or self.result.digest != self.result.source_digest:
            await self.read_tree(self._root)

    def _likely(self) -> list[Destination]:
        """Where none of its tags exists, one image hardly does, and its few blobs are looked for when it is their turn.

        Of an index it is worth knowing: its images need not be read then.
        """
        likely = []
        for destination in self.destinations:
            known = self._tags.named(destination) or not destination.tags
            if self._root.is_index or known or destination.key == self.request.key:
                likely.append(destination)
        return likely

    async def _require_writable(self, destination: Destination) -> None:
        store, digest, tags = destination.store, self._root.digest, self._tags.moving(destination)
        await self.ask("target", store, "read", lambda: store.require_writable(tags, digest))

    async def _find_attachments(self) -> None:
        """What refers to the whole. An index that was written anew is not what they refer to."""
        if self.result.digest == self.result.source_digest:
            await self.attachments.find(self._root)

    def _begin_to_bring(self) -> None:
        """The image itself is known: its blobs need not wait for what vouches for it.

        Not where that may be decisive: the sum of all bytes, or somebody who only wants to know; and not with one job,
        which does one thing after the other.
        """
        shared, root = self._shared, self._root.digest
        missing = [own_missing(destination, root, self._tree) for destination in self.destinations]
        at_most = sum(blob.size for lack in missing for blob in lack.blobs.values())
        decisive = shared.count_above is not None and at_most > shared.count_above
        if shared.driver.inline or decisive:
            return
        self._agreed = shared.go_on(Planned(self.request, self.result, (), False))
        if self._agreed:
            self._begin_blobs(missing)

    async def _is_planned(self, missing: Sequence[Missing]) -> bool:
        """All is known; whether it shall be done. What is there is counted now, all else when it is."""
        shared, result = self._shared, self.result
        blobs = {blob.digest: blob for manifest in self._tree.manifests.values() for blob in manifest.blobs}
        for lack in missing:
            for blob in blobs.values():
                if blob.digest not in lack.blobs:
                    self._bringing.tally("existing", blob)
        if self._agreed:
            return True
        at_most = sum(blob.size for lack in missing for blob in lack.blobs.values())
        counted = shared.count_above is not None and at_most > shared.count_above
        if counted:
            before = replace(result.blobs), replace(result.bytes)
            await self._bringing.foresee(missing)
        if not shared.go_on(Planned(self.request, result, self.attachments.all, counted)):
            result.quota = self.request.source.quota
            return False
        if counted:
            result.blobs, result.bytes = before
        return True

    def _begin_blobs(self, missing: Sequence[Missing]) -> None:
        self._expect(min(self._bringing.begin(missing, self._unless_over), AT_MOST))

    def _goes_on(self) -> bool:
        return not self._over

    async def at_once(self, *works: Coroutine[Any, Any, None]) -> None:
        """All of them; the first error ends the story, and what has not begun by then never begins."""
        if len(works) == 1:
            await self._unless_over(works[0])
        elif works:
            await asyncio.gather(*map(self._unless_over, works))

    async def _unless_over(self, work: Coroutine[Any, Any, None]) -> None:
        if self._over:
            work.close()
            raise Cancelled
        try:
            await work
        except BaseException:
            self._over = True
            raise
