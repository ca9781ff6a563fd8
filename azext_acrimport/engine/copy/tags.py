# SPDX-License-Identifier: MIT
"""The tags that an image shall get: what each names at its target, whether it may move, and its writing.

A tag belongs to whoever wrote it last. What it named is known from the start, but hours may pass until it is put, so it
is looked at once more just before: another digest there is the conflict that it would have been at the start.

Of an image that is alone, that is asked while its last bytes are on their way, and costs no round trip of its own. The
time in which somebody else's tag is not seen stays one round trip if those bytes are taken in as soon; where they are
not, the tag is looked at again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import partial

from ..content.digest import Digest
from ..content.manifest import Manifest
from ..content.store import Target
from ..errors import EngineError, TagConflict
from .driver import Driver
from .queues import Rank
from .report import Action, Change
from .request import CopyRequest, Destination

__all__ = ["LastLooks", "Tags", "put_tag"]

# Seconds for which nobody needs to look again: some lines take as long for the one answer.
FRESH = 0.5


class Tags:
    """Of one image. Only the calling thread asks and tells."""

    def __init__(self, request: CopyRequest) -> None:
        self._request = request
        self._named: dict[tuple[str, str], Digest | None] = {}

    def names(self, destination: Destination, tag: str, digest: Digest | None) -> None:
        """Be told what the tag names there."""
        self._named[destination.key, tag] = digest

    def named(self, *destinations: Destination) -> list[Digest]:
        """What those tags name that name anything."""
        found = (self._named[destination.key, tag] for destination in destinations for tag in destination.tags)
        return [digest for digest in found if digest is not None]

    def named_by(self, destination: Destination, tag: str) -> Digest | None:
        """What this one names."""
        return self._named[destination.key, tag]

    def to_write(self, destination: Destination, digest: Digest) -> tuple[str, ...]:
        """Those that do not name this digest yet. Raises TagConflict when one names another that it must not lose."""
        kept = self.kept(destination, digest)
        others = [tag for tag in destination.tags if self._named[destination.key, tag] != digest]
        tags = tuple(tag for tag in others if tag not in kept)
        for tag in tags:
            named = self._named[destination.key, tag]
            if named is not None and not self._request.force:
                raise TagConflict(f"{destination.key}:{tag}", str(named), str(digest))
        return tags

    def kept(self, destination: Destination, digest: Digest) -> frozenset[str]:
        """Those that name something else, and stay what they are because that was asked for."""
        if self._request.force or not self._request.skip_conflicts:
            return frozenset()
        return frozenset(tag for tag in destination.tags if self._named[destination.key, tag] not in (None, digest))

    def moving(self, destination: Destination) -> Sequence[str]:
        """Of those that are to be written the ones that exist."""
        return [tag for tag in destination.tags if self._named[destination.key, tag] is not None]

    def changes(self, digest: Digest, present: Set[tuple[str, Digest]]) -> Iterator[Change]:
        """What becomes of each target that was asked for. ``present``: what is there under its digest, by place."""
        for destination in self._request.destinations:
            repository = destination.store.repository
            for tag in destination.tags:
                named = self._named[destination.key, tag]
                stays = named == digest or tag in self.kept(destination, digest)
                action: Action = "create" if named is None else "none" if stays else "move"
                yield Change(f"{repository}:{tag}", action, named)
            if not destination.tags:
                there = (destination.key, digest) in present
                yield Change(repository, "none" if there else "create", digest if there else None)

    def foreseen(self) -> Iterator[Change]:
        """The same while nobody knows what they shall name: whether one that exists would move, is not known either."""
        for destination in self._request.destinations:
            repository = destination.store.repository
            for tag in destination.tags:
                named = self._named[destination.key, tag]
                yield Change(f"{repository}:{tag}", "create" if named is None else None, named)
            if not destination.tags:
                yield Change(repository, None, None)


@dataclass(frozen=True, slots=True)
class Look:
    """What the tag named. ``asked``: when, by the monotonic clock."""

    named: Digest | None
    asked: float

    @property
    def is_fresh(self) -> bool:
        """Whether it still tells what the tag names now."""
        return time.monotonic() - self.asked < FRESH


def look_at(store: Target, tag: str) -> Look:
    """In a worker. Raises EngineError."""
    asked = time.monotonic()
    found = store.find(tag)
    return Look(found.digest if found else None, asked)


class LastLooks:
    """Of one image. Only the calling thread asks and tells."""

    def __init__(self, driver: Driver, rank: Rank) -> None:
        self._driver = driver
        self._rank = rank
        self._begun: dict[tuple[str, str], asyncio.Task[Look]] = {}

    def begin(self, destination: Destination, tags: Iterable[str]) -> None:
        """The last requests before these tags are on their way."""
        store = destination.store
        for tag in tags:
            look = self._driver.ask("target", store, "read", partial(look_at, store, tag), self._rank)
            self._begun[destination.key, tag] = self._driver.attempt(look)

    async def end(self, destination: Destination, tag: str) -> Look | None:
        """None where nobody has looked, or it went wrong, which whoever looks again will meet."""
        begun = self._begun.pop((destination.key, tag), None)
        with contextlib.suppress(EngineError):
            return await begun if begun else None
        return None


def put_tag(
    destination: Destination, tag: str, manifest: Manifest, judged: Digest | None, force: bool, look: Look | None
) -> Digest | None:
    """In a worker: have the tag name the manifest; what it named before. ``judged``: what it named at the start.

    ``look``: what it named a moment ago, where somebody has asked. Raises TagConflict when somebody else has written it
    since.
    """
    store, digest = destination.store, manifest.descriptor.digest
    named = (look if look and look.is_fresh else look_at(store, tag)).named
    if named == digest:
        return judged  # our own earlier attempt, whose answer was lost, or somebody who wants the same
    if named not in (None, judged) and not force:
        raise TagConflict(f"{destination.key}:{tag}", str(named), str(digest))
    store.tag(tag, digest, manifest.descriptor.media_type, manifest.raw)
    return named
