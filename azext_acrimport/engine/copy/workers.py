# SPDX-License-Identifier: MIT
"""Threads that do one blocking piece of work after the other, and the event loop that waits for them alone.

They know nothing of what they do.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable

__all__ = ["WorkLoop", "Workers"]


class Workers:
    """At most so many threads, started when there is work for them; daemons: a program that must end is not held up.

    Where fewer are allowed (``ulimit -u``, containers) those do it, and where none are, whoever wants it done.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, work: Callable[[], None], under_way: int) -> None:
        """Have it done. ``under_way``: how many pieces are, with this one; ``work`` raises nothing."""
        if len(self._threads) < min(self._most, under_way):
            thread = threading.Thread(target=self._run, name=f"acrimport-{len(self._threads)}", daemon=True)
            try:
                thread.start()
                self._threads.append(thread)
            except RuntimeError:
                if not self._threads:
                    work()
                    return
        self._work.put(work)

    def close(self, timeout: float) -> None:
        """Send the threads home. One that is stuck in the operating system is left to end with the process."""
        for _ in self._threads:
            self._work.put(None)
        deadline = time.monotonic() + timeout
        threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()


class WorkLoop(asyncio.BaseEventLoop):
    """asyncio's, without sockets: workers are all that it waits for, so a queue takes the place of the selector.

    Each wake costs one lock instead of three calls into the system, after each of which the calling thread would have
    to wait for its turn among sixty-four; and a run needs no file descriptor.
    """

    def __init__(self) -> None:
        super().__init__()
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._selector = self

    def select(self, timeout: float | None) -> tuple[()]:
        """As asyncio calls it: wait until something is to be done, at most so many seconds."""
        with contextlib.suppress(queue.Empty):
            self._woken.get(timeout is None or timeout > 0, timeout)
            while True:
                self._woken.get_nowait()
        return ()

    def _process_events(self, events: object) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        self._woken.put(None)
