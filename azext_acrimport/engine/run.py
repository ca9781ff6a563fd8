# SPDX-License-Identifier: MIT
"""Running a plan: the calling thread owns the graph and hands out steps; workers move bytes and know nothing else.

A step starts when all that it waits for is done. A step that fails takes its image with it: what waits for it is never
started, so a tag is never written before everything below it is in place.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from .cancellation import Cancellation
from .carrier import Carrier
from .errors import Cancelled, EngineError
from .places import BlobPlaces
from .plan import CopyBlob, CopyPlan, CopyRequest, MountBlob, PlanItem, PutManifest, PutTag, Step
from .planning import Planning
from .pool import Done, Pool
from .question import Question
from .report import CopyReport, Outcome, Progress, Status
from .stream import Spare

__all__ = ["run_plan", "run_requests"]

# How often people are told, in seconds: five times a second looks alive and costs nothing.
PROGRESS_INTERVAL = 0.2
# How long, in seconds, an interrupted or failed run waits for its workers: Ctrl-C is to be answered within one second,
# and az needs some of it.
FAREWELL = 0.4
# A blob above this many bytes counts as a transfer: it takes longer than its requests, and a block of memory.
LARGE = 1024 * 1024
# Further connections for huge blobs, of all of them together. Each may hold a part of 4 MiB, twice what a transfer
# takes, so with more of them the process would not stay under 100 MB.
HELPERS = 4
# More large blobs than these fill the line by themselves, and each is slow because of the others.
FEW = 2


def run_plan(
    plan: CopyPlan,
    pool: Pool,
    cancellation: Cancellation,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> CopyReport:
    """Do all that the plan says. Every failure is in the report; only KeyboardInterrupt and bugs are raised.

    On KeyboardInterrupt, and when ``cancellation`` is set elsewhere, what is under way is given up and the items that
    are not complete are reported as ``cancelled``; the caller decides what to raise.
    """
    return _Run(plan, None, pool, cancellation, on_progress).run()


def run_requests(
    requests: Sequence[CopyRequest],
    pool: Pool,
    cancellation: Cancellation,
    places: BlobPlaces | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> CopyReport:
    """As ``make_plan`` and ``run_plan``, but what is planned moves while other images are still asked about."""
    planning = Planning(requests, pool, places)
    return _Run(planning.plan, planning, pool, cancellation, on_progress).run()


class _Run:
    def __init__(
        self,
        plan: CopyPlan,
        planning: Planning | None,
        pool: Pool,
        cancellation: Cancellation,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._plan = plan
        self._planning = planning
        self._pool = pool
        self._cancellation = cancellation
        self._on_progress = on_progress
        self._started = time.monotonic()
        self._told = 0.0
        self._waits: dict[Step, set[Step]] = {}
        self._dependants: dict[Step, list[Step]] = {}
        self._owners: dict[Step, list[PlanItem]] = {}
        self._left: dict[int, int] = {}
        self._blobs: list[CopyBlob | MountBlob] = []
        self._bytes_total = 0
        self._done: dict[Step, Outcome] = {}
        self._failed: dict[Step, EngineError] = {}
        self._begun: set[Step] = set()
        self._large: list[tuple[int, int, Step]] = []
        self._small: deque[Step] = deque()
        self._count = itertools.count()
        self._moving = 0
        self._spare = Spare(self._unused) if pool.jobs > 1 else None
        # with one job there is nobody but the worker to tell how far it is
        self._carrier = Carrier(plan, cancellation, self._spare, self._tell if pool.jobs == 1 else None)

    def run(self) -> CopyReport:
        """To the end, or to an interruption."""
        try:
            if self._planning:
                self._planning.begin()
            else:
                for item in self._plan.items:
                    self._take(item)
                for item in self._plan.items:
                    self._start(item)
            self._coordinate()
        except (KeyboardInterrupt, Cancelled):
            self._cancellation.cancel()
        if self._cancellation.requested:
            self._pool.close(FAREWELL)
            for done in self._pool.wait(0):  # what ended meanwhile counts: a tag may be among it
                if done.error is None and not isinstance(done.key, Question):
                    self._complete(done.key, done.value)
        for item in self._plan.items:
            if item.result.status == "planned":
                self._end(item, "cancelled", Cancelled())
        self._tell(last=True)
        return CopyReport(tuple(item.result for item in self._plan.items), time.monotonic() - self._started)

    def _coordinate(self) -> None:
        running = 0
        while running or self._large or self._small or self._asking():
            while running < self._pool.jobs and (step := self._next()):
                if self._waits[step] or all(owner.result.error for owner in self._owners[step]):
                    self._begun.discard(step)  # until what it waits for is done, or somebody else wants it
                    continue
                self._pool.submit(step, self._carrier.work(step))
                self._moving += _is_large(step)
                running += 1
            for done in self._pool.wait(PROGRESS_INTERVAL) if running or self._asking() else ():
                if isinstance(done.key, Question):
                    self._cancellation.check()
                    self._hear(done)
                    continue
                running -= 1
                self._moving -= _is_large(done.key)
                if done.error is None:
                    self._ready(self._complete(done.key, done.value))
                else:
                    self._fail(done.key, done.error)
            self._tell()
            self._cancellation.check()
            if running and all(item.result.status != "planned" for item in self._plan.items):
                self._cancellation.cancel()  # nothing that is under way is wanted any longer
                return

    def _asking(self) -> bool:
        return self._planning is not None and self._planning.open > 0

    def _hear(self, done: Done) -> None:
        assert self._planning
        walk = self._planning.hear(done)
        if walk:
            self._planning.add(walk)
            self._take(walk.item)
            self._start(walk.item)

    def _take(self, item: PlanItem) -> None:
        """Know an item's steps. Some of them may be under way, done or failed already, for another item."""
        for step in item.steps:
            if step not in self._owners:
                self._owners[step], self._waits[step] = [], set()
                if isinstance(step, (CopyBlob, MountBlob)):
                    self._blobs.append(step)
                    self._bytes_total += step.descriptor.size
            self._owners[step].append(item)
            for wait in self._plan.steps[step]:
                if step not in self._done and wait not in self._done and wait not in self._waits[step]:
                    self._waits[step].add(wait)
                    self._dependants.setdefault(wait, []).append(step)
        self._left[id(item)] = sum(step not in self._done for step in item.steps)

    def _start(self, item: PlanItem) -> None:
        """Have its steps done that wait for nothing."""
        for step in item.steps:
            if step in self._done:
                self._tally(item, step, "existing")
            elif step in self._failed and item.result.error is None:
                self._end(item, "failed", self._failed[step])
        if not self._left[id(item)]:
            self._finish(item)
        self._ready(step for step in item.steps if not self._waits[step] and step not in self._done)

    def _ready(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if step in self._begun:
                continue
            self._begun.add(step)
            if _is_large(step):
                # ordered by size, and by age among equals
                heapq.heappush(self._large, (-step.descriptor.size, next(self._count), step))
            elif isinstance(step, (PutManifest, PutTag)):
                self._small.appendleft(step)  # an image that can be completed is, before the next one is begun
            else:
                self._small.append(step)

    def _next(self) -> Step | None:
        """Large blobs first, so that whatever is left for the end is small; but not more than the line can use."""
        helpers = self._spare.taken if self._spare else 0
        if self._large and self._moving + helpers < self._pool.transfers:
            return heapq.heappop(self._large)[2]
        return self._small.popleft() if self._small else None

    def _unused(self) -> int:
        """Of the line, when every large blob that could move does. Asked by workers; a little wrong is no harm."""
        moving = self._moving + len(self._large)
        return min(HELPERS, self._pool.transfers - moving) if moving <= FEW else 0

    def _complete(self, step: Step, outcome: Outcome) -> list[Step]:
        """Count the step, and return what need not wait any longer."""
        self._done[step] = outcome
        if isinstance(step, (CopyBlob, MountBlob)):
            store = self._plan.targets[step.target]
            self._plan.places.holds(store.registry, store.repository, step.descriptor)
        for number, item in enumerate(self._owners[step]):
            # a blob that several images need moves once; for all but the first it is there already
            self._tally(item, step, outcome if number == 0 else "existing")
            self._left[id(item)] -= 1
            if not self._left[id(item)]:
                self._finish(item)
        ready = []
        for dependant in self._dependants.get(step, ()):
            self._waits[dependant].discard(step)
            if not self._waits[dependant]:
                ready.append(dependant)
        return ready

    def _tally(self, item: PlanItem, step: Step, way: Outcome) -> None:
        if isinstance(step, (CopyBlob, MountBlob)):
            item.result.blobs.add(way, 1)
            item.result.bytes.add(way, step.descriptor.size)
        elif isinstance(step, PutTag):
            name = f"{step.target.partition('/')[2]}:{step.tag}"
            item.result.written += (name,) if name in item.result.targets else ()

    def _fail(self, step: Step, error: BaseException) -> None:
        if not isinstance(error, EngineError) or isinstance(error, Cancelled):
            raise error
        self._failed[step] = error
        for item in self._owners[step]:
            if item.result.error is None:
                self._end(item, "failed", error)

    def _finish(self, item: PlanItem) -> None:
        if item.result.status == "planned":
            self._end(item, "updated" if item.moved_tags else "copied", None)

    def _end(self, item: PlanItem, status: Status, error: EngineError | None) -> None:
        item.result.status = status
        item.result.error = error
        item.result.seconds = time.monotonic() - self._started

    def _tell(self, last: bool = False) -> None:
        now = time.monotonic()
        if not last and now - self._told < PROGRESS_INTERVAL:
            return
        self._told = now
        done_blobs = [step for step in self._blobs if step in self._done]
        active = tuple(
            (step.descriptor.digest, done, step.descriptor.size) for step, done in list(self._carrier.transfers.items())
        )
        moved = sum(step.descriptor.size for step in done_blobs) + sum(done for _, done, _ in active)
        self._on_progress(
            Progress(
                bytes_done=min(moved, self._bytes_total),  # a blob that is brought a second time adds nothing
                bytes_total=self._bytes_total,
                blobs_done=len(done_blobs),
                blobs_total=len(self._blobs),
                manifests_done=len(self._done) - len(done_blobs),
                manifests_total=len(self._plan.steps) - len(self._blobs),
                seconds=now - self._started,
                active=active,
            )
        )


def _is_large(step: Step) -> bool:
    return isinstance(step, (CopyBlob, MountBlob)) and step.descriptor.size > LARGE
