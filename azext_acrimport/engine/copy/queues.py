# SPDX-License-Identifier: MIT
"""Pieces of work that wait for a worker and for their hosts: which is to be done next."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..waiting import Attempts
from .limits import NEVER, Lanes

__all__ = ["LARGE", "Piece", "Queues", "Rank"]

# What is to be done first: the number of the story, and the place within it; smaller first.
Rank = tuple[int, int]

# A blob above this many bytes counts as a transfer: it takes longer than its requests, and a block of memory.
LARGE = 1024 * 1024
# Large blobs are taken by size within so many images, else in the order of the images: what is begun is to be finished.
TOGETHER = 8


@dataclass(slots=True)
class Piece:
    """What a worker does without a break. ``seen``: how many requests had succeeded in its lanes when it was begun."""

    work: Callable[[], Any]
    lanes: Lanes
    rank: Rank
    size: int
    wanted: Callable[[], bool]
    future: asyncio.Future[Any]
    attempts: Attempts = field(default_factory=Attempts)
    begun: float = 0.0
    seen: int = 0

    @property
    def large(self) -> bool:
        """Whether it is a transfer."""
        return self.size > LARGE

    @property
    def order(self) -> tuple[int, ...]:
        """Compared with those that wait for the same."""
        story, place = self.rank
        return (story // TOGETHER, -self.size, story) if self.large else (story, place)


@dataclass(slots=True)
class _Queue:
    """Pieces that wait for the same lanes, as a heap."""

    lanes: Lanes
    large: bool
    waiting: list[tuple[tuple[int, ...], int, Piece]] = field(default_factory=list)

    def comes_before(self, other: _Queue) -> bool:
        """Large blobs first, so that what is left at the end is small; else the earlier story's piece."""
        if self.large != other.large:
            return self.large
        return self.waiting[0][:2] < other.waiting[0][:2]


class Queues:
    """All that wait. ``large``: how many of them are transfers; ``opens``: when a closed lane opens, or NEVER."""

    def __init__(self) -> None:
        self.large = 0
        self.opens = NEVER
        self._count = itertools.count()
        self._queues: dict[tuple[Lanes, bool], _Queue] = {}

    def push(self, piece: Piece) -> None:
        """Let it wait."""
        key = piece.lanes, piece.large
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue(*key)
        heapq.heappush(queue.waiting, (piece.order, next(self._count), piece))
        self.large += piece.large

    def pop(self, now: float, *, transfer: bool) -> Piece | None:
        """The first piece whose lanes are open; a large one only where there is room for a ``transfer``."""
        best: _Queue | None = None
        self.opens = NEVER
        for queue in self._queues.values():
            if not queue.waiting or (queue.large and not transfer):
                continue
            moment = queue.lanes.open_at(now)
            if moment > now:
                self.opens = min(self.opens, moment)
            elif best is None or queue.comes_before(best):
                best = queue
        if best is None:
            return None
        piece = heapq.heappop(best.waiting)[2]
        self.large -= piece.large
        return piece

    def clear(self) -> Iterator[Piece]:
        """All of them; nothing waits any longer."""
        for queue in self._queues.values():
            waiting, queue.waiting = queue.waiting, []
            yield from (piece for _, _, piece in waiting)
        self.large = 0
