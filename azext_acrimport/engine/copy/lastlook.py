# SPDX-License-Identifier: MIT
"""What a tag names just before it is written: asked while the last bytes of the image are on their way.

That costs no round trip of its own. The time in which somebody else's tag is not seen stays what one round trip is, if
the last bytes are taken in no longer than that; where they are not, whoever writes the tag looks again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from ..content.digest import Digest
from ..content.store import Target
from ..errors import EngineError
from .driver import Driver
from .queues import Rank
from .request import Destination

__all__ = ["LastLooks", "Look", "look_at"]

# Seconds for which nobody needs to look again: some lines take as long for the one answer.
FRESH = 0.5


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
