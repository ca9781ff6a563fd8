# SPDX-License-Identifier: MIT
"""What the tags of a target name before anything is written: many of one repository from its list, else one by one.

A tag that the list leaves out may be there all the same, and is asked for by itself. What is found here is where an
import begins: just before a tag is written it is looked at once more (``tags``).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection, Iterable
from functools import partial

from ..content.digest import Digest
from ..content.store import Target, key_of
from ..errors import EngineError
from .driver import Driver
from .queues import Rank
from .request import CopyRequest

__all__ = ["Standing"]

# A page of the list is read for as many answers as this; where it brings fewer, each tag is asked for by itself.
TAGS_WORTH_A_PAGE = 10
# Seconds for which a list is believed: others write tags, too.
BELIEVED = 60.0


class Standing:
    """Of one run. ``requests`` tell which tags will be asked for."""

    def __init__(self, driver: Driver, requests: Iterable[CopyRequest]) -> None:
        self._driver = driver
        self._wanted: dict[str, set[str]] = {}
        for request in requests:
            for destination in request.destinations:
                self._wanted.setdefault(destination.key, set()).update(destination.tags)
        self._lists: dict[str, _TagList] = {}
        self._looks: dict[Target, asyncio.Task[None]] = {}

    async def named(self, store: Target, tag: str, rank: Rank) -> Digest | None:
        """What it names; None: nothing. The first one of a repository is asked for alone: we are let in by that."""
        found = self._lists.get(key_of(store))
        if found and await found.tells(tag):
            return found.named.get(tag)
        wanted = self._wanted[key_of(store)]
        if found or len(wanted) < TAGS_WORTH_A_PAGE:
            return await self._asked(store, tag, rank)
        first = self._lists[key_of(store)] = _TagList(self._driver, store, wanted)
        try:
            digest = await self._asked(store, tag, rank)
        except BaseException:
            first.end()
            raise
        self._driver.start(first.read(rank))
        return digest

    async def is_new(self, store: Target) -> bool:
        """Whether there is nothing to be looked for, as far as that has been told by now, or is about to be."""
        if look := self._looks.get(store):
            await look
        return store.is_new

    async def _asked(self, store: Target, tag: str, rank: Rank) -> Digest | None:
        found = await self._driver.ask("target", store, "read", lambda: store.find(tag), rank)
        if found is None and store.tells_locks and store not in self._looks and not self._driver.inline:
            self._looks[store] = self._driver.start(self._look_at_locks(store, rank))
        return found.digest if found else None

    async def _look_at_locks(self, store: Target, rank: Rank) -> None:
        """While the source is asked; who needs to know finds it told already."""
        with contextlib.suppress(EngineError):
            await self._driver.ask("target", store, "read", store.look_at_locks, rank)


class _TagList:
    """Of one repository; only what is ``wanted`` is kept."""

    def __init__(self, driver: Driver, store: Target, wanted: Collection[str]) -> None:
        self._driver = driver
        self._store = store
        self._wanted = wanted
        self._is_new = False
        self._ended = False
        self._next: asyncio.Future[None] = driver.promise()
        self._stale = time.monotonic() + BELIEVED
        self.named: dict[str, Digest] = {}

    async def tells(self, tag: str) -> bool:
        """Whether it does, as soon as that is known."""
        while not (tag in self.named or self._ended):
            await self._next
        return (tag in self.named or self._is_new) and time.monotonic() < self._stale

    async def read(self, rank: Rank) -> None:
        """Page by page, as long as they are worth it. A failure is left to those who then ask for themselves."""
        store, url, pages = self._store, "", 0
        try:
            while pages * TAGS_WORTH_A_PAGE <= len(self.named):
                page = await self._driver.ask("target", store, "read", partial(store.tag_page, url), rank)
                if page is None:
                    break
                self.named |= {tag: digest for tag, digest in page.named.items() if tag in self._wanted}
                self._is_new, url, pages = page.is_new, page.next_page, pages + 1
                if not url or len(self.named) == len(self._wanted):
                    break
                self._tell()
        except EngineError:
            pass
        finally:
            self.end()

    def end(self) -> None:
        """No more of it will come."""
        self._ended = True
        self._tell()

    def _tell(self) -> None:
        self._next.set_result(None)
        self._next = self._driver.promise()
