# SPDX-License-Identifier: MIT
"""Giving up in time: one flag that every wait and every block looks at, and the sockets that must be woken.

Whoever waits for longer than a moment says so here: people are to know what a silent program is doing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .errors import Cancelled, EngineError

__all__ = ["Cancellation", "Wait"]


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
        self.expired = False

    @property
    def requested(self) -> bool:
        """True from the first ``cancel`` on."""
        return self._event.is_set()

    @property
    def left(self) -> float | None:
        """Seconds until the deadline, never less than a moment; None without one."""
        return None if self._deadline is None else max(self._deadline - self.now(), 0.01)

    def cancel(self) -> None:
        """Ask everything to stop. May be called again, from any thread."""
        self._event.set()
        with self._lock:
            wakers = list(self._wakers.values())
        for wake in wakers:
            with contextlib.suppress(Exception):  # the other side may have closed it at this very moment
                wake()

    def check(self) -> None:
        """Raise Cancelled once ``cancel`` was called, or the time is over, of which a wait may hear first."""
        if self._deadline is not None and self.now() >= self._deadline:
            self._expire()
        if self._event.is_set():
            raise Cancelled

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
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self.expired = True
        self.cancel()


class _Waking:
    """Written out, since every request needs one: what ``contextlib`` makes of a generator costs five times as much."""

    __slots__ = ("_cancellation", "_wake")

    def __init__(self, cancellation: Cancellation, wake: Callable[[], None]) -> None:
        self._cancellation = cancellation
        self._wake = wake

    def __enter__(self) -> None:
        with self._cancellation._lock:
            self._cancellation._wakers[self] = self._wake
        if self._cancellation.requested:
            self.__exit__()
            raise Cancelled

    def __exit__(self, *_: object) -> None:
        with self._cancellation._lock:
            self._cancellation._wakers.pop(self, None)
