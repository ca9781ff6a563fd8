# SPDX-License-Identifier: MIT
"""Work that begins before anybody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Ahead"]

T = TypeVar("T")


class Ahead(Generic[T]):
    """One piece of work in a thread of its own, a daemon: a program that must end is not held up."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._thread = threading.Thread(target=self._run, name="acrimport-ahead", daemon=True)
        self._thread.start()

    def result(self) -> T:
        """What it returned; waits for its end. Raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value

    def _run(self) -> None:
        self._error: BaseException | None = None
        try:
            self._value = self._work()
        except BaseException as error:
            self._error = error
