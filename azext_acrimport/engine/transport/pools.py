# SPDX-License-Identifier: MIT
"""The connections to one host: those that are kept, those that are being opened ahead, and how they are woken."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any
from weakref import finalize

from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ..cancellation import Cancellation
from ..waiting import Ahead
from .addresses import Reach
from .connection import LookUps, PlainConnection, TlsConnection
from .exchange import wake

__all__ = ["POOLS"]

_lock = threading.Lock()


class _Patient:
    """Of a pool: the connect timeout ends when there is a connection, and whoever cancels wakes who sends or waits.

    What ``requests`` calls the connect timeout lasts until all of the body is sent, but a registry that pauses for
    longer than anybody needs to connect is not gone.
    """

    cancellation: Cancellation
    patience: float
    reach: Reach
    met: Callable[[str, int, bool], None]
    num_connections: int
    pool: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # being opened, or open, and not asked anything yet; the first that was begun is the first to be used
        self.coming: deque[Coming] = deque()
        self._look_up = LookUps()
        finalize(self, _end_all, self.coming)  # as urllib3 does it for those that are idle

    def _new_conn(self) -> Any:
        """As urllib3 calls it where no connection is idle: one that was begun ahead, or one that is not open yet."""
        while self.coming:
            with contextlib.suppress(IndexError):  # another thread was faster
                conn = self.coming.popleft().taken(self.cancellation.check)
                if conn is not None:
                    return conn
        return self._made()

    def _made(self) -> Any:
        """A connection that knows whom it works for, and is not open yet."""
        conn = super()._new_conn()  # type: ignore[misc]
        conn.cancellation, conn.reach, conn.met = self.cancellation, self.reach, self.met
        conn.look_up = self._look_up
        return conn

    def open_ahead(self, count: int, timeout: float) -> None:
        """Begin to open connections, each in a thread of its own, until there have been so many in all.

        ``timeout``: seconds that a connection may take.
        """
        with _lock:
            for _ in range(count - self.num_connections if self.pool is not None else 0):
                self.coming.append(Coming(self._made(), self.cancellation, timeout))

    def close(self) -> None:
        """As urllib3 calls it. What was begun ahead and not used is ended, too."""
        super().close()  # type: ignore[misc]
        with _lock:  # from here on none is begun any more
            _end_all(self.coming)

    def _validate_conn(self, conn: Any) -> None:
        """As urllib3 calls it before each request, which it then sends with the connection's own timeout."""
        super()._validate_conn(conn)  # type: ignore[misc]
        if conn.is_closed:
            conn.connect()
            self.cancellation.check()  # whoever has cancelled meanwhile has found nothing to wake
        conn.timeout = min(self.patience, self.cancellation.left or self.patience)

    def _make_request(self, conn: Any, *args: Any, **kwargs: Any) -> Any:
        with self.cancellation.waking(lambda: wake(conn)):
            return super()._make_request(conn, *args, **kwargs)  # type: ignore[misc]


class Coming:
    """A connection that is opened before a request needs it. It is judged and timed as any other."""

    def __init__(self, conn: Any, cancellation: Cancellation, timeout: float) -> None:
        self._conn = conn
        self._lock = threading.Lock()
        self._opened = self._ended = False
        conn.timeout = timeout

        def work() -> None:
            try:
                with cancellation.waking(lambda: wake(conn)):
                    conn.connect()
            finally:
                with self._lock:
                    self._opened = True
                if self._ended:
                    conn.close()

        self._opening = Ahead(work)

    def taken(self, check: Callable[[], None]) -> Any:
        """The open connection; None where it has failed, or the other side has closed it, before anybody wanted it.

        Waits for it. Raises what ``check`` raises, and what goes wrong from now on.
        """
        conn, late = self._conn, self._opening.ended
        try:
            self._opening.result(check)
        except BaseException:
            self.end()
            if not late:
                raise
            return None
        if conn.is_silent():
            return conn
        conn.close()
        return None

    def end(self) -> None:
        """Close it, now or when it is open."""
        with self._lock:  # either of the two sees that the other one is through
            self._ended, opened = True, self._opened
        wake(self._conn)
        if opened:
            self._conn.close()


def _end_all(coming: deque[Coming]) -> None:
    while coming:
        with contextlib.suppress(IndexError):
            coming.pop().end()


class _HTTPPool(_Patient, HTTPConnectionPool):
    ConnectionCls = PlainConnection


class _HTTPSPool(_Patient, HTTPSConnectionPool):
    ConnectionCls = TlsConnection


POOLS = {"http": _HTTPPool, "https": _HTTPSPool}
