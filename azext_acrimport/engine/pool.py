# SPDX-License-Identifier: MIT
"""Workers that know nothing of what they do. The calling thread hands out work and takes in results.

With one job there is no thread at all: the same order every time, and recordings of HTTP replay exactly.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Done", "InlinePool", "Pool", "ThreadPool", "make_pool"]

# Where nobody says how many. A transfer needs memory and a share of the line, and twelve fill most lines; a question or
# a small blob waits for its round trip and needs nothing else. Over a link of 50 ms, 200 images take less than half
# the time with 64 at once that they take with 16; on loopback it makes no difference (benchmarks/README.md).
TRANSFERS = 12
ERRANDS = 64


@dataclass(frozen=True, slots=True)
class Done:
    """The result of one piece of work: ``value``, or the ``error`` that it raised."""

    key: Any
    value: Any = None
    error: BaseException | None = None


class Pool(Protocol):
    """``jobs`` pieces of work at once, ``transfers`` of them with large blobs. Only the coordinator calls methods."""

    jobs: int
    transfers: int

    def submit(self, key: Hashable, work: Callable[[], Any]) -> None:
        """Have it done, now or soon."""

    def wait(self, timeout: float) -> list[Done]:
        """What has been done since the last call; waits up to ``timeout`` seconds for the first of it."""

    def close(self, timeout: float) -> None:
        """Take no more work; wait up to ``timeout`` seconds for what is under way."""


class InlinePool:
    """One job: work is done where it is submitted. KeyboardInterrupt passes through."""

    jobs = 1
    transfers = 1

    def __init__(self) -> None:
        self._done: list[Done] = []

    def submit(self, key: Hashable, work: Callable[[], Any]) -> None:
        """Do it."""
        self._done.append(_result(key, work, Exception))

    def wait(self, timeout: float) -> list[Done]:
        """Everything submitted since the last call."""
        done, self._done = self._done, []
        return done

    def close(self, timeout: float) -> None:
        """Nothing is under way."""


class ThreadPool:
    """Threads that start when there is work for them. They are daemons: a program that must end is not held up."""

    def __init__(self, jobs: int, transfers: int) -> None:
        self.jobs = jobs
        self.transfers = transfers
        self._work: queue.SimpleQueue[tuple[Hashable, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unfinished = 0

    def submit(self, key: Hashable, work: Callable[[], Any]) -> None:
        """Queue it; a thread is added while there are more pieces of work than threads."""
        self._unfinished += 1
        if len(self._threads) < min(self.jobs, self._unfinished):
            thread = threading.Thread(target=self._run, name=f"acrimport-{len(self._threads)}", daemon=True)
            thread.start()
            self._threads.append(thread)
        self._work.put((key, work))

    def wait(self, timeout: float) -> list[Done]:
        """As the protocol says; short waits keep Ctrl-C alive on every platform."""
        done: list[Done] = []
        try:
            done.append(self._results.get(timeout=timeout))
            while True:
                done.append(self._results.get_nowait())
        except queue.Empty:
            pass
        self._unfinished -= len(done)
        return done

    def close(self, timeout: float) -> None:
        """Send the threads home. One that is stuck in the operating system is left to end with the process."""
        for _ in self._threads:
            self._work.put(None)
        deadline = time.monotonic() + timeout
        threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while (entry := self._work.get()) is not None:
            self._results.put(_result(*entry, BaseException))


def make_pool(jobs: int | None = None) -> Pool:
    """The pool for so many jobs; without a number, one that suits most registries and lines."""
    if jobs is None:
        return ThreadPool(ERRANDS, TRANSFERS)
    return InlinePool() if jobs == 1 else ThreadPool(jobs, jobs)


def _result(key: Hashable, work: Callable[[], Any], caught: type[BaseException]) -> Done:
    try:
        return Done(key, work())
    except caught as error:
        return Done(key, error=error)
