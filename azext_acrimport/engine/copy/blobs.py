# SPDX-License-Identifier: MIT
"""Who has which blob: of each registry and digest, whether somebody is bringing it, and which repositories hold it.

The first story that needs a blob brings it; the others wait for the outcome and mount it. When the first one fails, the
next one brings it from its own source, and what went wrong stays with the source that it went wrong at.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import nullcontext
from weakref import WeakValueDictionary

from ..content.descriptor import Descriptor
from ..content.digest import Digest
from ..content.store import Outcome, Source, Target, key_of
from ..errors import Cancelled, EngineError
from .driver import Driver, gather
from .once import UnderWay
from .places import BlobPlaces
from .progress import Totals
from .queues import Rank

__all__ = ["Blobs"]

# Enough that a guess is none, and little beside a layer.
PIECE_BYTES = 1024


class Blobs:
    """Of one run: all that its stories need to know of each other's blobs."""

    def __init__(self, driver: Driver, places: BlobPlaces, totals: Totals) -> None:
        self._driver = driver
        self.places = places
        self._totals = totals
        self._held = _Holders()
        self._foreseen = _Holders()
        self._under_way = UnderWay(driver.promise)
        # by registry: digests of which somebody is to bring the bytes
        self._expected: dict[str, set[bytes]] = {}
        # whether those who wait for what is being brought still want it: it goes on for them, too
        self._waiting: WeakValueDictionary[tuple[str, Digest], _Waiting] = WeakValueDictionary()
        # by registry and repository of the target, digest, and source
        self._failed: dict[tuple[str, str, Digest, str], EngineError] = {}
        # by source registry: digests of which it has shown that it has them; a registry sees for itself which of its
        # repositories may name what
        self._shown: dict[str, set[bytes]] = {}
        # registries that have opened an upload where a mount was asked for
        self._no_mount: set[str] = set()
        # repositories of targets that had a blob before anybody has brought it: they may have others, too
        self._stocked: set[str] = set()
        self._at_it = 0

    def forgive(self) -> None:
        """Before what has failed is tried once more."""
        self._failed.clear()

    def had_since(self) -> list[EngineError]:
        """With these errors a blob could not be brought that has come from elsewhere since."""
        failed = self._failed.items()
        return [error for (registry, _, digest, _), error in failed if self._held.any(registry, digest)]

    def expected(self, blob: Descriptor, target: Target) -> int:
        """Bytes that are to move for it. A registry gets a blob once: whoever wants it as well waits, and mounts it.

        More than 0 are to be settled.
        """
        expected, digest = self._expected.setdefault(target.registry, set()), _packed(blob.digest)
        if digest in expected or self._held.any(target.registry, blob.digest):
            return 0
        expected.add(digest)
        return blob.size

    def settle(self, blob: Descriptor, target: Target, *_: object) -> None:
        """It has come, or whoever was to bring it has given up."""
        self._expected[target.registry].discard(_packed(blob.digest))

    async def bring(
        self,
        blob: Descriptor,
        target: Target,
        source: Source,
        rank: Rank,
        wanted: Callable[[], bool],
        has_read: Callable[[], None] | None = None,
    ) -> Outcome:
        """See to it that the target has the blob; how it came. ``existing``: nothing had to move for this story.

        ``wanted``: whether the story that asks still goes on. ``has_read`` is called when all bytes were read that are
        to be sent, and the last of them are about to be. Raises EngineError when nobody could bring it.
        """
        here, anywhere = (key_of(target), blob.digest), (target.registry, blob.digest)
        failure = target.registry, target.repository, blob.digest, key_of(source)
        waiting = self._waiting.setdefault(anywhere, _Waiting())
        while True:
            if self._held.has(target, blob):
                return "existing"
            origin = _origin(self._held, blob, target, source)
            waiting.append(wanted)
            waited = await self._under_way.end_of(here, *(() if origin else (anywhere,)))
            waiting.remove(wanted)
            if not waited:
                break
        if failure in self._failed and not origin:
            raise self._failed[failure]
        try:
            return await self._under_way.at(
                here if origin else anywhere,
                lambda: self._brought(blob, target, source, origin, rank, wanted, has_read),
            )
        except Cancelled:
            raise
        except EngineError as error:
            self._failed[failure] = error  # what comes from another source since is found by had_since
            raise

    async def _brought(
        self,
        blob: Descriptor,
        target: Target,
        source: Source,
        origin: str,
        rank: Rank,
        wanted: Callable[[], bool],
        has_read: Callable[[], None] | None,
    ) -> Outcome:
        driver, totals, key = self._driver, self._totals, (key_of(target), blob.digest)
        waiting = self._waiting[target.registry, blob.digest]
        lanes = driver.lanes("blob", ("target", target.registry), ("source", source.registry))
        moves = not origin or target.registry in self._no_mount
        own = origin and origin == _own_place(target, source)
        place = origin or self.places.where(target.registry, blob)
        other = place not in ("", target.repository)
        origin = place if own or (other and await self._has(source, blob, target, place, rank)) else ""

        def needed() -> bool:
            return wanted() or any(other() for other in tuple(waiting))

        def observe(done: int) -> None:
            if not needed():
                raise Cancelled
            totals.moving(key, blob, done)
            if has_read and done == blob.size:
                driver.from_outside(has_read)
            if driver.inline:
                totals.tell()  # there is nobody else to do it

        body = source.blob(blob).observed(observe, driver.cancellation, driver.spare)
        size = blob.size if moves else 0
        self._at_it += 1
        # to be asked for at its source while the target is asked for the upload: a round trip. With many blobs the line
        # is busy anyway, and a thread for each costs CPU
        few = self._at_it <= driver.transfers and not driver.inline
        ahead = few and not place and key_of(target) not in self._stocked

        def work() -> Outcome:
            with body.begun() if ahead else nullcontext(body) as content:
                return target.bring_blob(blob, content, origin, at_once=ahead)

        try:
            outcome = await driver.call(work, lanes, rank, size=size, wanted=needed)
        finally:
            self._at_it -= 1
            totals.still(key)
        if outcome == "existing":
            self._stocked.add(key_of(target))
        if origin and outcome == "copied":
            self._no_mount.add(target.registry)
        if outcome == "copied":
            self._shown_by(source).add(_packed(blob.digest))
        self._held.add(target, blob)
        self.places.holds(target.registry, target.repository, blob)
        return outcome

    async def _has(self, source: Source, blob: Descriptor, target: Target, place: str, rank: Rank) -> bool:
        """Whether the source has shown that it has the blob: whoever only knows its digest gets nothing mounted."""
        shown, digest = self._shown_by(source), _packed(blob.digest)
        if digest not in shown and await self._tells_a_piece(source, blob, target, place, rank):
            shown.add(digest)
        return digest in shown

    async def _tells_a_piece(self, source: Source, blob: Descriptor, target: Target, place: str, rank: Rank) -> bool:
        """Bytes at a place that nobody foresees, as the repository has them from which it would be mounted.

        To say yes proves nothing.
        """
        length = min(blob.size, PIECE_BYTES)
        start, ask = secrets.randbelow(blob.size - length + 1), self._driver.ask
        theirs, ours = await gather(
            ask("source", source, "blob", lambda: source.piece(blob, start, length), rank),
            ask("target", target, "blob", lambda: target.piece_of(place, blob, start, length), rank),
        )
        return theirs is not None and len(theirs) == length and theirs == ours

    def _shown_by(self, source: Source) -> set[bytes]:
        return self._shown.setdefault(source.registry or key_of(source), set())

    async def push(self, blob: Descriptor, target: Target, source: Source, rank: Rank) -> None:
        """Store it, whatever the target says that it has."""
        lanes = self._driver.lanes("blob", ("target", target.registry), ("source", source.registry))
        body = source.blob(blob).observed(lambda done: None, self._driver.cancellation, self._driver.spare)
        await self._driver.call(lambda: target.put_blob(blob, body), lanes, rank, size=blob.size)

    async def foresee(self, blob: Descriptor, target: Target, source: Source, rank: Rank) -> Outcome:
        """What ``bring`` will come to, as far as that can be told; for a plan. Only the target is asked."""
        if self._foreseen.has(target, blob):
            return "existing"
        origin = _origin(self._foreseen, blob, target, source) or self.places.where(target.registry, blob)
        self._foreseen.add(target, blob)
        if origin not in ("", target.repository):
            return "mounted"
        there = await self._driver.ask("target", target, "blob", lambda: target.has_blob(blob), rank)
        return "existing" if there else "copied"


