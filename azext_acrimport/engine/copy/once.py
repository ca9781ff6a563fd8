# SPDX-License-Identifier: MIT
"""What many stories want, and one does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

__all__ = ["UnderWay"]

T = TypeVar("T")


class UnderWay:
    """Who is at it: of those who want the same, one works, and the others wait for its end, whichever it is."""

    def __init__(self, promise: Callable[[], asyncio.Future[None]]) -> None:
        self._promise = promise
        self._ends: dict[Hashable, asyncio.Future[None]] = {}

    async def end_of(self, *what: Hashable) -> bool:
        """Wait while somebody is at one of these; False when nobody is."""
        for one in what:
            end = self._ends.get(one)
            if end is not None:
                await end
                return True
        return False

    async def at(self, what: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Be the one who works, when nobody is. Returns and raises what the work does."""
        end = self._ends[what] = self._promise()
        try:
            return await work()
        finally:
            del self._ends[what]
            if not end.done():
                end.set_result(None)
