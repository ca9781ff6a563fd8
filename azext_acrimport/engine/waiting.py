# SPDX-License-Identifier: MIT
"""How a thread waits: in its place, or, when it is a worker that others need as well, by coming back later.

Whoever must wait for a time, or for what another thread is finding out, says so to the ``Attempts`` of its piece of
work. Outside a worker that sleeps. In a worker it raises Postponed: the piece is given up where it stands, its worker
does something else, and the piece is begun again when the time has come. What it had found out (tokens, what a registry
does not do) is remembered where it was found out, and how often each request has failed in the Attempts.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as StillRunning
from typing import Any, Generic, TypeVar

from .cancellation import Cancellation, Wait
from .errors import EngineError

__all__ = ["LOOK", "Ahead", "Attempts", "Postponed", "SingleFlight"]

T = TypeVar("T")

# Seconds between two looks at whether waiting is wanted at all.
LOOK = 0.1
# How long, in seconds, the end of the program waits for work that nobody wants any more: ten times what it takes to
# load the trusted authorities, and less than anybody notices where it waits for a server that does not answer.
LAST = 0.2


class Ahead(Generic[T]):
    """Work that begins before anybody waits for it, in a thread of its own; a daemon: who must end is not held up.

    Where no more threads are allowed (``ulimit -u``, containers) it is done at once, by whoever begins it.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = _AheadThread(target=self._run, name="acrimport-ahead", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            with Attempts.staying():
                self._run()
            if isinstance(self._error, KeyboardInterrupt):  # which was meant for all that this thread does
                raise self._error from None

    @property
    def ended(self) -> bool:
        """Whether it has come to its end, whichever."""
        return not self._thread.is_alive()

    def result(self, check: Callable[[], None] = lambda: None) -> T:
        """What it returned; waits for its end. Raises what it raised, and what ``check`` raises meanwhile."""
        while self._thread.is_alive():
            check()
            self._thread.join(LOOK)  # in pieces: on Windows a wait without an end cannot be interrupted
        if self._error is not None:
            raise self._error
        return self._value

    def _run(self) -> None:
        try:
            self._value = self._work()
        except BaseException as error:
            self._error = error


class _AheadThread(threading.Thread):
    """Of an Ahead."""


@atexit.register
def _end_together() -> None:
    """Who is within OpenSSL when the process takes that down dies, and all with it: signal 11 after a good import.

    Daemons run on until then: https://docs.python.org/3/library/threading.html#thread-objects
    """
    deadline = time.monotonic() + LAST
    with contextlib.suppress(KeyboardInterrupt):
        for thread in threading.enumerate():
            if isinstance(thread, _AheadThread):
                thread.join(max(0.0, deadline - time.monotonic()))


class Postponed(Exception):
    """The piece of work is to be begun again: after ``seconds``, or when ``until`` is done. ``error``: why, if known.

    No EngineError: nothing has failed, and nobody but who gives work to workers ever sees it.
    """

    def __init__(
        self, seconds: float = 0.0, until: Future[Any] | None = None, error: EngineError | None = None
    ) -> None:
        super().__init__(f"again in {seconds:.1f} s")
        self.seconds = seconds
        self.until = until
        self.error = error


class Attempts:
    """Of one piece of work: how often each of its requests has failed, over all the times that it was begun."""

    _here = threading.local()

    def __init__(self) -> None:
        self._failed: dict[Hashable, int] = {}
        self._postpones = False
        self._holds = False

    @classmethod
    def current(cls) -> Attempts:
        """Those of the piece that this thread is at; outside a worker new ones, which count for this call alone."""
        return getattr(cls._here, "attempts", None) or cls()

    def postponing(self, work: Callable[[], T]) -> T:
        """Do it in this thread; whatever must wait in there raises Postponed."""
        self._postpones = True
        before, self._here.attempts = getattr(self._here, "attempts", None), self
        try:
            return work()
        finally:
            self._here.attempts = before

    @classmethod
    @contextlib.contextmanager
    def staying(cls) -> Iterator[None]:
        """In the middle of a transfer there is no coming back: waits are slept through."""
        before, cls._here.attempts = getattr(cls._here, "attempts", None), None
        try:
            yield
        finally:
            cls._here.attempts = before

    @classmethod
    @contextlib.contextmanager
    def holding(cls) -> Iterator[None]:
        """With an upload open, what another thread is finding out is waited for: a round trip, and nothing is lost."""
        attempts = cls.current()
        attempts._holds = True
        try:
            yield
        finally:
            attempts._holds = False

    def failed(self, what: Hashable) -> int:
        """Count a failure of this request; how many it has had."""
        self._failed[what] = self._failed.get(what, 0) + 1
        return self._failed[what]

    def forgive(self) -> None:
        """Begin to count anew: what has failed was only not its turn."""
        self._failed.clear()

    def wait(self, seconds: float, cancellation: Cancellation, error: EngineError | None = None) -> None:
        """Sleep, or raise Postponed. Raises Cancelled. ``error``: why, where that has not been told yet."""
        if error:
            cancellation.on_wait(Wait.after(seconds, error))
        if self._postpones:
            cancellation.check()
            raise Postponed(seconds, error=error)
        cancellation.wait(seconds)

    def wait_for(self, other: Future[Any], cancellation: Cancellation) -> None:
        """Until another thread has come to an end with this, whichever. Raises Cancelled and Postponed."""
        while not other.done():
            cancellation.check()
            if self._postpones and not self._holds:
                raise Postponed(until=other)
            try:
                other.exception(LOOK)
            except (StillRunning, CancelledError):
                continue


class SingleFlight:
    """What several threads want at once is done by the first of them; all get what came of it."""

    def __init__(self, cancellation: Cancellation) -> None:
        self._cancellation = cancellation
        self._lock = threading.Lock()
        self._flights: dict[Hashable, Future[Any]] = {}

    def do(self, key: Hashable, known: Callable[[], Any], work: Callable[[], Any]) -> Any:
        """``known()`` unless that is None, else ``work()``: what it returns, and what it raises, is for all who wait.

        Who was to do it and had to come back later leaves it to the next.
        """
        while True:
            with self._lock:
                value = known()
                if value is not None:
                    return value
                flight = self._flights.get(key)
                if flight is None:
                    flight = self._flights[key] = Future()
                    break
            Attempts.current().wait_for(flight, self._cancellation)
            value = flight.result()
            if value is not None:
                return value
        try:
            value = work()
        except EngineError as error:
            self._end(key).set_exception(error)
            raise
        except BaseException:
            self._end(key).set_result(None)
            raise
        self._end(key).set_result(value)
        return value

    def _end(self, key: Hashable) -> Future[Any]:
        with self._lock:
            return self._flights.pop(key)
