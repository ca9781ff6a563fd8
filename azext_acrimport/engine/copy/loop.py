# SPDX-License-Identifier: MIT
"""The event loop of a run: asyncio's, without sockets."""

from __future__ import annotations

import asyncio
import contextlib
import queue

__all__ = ["WorkLoop"]


class WorkLoop(asyncio.BaseEventLoop):
    """Workers are all that it waits for, so a queue takes the place of the selector.

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
