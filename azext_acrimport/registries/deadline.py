# SPDX-License-Identifier: MIT
"""The one limit of a command: it counts from the first step of the handler, and bounds every wait after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from ..engine import Ahead, TimedOut

T = TypeVar("T")


class Deadline:
    """``seconds`` from now; None: no limit. Look-ups, sign-ins and both engines have it in common."""

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = seconds
        self._started = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._started

    @property
    def left(self) -> float | None:
        """Seconds, never below 0; None without a limit."""
        return None if self.seconds is None else max(self.seconds - self.elapsed, 0.0)

    @property
    def over(self) -> bool:
        """True when nothing more is to begin."""
        return self.left == 0.0

    def check(self) -> None:
        """Raise TimedOut when it is over."""
        if self.seconds is not None and self.over:
            raise TimedOut(self.seconds)

    def within(self, seconds: float) -> Deadline:
        """From now on, but no later than this one."""
        return Deadline(seconds if self.left is None else min(self.left, seconds))

    def wait_for(self, work: Callable[[], T]) -> T:
        """Do it in a thread, which is left to itself when time is over: what az asks of Azure has no limit of its own.

        Raises TimedOut, and what the work raises.
        """
        self.check()
        return Ahead(work).result(self.check)
