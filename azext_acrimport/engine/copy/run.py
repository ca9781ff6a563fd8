# SPDX-License-Identifier: MIT
"""Many images, each a story of its own: begun in the order in which they are asked for, while workers are free.

When an image has ended, only its result is left. What failed for a reason that may pass is tried once more at the end.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence

from ..cancellation import Cancellation
from ..errors import Blocked, Cancelled, EngineError
from .blobs import Blobs
from .driver import Driver
from .image import ImageCopy, Shared
from .limits import may_pass
from .places import BlobPlaces
from .progress import PROGRESS_INTERVAL, Progress, Totals
from .readings import Readings
from .report import CopyReport, ItemResult, Planned
from .request import CopyRequest
from .standing import Standing

__all__ = ["Run"]

# Images of one source registry that are under way at once, for each job: enough to keep all workers busy, also when
# some of them wait for each other's blobs.
IMAGES_A_JOB = 2


class Run:
    """See ``copy_images``."""

    def __init__(
        self,
        requests: Sequence[CopyRequest],
        cancellation: Cancellation,
        jobs: int | None,
        places: BlobPlaces,
        go_on: Callable[[Planned], bool],
        count_above: int | None,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._requests = requests
        self._results = [_blank(request) for request in requests]
        self._ended = bytearray(len(requests))
        self._driver = driver = Driver(jobs, cancellation)
        self._totals = totals = Totals(on_progress)
        self._blobs = Blobs(driver, places, totals)
        self._go_on = go_on
        read = Readings(driver, requests), Standing(driver, requests)
        self.shared = Shared(driver, self._blobs, *read, totals, self._is_wanted, count_above)
        self.shared.is_one = len(requests) == 1 and not driver.inline
        self.fail_fast = False
        self.is_failure: Callable[[CopyRequest, EngineError], bool]
        self._failed = False
        self._most = 1 if driver.inline else IMAGES_A_JOB * driver.jobs
        # by source registry: one that is slow, or down, keeps no other's images from being begun
        self._waiting: dict[str, deque[int]] = {}
        self._under_way: Counter[str] = Counter()
        self._stories: set[asyncio.Task[None]] = set()
        self._end: asyncio.Future[None]

    def run(self) -> CopyReport:
        """To the end, or to an interruption."""
        self._driver.on_idle = self._begin
        self._driver.run(self._all(), self._totals.tell, PROGRESS_INTERVAL)
        for result, ended in zip(self._results, self._ended, strict=True):
            if not ended:
                result.status, result.error, result.seconds = "cancelled", Cancelled(), self._totals.seconds
        self._totals.tell(last=True)
        return CopyReport(tuple(self._results), self._totals.seconds)

    async def _all(self) -> None:
        self._expect()
        await self._each(range(len(self._requests)))
        helped = set(map(id, self._blobs.had_since()))
        failed = [(number, result.error) for number, result in enumerate(self._results) if result.error]
        again = [number for number, error in failed if may_pass(error) or id(error) in helped]
        if len(self._requests) == 1 or not again or self._stops:
            return
        self._blobs.forgive()
        for number in again:
            self._totals.image_again(self._results[number].status)
            self._results[number] = _blank(self._requests[number])
        await self._each(again)

    def _expect(self) -> None:
        """Have connections opened to each source of many images: all of them will be asked for there.

        To all sources together no more than there will be requests at once.
        """
        sources = {request.source.registry: request.source for request in reversed(self._requests)}
        for registry, count in Counter(request.source.registry for request in self._requests).items():
            connections = min(count, self._driver.jobs // len(sources))
            if connections > 1:
                sources[registry].expect(connections)

    async def _each(self, numbers: Iterable[int]) -> None:
        self._end = self._driver.promise()
        for number in numbers:
            self._waiting.setdefault(self._requests[number].source.registry, deque()).append(number)
            self._ended[number] = False
        self._begin(self._driver.jobs)
        if self._stories:
            await self._end

    @property
    def _stops(self) -> bool:
        return self.fail_fast and self._failed

    def _is_wanted(self, planned: Planned) -> bool:
        """Asked of each image when it is planned."""
        if self._stops:
            raise Blocked
        return self._go_on(planned)

    def _begin(self, free: int) -> None:
        """Begin as many stories as there are workers with nothing to do; the earliest first."""
        if self._stops:
            self._block_waiting()
        # of ten thousand, each would begin only to be told that it is too late
        while free > 0 and not self._driver.is_stopping and (number := self._next()) is not None:
            story = self._driver.start(self._story(number))
            self._stories.add(story)
            story.add_done_callback(self._has_ended)
            free -= 1

    def _block_waiting(self) -> None:
        for waiting in self._waiting.values():
            for number in waiting:
                self._results[number].end_with(Blocked())
                self._ended[number] = True
            waiting.clear()

    def _next(self) -> int | None:
        waiting = [
            (numbers[0], registry)
            for registry, numbers in self._waiting.items()
            if numbers and self._under_way[registry] < self._most
        ]
        if not waiting:
            return None
        number, registry = min(waiting)
        self._waiting[registry].popleft()
        self._under_way[registry] += 1
        return number

    async def _story(self, number: int) -> None:
        request, result, begun = self._requests[number], self._results[number], self._totals.seconds
        self._totals.image_begun()
        try:
            await ImageCopy(self.shared, request, result, number).run()
        except Cancelled:
            return
        except EngineError as error:
            result.end_with(error)
            self._failed |= result.status == "failed" and self.is_failure(request, error)
        finally:
            self._under_way[request.source.registry] -= 1
        result.seconds = self._totals.seconds - begun
        self._ended[number] = True
        self._totals.image_ended(result.status)

    def _has_ended(self, story: asyncio.Task[None]) -> None:
        self._stories.discard(story)
        bug = None if story.cancelled() else story.exception()
        if self._end.done():
            return
        if bug is not None:
            self._end.set_exception(bug)
            return
        self._begin(1)
        if not self._stories:
            self._end.set_result(None)


def _blank(request: CopyRequest) -> ItemResult:
    return ItemResult(request.name, request.target_names)
