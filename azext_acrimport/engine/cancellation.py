# SPDX-License-Identifier: MIT
"""Giving up in time: one flag that every wait and every block looks at, and the sockets that must be woken."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from .errors import Cancelled

__all__ = ["Cancellation"]


class Cancellation:
    """Set once, by the calling thread; workers see it at the next block, or at once if they wait in ``wait``.

    A thread that sits in a blocking read sees no flag. Whoever opens such a read says with ``waking`` how to end it.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._wakers: dict[int, Callable[[], None]] = {}

    @property
    def requested(self) -> bool:
        """True from the first ``cancel`` on."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Ask everything to stop. May be called again, from any thread."""
        self._event.set()
        with self._lock:
            wakers = list(self._wakers.values())
        for wake in wakers:
            with contextlib.suppress(Exception):  # the other side may have closed it at this very moment
                wake()

    def check(self) -> None:
        """Raise Cancelled once ``cancel`` was called."""
        if self._event.is_set():
            raise Cancelled

    def now(self) -> float:
        """Seconds on the clock by which ``wait`` waits; it never goes back."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Sleep, but not a moment longer than the work is wanted. Raises Cancelled."""
        if self._event.wait(seconds):
            raise Cancelled

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """While the block runs, ``cancel`` also calls ``wake``."""
        with self._lock:
            self._wakers[id(wake)] = wake
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._wakers.pop(id(wake), None)
