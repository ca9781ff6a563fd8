# SPDX-License-Identifier: MIT
"""Giving up in time: one flag that every wait and every block looks at, and the sockets that must be woken.

What a run has open at a registry wants a farewell. For that there is a little time more, and no longer.
Whoever waits for longer than a moment says so here: people are to know what a silent program is doing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .errors import Cancelled, EngineError

__all__ = ["FAREWELL", "PARTING", "Cancellation", "Wait"]

# How long, in seconds, an interrupted run may take to end: Ctrl-C is to be answered within one second, and az needs
# some of it.
FAREWELL = 0.4
# And one that has failed: what it has opened at a registry and will not use is closed there.
PARTING = 3.0
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Wait:
    """A request is to be sent in so many seconds, and not before. ``subject``: the host; ``why``: in words."""

    seconds: float
    subject: str
    why: str

    @classmethod
    def after(cls, seconds: float, error: EngineError) -> Wait:
        """What went wrong is the reason."""
        return cls(seconds, error.subject, error.message)


class Cancellation:
    """Set once, by the calling thread; workers see it at the next block, or at once if they wait in ``wait``.

    A thread that sits in a blocking read sees no flag. Whoever opens such a read says with ``waking`` how to end it.
    ``on_wait`` is called before each wait, in whichever thread waits.
    """

    def __init__(self, on_wait: Callable[[Wait], None] = lambda wait: None) -> None:
        self.on_wait = on_wait
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._wakers: dict[_Waking, Callable[[], None]] = {}
        self._deadline: float | None = None
        # when farewells end, too
        self._over_at = NEVER
        self._here = _Here()
        self.expired = False

    @property
    def requested(self) -> bool:
        """True from the first ``cancel`` on."""
        return self._event.is_set()

    @property
    def over(self) -> bool:
        """True when the time for farewells has passed, too."""
        return self.now() >= self._over_at

    @property
    def left(self) -> float | None:
        """Seconds until the deadline, in ``parting`` until its end, never less than a moment; None without one."""
        ends = self._parting_ends() if self._here.until else self._deadline
        return None if ends is None else max(ends - self.now(), 0.01)

    def cancel(self, grace: float = 0.0) -> None:
        """Ask everything to stop. May be called again, from any thread.

        ``grace``: seconds that there are for farewells; of several calls the earliest end counts.
        """
        with self._lock:
            self._over_at = min(self._over_at, self.now() + grace)
            self._event.set()
            wakers = [wake for waking, wake in self._wakers.items() if self.over or not waking.is_kept]
        for wake in wakers:
            with contextlib.suppress(Exception):  # the other side may have closed it at this very moment
                wake()

    def check(self) -> None:
        """Raise Cancelled once ``cancel`` was called, or the time is over, of which a wait may hear first."""
        if self._deadline is not None and self.now() >= self._deadline:
            self._expire()
        ended = self.now() >= self._parting_ends() if self._here.until else self._event.is_set()
        if ended:
            raise Cancelled

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """What this thread asks in the block is not given up before its answer is there, or ``over``.

        For what opens something that must be closed again. After ``cancel`` nothing begins, here or elsewhere.
        """
        before, self._here.keeps = self._here.keeps, True
        try:
            yield
        finally:
            self._here.keeps = before

    @contextlib.contextmanager
    def parting(self, seconds: float = PARTING) -> Iterator[None]:
        """For a farewell, which may also begin after ``cancel``: it has so many seconds, and not longer than ``over``.

        In the block ``check`` raises Cancelled at that time.
        """
        self._here.until = self.now() + seconds
        try:
            with self.keeping():
                yield
        finally:
            self._here.until = 0.0

    def _parting_ends(self) -> float:
        latest = NEVER if self._deadline is None else self._deadline + FAREWELL
        return min(self._here.until, self._over_at, latest)

    def now(self) -> float:
        """Seconds on the clock by which ``wait`` waits; it never goes back."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Sleep, but not a moment longer than the work is wanted. Raises Cancelled."""
        if self._event.wait(seconds):
            raise Cancelled

    def waking(self, wake: Callable[[], None]) -> _Waking:
        """A context manager: while the block runs, ``cancel`` also calls ``wake``. Raises Cancelled at its begin."""
        return _Waking(self, wake)

    @contextlib.contextmanager
    def within(self, seconds: float | None) -> Iterator[None]:
        """Cancel when the block has run for so many seconds; then ``expired`` is True. None: no limit."""
        if seconds is None:
            yield
            return
        self._deadline = self.now() + seconds
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        with contextlib.suppress(RuntimeError):  # no more threads are allowed: ``check`` looks at the clock, too
            timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self.expired = True
        self.cancel(FAREWELL)


class _Here(threading.local):
    """What a thread is at. ``keeps``: something that is kept; ``until``: a farewell, with its end on the clock."""

    keeps = False
    until = 0.0


class _Waking:
    """Written out, since every request needs one: what ``contextlib`` makes of a generator costs five times as much."""

    __slots__ = ("_cancellation", "_wake", "is_kept")

    def __init__(self, cancellation: Cancellation, wake: Callable[[], None]) -> None:
        self._cancellation = cancellation
        self._wake = wake
        self.is_kept = cancellation._here.keeps

    def __enter__(self) -> None:
        cancellation = self._cancellation
        with cancellation._lock:
            cancellation._wakers[self] = self._wake
        if cancellation.over if self.is_kept else cancellation.requested:
            self.__exit__()
            raise Cancelled

    def __exit__(self, *_: object) -> None:
        with self._cancellation._lock:
            self._cancellation._wakers.pop(self, None)
