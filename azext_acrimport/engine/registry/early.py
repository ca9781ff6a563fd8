# SPDX-License-Identifier: MIT
"""Connections that are begun before a request needs them: to a registry, and to where it keeps its blobs."""

from __future__ import annotations

from ..auth.remembered import RegistryHints, remembered_storage
from ..transport import addresses
from ..transport.transport import Transport

__all__ = ["EarlyConnections"]

# To where a source keeps its blobs, before it has sent us there: as many as a small image has.
STORAGE_CONNECTIONS = 4


class EarlyConnections:
    """Of one registry. ``base``, of its methods: ``https://host``; empty while it is not known how it is spoken to."""

    def __init__(self, host: str, transport: Transport, hints: RegistryHints) -> None:
        self._host = host
        self._transport = transport
        self._hints = hints
        # where its blobs come from, if that is another host; None: nobody has asked yet
        self._storage: str | None = None
        # how many were wished for before it was known whether the host is there
        self._wished = 0

    def expect(self, base: str, requests: int) -> None:
        """Be told that so many will come at once: they are opened meanwhile, or with the first answer."""
        if not base:
            self._wished = max(self._wished, requests)
            return
        self._transport.open_ahead(f"{base}/v2/", requests)
        if self._transport.origin == "source" and (storage := self._storage_of(base)):
            self._transport.open_ahead(storage, min(requests, STORAGE_CONNECTIONS), sent_by=f"{base}/v2/")

    def has_answered(self, base: str) -> None:
        """Be told that the host has, or that it will as it always has."""
        if self._wished:
            wished, self._wished = self._wished, 0
            self.expect(base, wished)

    def was_led_to(self, base: str, url: str) -> None:
        """Be told where a blob was: the next ones will be there, too."""
        host = addresses.parted(url)[:2]
        found = "" if host == addresses.parted(base)[:2] else "://".join(host)
        if found != self._storage:
            self._storage = found
            self._hints.learned_storage(self._host, found)

    def _storage_of(self, base: str) -> str:
        if self._storage is None:
            self._storage = remembered_storage(self._hints, self._host, base, self._transport.origin)
        return self._storage
