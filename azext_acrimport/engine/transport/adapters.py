# SPDX-License-Identifier: MIT
"""Whose connections a request may use: one that was made to go anywhere is not taken by who may not go there."""

from __future__ import annotations

import threading
from functools import partial

from ..cancellation import Cancellation
from . import addresses
from .adapter import BlockAdapter
from .addresses import Reach
from .options import TransportOptions

__all__ = ["Adapters"]

# Connections kept open for each host, and hosts; more than any sensible number, since idle ones cost nothing.
KEPT_CONNECTIONS = 128
KEPT_HOSTS = 64


class Adapters:
    """Of one side, by how far their connections may lead. Safe in any thread."""

    def __init__(self, options: TransportOptions, cancellation: Cancellation) -> None:
        self._options = options
        self._cancellation = cancellation
        self._made: dict[Reach, BlockAdapter] = {}
        # hosts that have been met, as URLs write them, and whether only at private addresses
        self._private: dict[str, bool] = {}
        self._lock = threading.Lock()

    def to(self, url: str, named_at: str) -> BlockAdapter:
        """What connects to ``url``, no further than whoever named it (at that URL) may send us."""
        scheme, host, _ = addresses.parted(url)
        home = addresses.parted(named_at)[1]
        reach: Reach = "any"
        if scheme == "http" and addresses.is_loopback(host) and host not in self._options.plain_http_hosts:
            reach = "loopback"
        elif host != home and not self._private.get(home, addresses.is_private(home)):
            reach = "public"
        adapter = self._made.get(reach)
        if adapter is None:
            with self._lock:
                adapter = self._made.setdefault(reach, self._new(reach))
        return adapter

    def close(self) -> None:
        """Close all idle connections."""
        for adapter in self._made.values():
            adapter.close()

    def _new(self, reach: Reach) -> BlockAdapter:
        return BlockAdapter(
            self._cancellation,
            self._options.upload_timeout,
            reach,
            partial(_has_met, self._private),  # no method: a ring would keep connections until the collector comes by
            pool_connections=KEPT_HOSTS,
            pool_maxsize=KEPT_CONNECTIONS,
            max_retries=0,
        )


def _has_met(private: dict[str, bool], host: str, port: int, public: bool) -> None:
    """A host that is once seen at a public address is public: its name may lead elsewhere the next time."""
    name = f"[{host}]" if ":" in host else host
    for written in (f"{name}:{port}", *([name] if port in (80, 443) else [])):
        private[written] = private.get(written, True) and not public
