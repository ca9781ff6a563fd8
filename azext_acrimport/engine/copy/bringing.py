# SPDX-License-Identifier: MIT
"""The blobs of one image: which are on their way, and what came of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from ..content.descriptor import Descriptor
from ..content.digest import Digest
from ..content.store import Outcome, Source
from ..errors import Cancelled
from .blobs import Blobs
from .driver import Driver, gather
from .missing import Missing
from .progress import Share
from .queues import Rank
from .report import ItemResult
from .request import Destination

__all__ = ["Bringing"]


class Bringing:
    """Each blob is brought to each destination once. ``goes_on``: whether the image's story does.

    ``ranks``: of what is asked before it is decided, and of what moves. ``at_last``, if there is one, is called when
    somebody waits for the end, and nothing is left but that the last bytes arrive.
    """

    def __init__(
        self,
        driver: Driver,
        blobs: Blobs,
        source: Source,
        result: ItemResult,
        share: Share,
        ranks: tuple[Rank, Rank],
        goes_on: Callable[[], bool],
        at_last: Callable[[], None] | None,
    ) -> None:
        self._driver = driver
        self._blobs = blobs
        self._source = source
        self._result = result
        self._share = share
        self._asking_rank, self._moving_rank = ranks
        self._goes_on = goes_on
        self._at_last = at_last
        self._is_awaited = False
        # those of which not all bytes have been read
        self._unread: set[tuple[str, Digest]] = set()
        self._begun: dict[tuple[str, Digest], asyncio.Task[None]] = {}

    async def foresee(self, missing: Sequence[Missing]) -> None:
        """Count what would become of each."""
        await gather(*(self._foresee(lack.destination, blob) for lack in missing for blob in lack.blobs.values()))

    def begin(
        self, missing: Sequence[Missing], guarded: Callable[[Coroutine[Any, Any, None]], Coroutine[Any, Any, None]]
    ) -> int:
        """Those that are not begun yet; how many. ``guarded``: a piece of the story, which ends when that is over."""
        new = [
            (lack.destination, blob)
            for lack in missing
            for blob in lack.blobs.values()
            if (lack.destination.key, blob.digest) not in self._begun
        ]
        sizes = [self._blobs.expected(blob, destination.store) for destination, blob in new]
        self._share.expect(len(new), sum(sizes), 0)
        self._unread |= {(destination.key, blob.digest) for destination, blob in new}
        for (destination, blob), size in zip(new, sizes, strict=True):
            task = self._driver.attempt(guarded(self._bring(destination, blob, size)))
            if size:
                task.add_done_callback(partial(self._blobs.settle, blob, destination.store))
            self._begun[destination.key, blob.digest] = task
        return len(new)

    async def end(self) -> None:
        """Until all have come. Raises what went wrong first."""
        if not self._begun:
            return
        self._is_awaited = True
        self._tell_at_last()
        await asyncio.wait(self._begun.values(), return_when=asyncio.FIRST_EXCEPTION)
        errors = [error for task in self._begun.values() if task.done() and (error := task.exception())]
        for error in sorted(errors, key=lambda error: isinstance(error, Cancelled)):
            raise error  # the others were given up because of it

    def tally(self, outcome: Outcome, blob: Descriptor) -> None:
        """One more in the result."""
        self._result.blobs.add(outcome, 1)
        self._result.bytes.add(outcome, blob.size)

    async def _foresee(self, destination: Destination, blob: Descriptor) -> None:
        outcome = await self._blobs.foresee(blob, destination.store, self._source, self._asking_rank)
        self.tally(outcome, blob)

    async def _bring(self, destination: Destination, blob: Descriptor, expected: int) -> None:
        def has_read() -> None:
            self._unread.discard((destination.key, blob.digest))
            self._tell_at_last()

        told = has_read if self._at_last else None
        outcome = await self._blobs.bring(blob, destination.store, self._source, self._moving_rank, self._goes_on, told)
        has_read()
        self.tally(outcome, blob)
        self._share.blob_done(expected)

    def _tell_at_last(self) -> None:
        """Once."""
        if self._at_last and self._is_awaited and not self._unread:
            self._is_awaited = False
            self._at_last()
