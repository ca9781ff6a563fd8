# SPDX-License-Identifier: MIT
"""The connections below ``requests``: they send in large blocks, and share their TLS contexts.

What ``requests`` and ``urllib3`` do for each request beyond that costs two thirds of all that a small one costs
(``exchange``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakValueDictionary

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from ..cancellation import Cancellation
from ..content.stream import BLOCK_BYTES
from .addresses import Reach, parted
from .connection import Connection
from .exchange import Received, exchange
from .pools import POOLS
from .tls import shared_context

__all__ = ["BlockAdapter"]

_lock = threading.Lock()


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
            conn.conn_kw["ssl_context"] = shared_context(bool(verify), conn.ca_certs, conn.ca_cert_dir)
            conn.ca_certs = conn.ca_cert_dir = None
