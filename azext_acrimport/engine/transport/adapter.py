# SPDX-License-Identifier: MIT
"""The connections below ``requests``: they send in large blocks, and read the file of trusted authorities once.

urllib3 makes a TLS context for each connection, and loads the authorities into it: 15 ms of CPU with the usual file, as
much as moving 12 MB. A context may be shared as long as nobody changes it: both sides of an import share theirs.
What ``requests`` and ``urllib3`` do for each request beyond that costs two thirds of all that a small one costs
(``exchange``).
"""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from weakref import WeakValueDictionary, finalize

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ..cancellation import Cancellation
from ..content.stream import BLOCK_BYTES
from ..waiting import Ahead
from .addresses import Reach, parted
from .connection import Connection, LookUps, PlainConnection, TlsConnection
from .exchange import Received, exchange, wake

__all__ = ["BlockAdapter"]


class SharedContext(ssl.SSLContext):
    """A client's context that nobody changes: urllib3 names the protocol for each connection anew.

    Its authorities are loaded while the first connection is being opened; who greets a server waits for them, and
    raises what comes of that.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> SharedContext:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, verified: bool, authorities: str | None, folder: str | None) -> None:
        self.minimum_version = ssl.TLSVersion.TLSv1_2
        super().set_alpn_protocols(["http/1.1"])
        self._loading: Ahead[None] | None = None
        if verified:
            self._loading = Ahead(lambda: self.load_verify_locations(authorities, folder))
        else:
            self.check_hostname = False
            self.verify_mode = ssl.CERT_NONE

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """They are set; to set them while another thread greets a server is not safe."""

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """As ``urllib3`` calls it."""
        self._loaded()
        return super().wrap_socket(*args, **kwargs)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """As ``urllib3`` calls it for TLS within that of a proxy."""
        self._loaded()
        return super().wrap_bio(*args, **kwargs)

    def _loaded(self) -> None:
        if loading := self._loading:
            loading.result()
            self._loading = None  # or the two would hold each other until the collector comes by


# by what they trust, for as long as somebody has connections with them: after that the file is read anew
_contexts: WeakValueDictionary[tuple[bool, str | None, str | None], SharedContext] = WeakValueDictionary()
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


class BlockAdapter(HTTPAdapter):
    """urllib3's own blocks of 16 KiB cost three times the CPU. Safe in any thread."""

    def __init__(
        self,
        cancellation: Cancellation | None = None,
        patience: float = 300.0,
        reach: Reach = "any",
        met: Callable[[str, int, bool], None] = lambda host, port, public: None,
        **options: Any,
    ) -> None:
        """``patience``: seconds that the other side may take for a part of what is sent.

        ``reach`` and ``met``: for its connections.
        """
        self._given: dict[str, Any] = {
            "cancellation": cancellation or Cancellation(),
            "patience": patience,
            "reach": reach,
            "met": met,
        }
        # weak: who closes them, and when, stays with requests
        self._pools: WeakValueDictionary[tuple[Any, ...], Any] = WeakValueDictionary()
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As ``requests`` calls it."""
        super().init_poolmanager(*args, **kwargs, blocksize=BLOCK_BYTES)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """As ``requests`` calls it."""
        manager = super().proxy_manager_for(proxy, **kwargs, blocksize=BLOCK_BYTES)
        if not proxy.lower().startswith("socks"):  # those have pools of their own
            manager.pool_classes_by_scheme = POOLS
        return manager

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """As ``requests`` calls it: the connections to a host, looked for once."""
        key = *parted(str(request.url))[:2], verify, cert, *(proxies or {}).items()
        pool = self._pools.get(key)
        if pool is None:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            pool.__dict__.update(self._given)  # by several threads, it may be; urllib3 gives all the same one
            self._pools[key] = pool
        return pool

    def open_ahead(self, url: str, verify: Any, cert: Any, count: int, timeout: float) -> None:
        """Begin to open connections to this URL's host, until there have been so many in all. Raises as ``send``."""
        request = PreparedRequest()
        request.url = url
        pool = self.get_connection_with_tls_context(request, verify, cert=cert)
        self.cert_verify(pool, url, verify, cert)
        pool.open_ahead(count, timeout)

    def send(  # type: ignore[override]
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response | Received:
        """As that of ``requests``. ``timeout``: seconds to connect, and of silence."""
        pool = self.get_connection_with_tls_context(request, verify, proxies, cert)
        if proxies or not issubclass(pool.ConnectionCls, Connection):  # such as that of who records what is said
            return super().send(request, stream, timeout, verify, cert, proxies)
        self.cert_verify(pool, str(request.url), verify, cert)
        return exchange(pool, request, self.request_url(request, None), request.headers, *timeout)

    def close(self) -> None:
        """End the idle connections now; ``requests`` leaves them to whenever their pools are collected."""
        for pool in list(self._pools.values()):
            pool.close()
        super().close()

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        """As ``requests`` calls it."""
        if proxies:
            return super().request_url(request, proxies)
        path = parted(str(request.url))[2].partition("#")[0]
        return path if path.startswith("/") else f"/{path}"

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """As ``requests`` calls it. No cookie is kept, and no text is decoded."""
        response = Response()
        response.status_code, response.headers, response.raw = resp.status, resp.headers, resp
        response.request, response.connection = req, self
        return response

    def cert_verify(self, conn: Any, url: str, verify: bool | str, cert: Any) -> None:
        """As ``requests`` calls it before each request, to say which authorities the connections trust.

        Raises OSError when their file is not there, and SSLError when it holds none.
        """
        if not url.lower().startswith("https") or "ssl_context" in conn.conn_kw:
            return
        with _lock:  # nobody gets a connection of this pool before it has its context
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
            if cert:
                return  # a certificate of ours is loaded by urllib3, which knows about its password
            key = bool(verify), conn.ca_certs, conn.ca_cert_dir
            context = _contexts.get(key) or SharedContext(*key)
            _contexts[key] = conn.conn_kw["ssl_context"] = context
            conn.ca_certs = conn.ca_cert_dir = None
