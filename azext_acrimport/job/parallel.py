# SPDX-License-Identifier: MIT
"""Pieces of work that block, some at a time; whoever waits for them can always be interrupted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from ..engine import Ahead

__all__ = ["each"]


def each(works: Iterable[Callable[[], None]], at_once: int, check: Callable[[], None]) -> None:
    """Do all of them, in their order; with one at a time in this thread. Raises what one of them raises.

    ``check`` is called while they run. When it raises, or Ctrl-C comes, what has not begun never begins, and the
    threads are left to themselves: what az asks of Azure cannot be woken.
    """
    waiting = deque(works)
    at_once = min(at_once, len(waiting))

    def work() -> None:
        while waiting:
            try:
                one = waiting.popleft()
            except IndexError:
                return
            one()

    if at_once < 2:
        work()
        return
    threads = [Ahead(work) for _ in range(at_once)]
    try:
        for thread in threads:
            thread.result(check)
    finally:
        waiting.clear()