class _Waiting(list[Callable[[], bool]]):
    """As long as somebody is at the blob; ten thousand images have many blobs."""


class _Holders:
    """By registry and digest: the repository that holds it, or a set of several. Few bytes for each: there are many."""

    def __init__(self) -> None:
        self._known: dict[str, dict[bytes, str | set[str]]] = {}

    def any(self, registry: str, digest: Digest) -> str:
        """A repository that holds it; empty where none is known."""
        found = self._of(registry).get(_packed(digest), "")
        return found if isinstance(found, str) else next(iter(found))

    def has(self, target: Target, blob: Descriptor) -> bool:
        found = self._of(target.registry).get(_packed(blob.digest), "")
        return found == target.repository if isinstance(found, str) else target.repository in found

    def add(self, target: Target, blob: Descriptor) -> None:
        known, digest = self._of(target.registry), _packed(blob.digest)
        found = known.get(digest)
        if found is None:
            known[digest] = target.repository
        elif isinstance(found, set):
            found.add(target.repository)
        elif found != target.repository:
            known[digest] = {found, target.repository}

    def _of(self, registry: str) -> dict[bytes, str | set[str]]:
        return self._known.setdefault(registry, {})


def _origin(held: _Holders, blob: Descriptor, target: Target, source: Source) -> str:
    """Another repository of the target's registry that is known to hold the blob; the source itself where it is one."""
    return _own_place(target, source) or held.any(target.registry, blob.digest)


def _own_place(target: Target, source: Source) -> str:
    """The source's repository where both are in one registry, which sees for itself who may mount from there."""
    same = source.registry == target.registry and source.registry and source.repository != target.repository
    return source.repository if same else ""


def _packed(digest: Digest) -> bytes:
    return bytes.fromhex(digest.hex)
