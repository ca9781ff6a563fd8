# SPDX-License-Identifier: MIT
"""Many stories at once: coroutines in the calling thread, their requests in workers.

The driver knows hosts and kinds of request, not registries. It begins a piece of work when a worker is free and the
lanes of its hosts are open (``limits``), the pieces of earlier stories first; a piece that cannot go on now comes back
later, and its worker does something else meanwhile. With one job there is no thread: a piece is done where it is asked
for, and begun again as with many, in the same order every time, and recordings of HTTP replay exactly.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from ..cancellation import FAREWELL, PARTING, Cancellation
from ..content.store import Source, Target
from ..content.stream import Spare
from ..errors import Cancelled, EngineError, Origin
from ..waiting import Postponed
from .limits import NEVER, Kind, Lanes, Limits
from .queues import Piece, Queues, Rank
from .workers import Workers, WorkLoop

__all__ = ["Driver", "both", "gather"]

T = TypeVar("T")
U = TypeVar("U")
# Where nobody says how many. A transfer needs memory and a share of the line, and twelve fill most lines; a question or
# a small blob waits for its round trip and needs nothing else. Over a link of 50 ms, 200 images take less than half
# the time with 64 at once that they take with 16; on loopback it makes no difference (benchmarks/README.md).
TRANSFERS = 12
ERRANDS = 64
# Further connections for huge blobs, of all of them together. Each may hold a part of 4 MiB, twice what a transfer
# takes, so with more of them the process would not stay under 100 MB.
HELPERS = 4
# More large blobs than these fill the line by themselves, and each is slow because of the others.
FEW = 2
# Seconds between two looks at whether all has ended.
LOOK = 0.01


class Driver:
    """``jobs``: pieces of work at once; None for a number that suits most registries and lines.

    ``on_idle`` is called in the calling thread when workers have nothing to do, with their number.
    """

    def __init__(self, jobs: int | None, cancellation: Cancellation) -> None:
        self.cancellation = cancellation
        self.inline = jobs == 1
        self.jobs = ERRANDS if jobs is None else jobs
        self.transfers = TRANSFERS if jobs is None else jobs
        self.on_idle: Callable[[int], None] = lambda free: None
        self.spare = None if self.inline else Spare(self._unused)
        self._limits = Limits(self.jobs)
        self._workers = Workers(self.jobs)
        self._loop = WorkLoop()
        self.lanes = self._limits.lanes
        self._queues = Queues()
        self._begun: dict[int, Piece] = {}
        self._moving = 0
        self._ended: deque[tuple[Piece, Any, BaseException | None]] = deque()
        self._pausing: set[asyncio.Future[None]] = set()
        self._stopped = False
        self._will_dispatch = False
        self._will_collect = False
        self._timer: asyncio.TimerHandle | None = None

    def run(self, main: Coroutine[Any, Any, None], tick: Callable[[], None], interval: float) -> None:
        """``main`` to its end, or to a cancellation or Ctrl-C. ``tick`` is called every so many seconds meanwhile.

        Nothing of it goes on afterwards, but for threads that are stuck in the operating system. Raises what is a bug.
        """
        task = self._loop.create_task(main)
        ticking = self._loop.create_task(self._tick(tick, interval))
        try:
            with self.cancellation.waking(lambda: self.from_outside(self._stop)):
                self._loop.run_until_complete(task)
        except (KeyboardInterrupt, Cancelled):
            self.cancellation.cancel(FAREWELL)
        finally:
            ticking.cancel()
            self._say_farewell()

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more is to begin."""
        return self._stopped

    def start(self, story: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin a coroutine; it goes on whoever waits for it."""
        return self._loop.create_task(story)

    def attempt(self, story: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """As ``start``; where it fails, and whoever began it has come to an end, that is nobody's business."""
        task = self.start(story)
        task.add_done_callback(_heard)
        return task

    def promise(self) -> asyncio.Future[Any]:
        """Something that stories may wait for."""
        return self._loop.create_future()

    async def ask(
        self,
        side: Origin,
        store: Source | Target,
        kind: Kind,
        work: Callable[[], T],
        rank: Rank,
        *,
        wanted: Callable[[], bool] = lambda: True,
    ) -> T:
        """``call`` for a piece of work that has to do with one place only."""
        return await self.call(work, self.lanes(kind, (side, store.registry)), rank, wanted=wanted)

    async def call(
        self,
        work: Callable[[], T],
        lanes: Lanes,
        rank: Rank,
        *,
        size: int = 0,
        wanted: Callable[[], bool] = lambda: True,
    ) -> T:
        """Have it done by a worker, again and again while what it has met may pass.

        ``size``: bytes that it moves. ``wanted`` is asked before it begins: if it is not, Cancelled is raised. Raises
        what the work raises.
        """
        piece = Piece(work, lanes, rank, size, wanted, self.promise())
        while True:
            self._push(piece)
            try:
                value: T = await piece.future
            except Postponed as postponed:
                moment = self._limits.postponed(lanes, postponed, piece.begun)
                await self._later(moment, postponed.until)
            except EngineError as error:
                moment = self._limits.another_try_at(lanes, error, piece.seen)
                if not moment:
                    raise
                piece.attempts.forgive()
                await self._later(moment)
            else:
                lanes.answered()
                return value
            piece.future = self.promise()

    async def _later(self, moment: float, until: Future[Any] | None = None) -> None:
        """Until that time has come, or another thread has come to its end. Raises Cancelled."""
        pause = self.promise()

        def wake() -> None:
            if not pause.done():
                pause.set_result(None)

        if until is None:
            timer = self._loop.call_later(max(0.0, moment - time.monotonic()), wake)
            pause.add_done_callback(lambda _: timer.cancel())
        else:
            until.add_done_callback(lambda _: self.from_outside(wake))
        self._pausing.add(pause)
        try:
            if self._stopped:
                raise Cancelled
            await pause
        finally:
            self._pausing.discard(pause)

    def _push(self, piece: Piece) -> None:
        if self._stopped or self.cancellation.requested:
            piece.future.set_exception(Cancelled())
            return
        self._queues.push(piece)
        if self.inline:
            self._dispatch()
        else:
            self._dispatch_soon()

    def _dispatch_soon(self) -> None:
        """When all stories that can go on have said what they want next."""
        if not self._will_dispatch:
            self._will_dispatch = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        """Begin what may begin."""
        self._will_dispatch = False
        while len(self._begun) < self.jobs and (piece := self._next()):
            self._begin(piece)
        if not self._stopped and len(self._begun) < self.jobs:
            self.on_idle(self.jobs - len(self._begun))

    def _next(self) -> Piece | None:
        room = self._moving + (self.spare.taken if self.spare else 0) < self.transfers
        piece = self._queues.pop(time.monotonic(), transfer=room)
        if piece is None and self._queues.opens < NEVER:
            self._look_again_at(self._queues.opens)
        return piece

    def _look_again_at(self, moment: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(moment - time.monotonic(), self._dispatch_soon)

    def _begin(self, piece: Piece) -> None:
        if not piece.wanted():
            piece.future.set_exception(Cancelled())
            return
        piece.lanes.begin()
        piece.seen = piece.lanes.successes
        self._moving += piece.large
        piece.begun = time.monotonic()
        self._begun[id(piece)] = piece
        if self.inline:
            self._end(piece, *self._done(piece))
            return

        def work() -> None:
            self._ended.append((piece, *self._done(piece)))
            if not self._will_collect:
                self._will_collect = True
                self.from_outside(self._collect)

        self._workers.submit(work, len(self._begun))

    def _done(self, piece: Piece) -> tuple[Any, BaseException | None]:
        """In a worker, or inline: what came of it."""
        try:
            self.cancellation.check()
            return piece.attempts.postponing(piece.work), None
        except KeyboardInterrupt:
            self.cancellation.cancel(FAREWELL)
            return None, Cancelled()
        except BaseException as error:
            return None, error

    def _collect(self) -> None:
        self._will_collect = False  # first: what ends from now on asks for another look
        while self._ended:
            self._end(*self._ended.popleft())
        self._dispatch_soon()

    def _end(self, piece: Piece, value: Any, error: BaseException | None) -> None:
        if self._begun.pop(id(piece), None) is None:
            return  # it was given up
        piece.lanes.end()
        self._moving -= piece.large
        if error is not None:
            piece.future.set_exception(error)
        else:
            piece.future.set_result(value)

    def from_outside(self, call: Callable[[], None]) -> None:
        """From any thread. Nothing when the run has ended."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call)

    async def _tick(self, tick: Callable[[], None], interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            tick()

    def _stop(self) -> None:
        """Begin nothing more; what is under way has a moment to end."""
        if self._stopped:
            return
        self._stopped = True
        self._loop.call_later(FAREWELL, self._give_up)
        for piece in self._queues.clear():
            piece.future.set_exception(Cancelled())
        for pause in tuple(self._pausing):
            if not pause.done():
                pause.set_exception(Cancelled())

    def _say_farewell(self) -> None:
        """What is under way may still end, and counts: a tag may be among it. Then everything is closed."""
        try:
            self._stop()
            if self._begun:
                self.cancellation.cancel(PARTING)  # nothing that is under way is wanted any longer
            self._loop.run_until_complete(self._ends())
        except KeyboardInterrupt:  # whoever is in a hurry now has heard why it fails, or has asked for the end before
            self.cancellation.cancel()
            self._give_up()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._workers.close(0.0 if self.cancellation.requested else FAREWELL)
        self._loop.close()

    def _give_up(self) -> None:
        """What is still under way when the time for farewells is over."""
        if self._begun and not self.cancellation.over:
            self._loop.call_later(LOOK, self._give_up)
            return
        if self._begun:
            self.cancellation.cancel()
        for piece in tuple(self._begun.values()):
            self._end(piece, None, Cancelled())

    async def _ends(self) -> None:
        while self._begun:
            await asyncio.sleep(LOOK)
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=FAREWELL)

    def _unused(self) -> int:
        """Of the line, when every large blob that could move does. Asked by workers; a little wrong is no harm."""
        moving = self._moving + self._queues.large
        return min(HELPERS, self.transfers - moving) if moving <= FEW else 0


def _heard(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


async def gather(*works: Coroutine[Any, Any, T]) -> list[T]:
    """All at once. When all have ended: their values, or the error of the first (in their order) that failed."""
    if len(works) < 2:
        return [await work for work in works]
    ended = await asyncio.gather(*works, return_exceptions=True)
    values: list[T] = []
    for value in ended:
        if isinstance(value, BaseException):
            raise value
        values.append(value)
    return values


async def both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Two of different kinds, as ``gather``."""
    one, other = await asyncio.gather(first, second, return_exceptions=True)
    if isinstance(one, BaseException):
        raise one
    if isinstance(other, BaseException):
        raise other
    return one, other
