# SPDX-License-Identifier: MIT
"""Connections that are begun before a request needs them: to a registry, and to where it keeps its blobs."""

from __future__ import annotations

import threading
from collections import Counter

from ..auth.remembered import RegistryHints, remembered_storage
from ..transport import addresses
from ..transport.transport import Transport

__all__ = ["EarlyConnections"]

# To where a source keeps its blobs, before anything is asked of it there: as many as a small image has.
STORAGE_CONNECTIONS = 4
# To where it says that they are: as many as are brought at once.
LED_CONNECTIONS = 12


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
        # by storage host: how many blobs are said to be there, that somebody may want
        self._led: Counter[str] = Counter()
        self._lock = threading.Lock()

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

    def is_led_to(self, base: str, url: str) -> None:
        """Be told where a blob is said to be, before anybody goes there: a connection is opened, and nothing asked."""
        if found := _elsewhere(base, url):
            with self._lock:
                self._led[found] += 1
            self._transport.open_ahead(found, min(self._led[found], LED_CONNECTIONS), sent_by=f"{base}/v2/")

    def was_led_to(self, base: str, url: str) -> None:
        """Be told where a blob was: the next ones will be there, too."""
        found = _elsewhere(base, url)
        if found != self._storage:
            self._storage = found
            self._hints.learned_storage(self._host, found)

    def _storage_of(self, base: str) -> str:
        if self._storage is None:
            self._storage = remembered_storage(self._hints, self._host, base, self._transport.origin)
        return self._storage


def _elsewhere(base: str, url: str) -> str:
    """The scheme and host of ``url``; empty where they are those of ``base``."""
    found = "://".join(addresses.parted(url)[:2])
    return "" if found == base else found
