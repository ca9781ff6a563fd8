# SPDX-License-Identifier: MIT
"""Where registries have tokens and blobs fetched, from one az to the next: a small file in az's configuration folder.

With it the first request to a registry carries its token, instead of being refused first, and blobs find a connection
open. What is read here is only a text: whether anything is sent there is the engine's to judge.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..engine import RegistryHints
from .memory import Memory

NAME = "acrimport-registries.json"
MAX_ENTRIES = 200
STORAGE = "blobs"


class RememberedHints(RegistryHints):
    """An entry is the realm, a blank, and the service, by host; or where its blobs are, by host and a word."""

    def __init__(self, folder: str) -> None:
        self._memory = Memory(folder, NAME, MAX_ENTRIES)

    def token_service(self, host: str) -> tuple[str, str] | None:
        """As ``RegistryHints.token_service``."""
        url, blank, service = self._memory.get(host).partition(" ")
        return (url, service) if blank else None

    def learned_token_service(self, host: str, url: str, service: str) -> None:
        """As ``RegistryHints.learned_token_service``."""
        self._memory.put(host, f"{url} {service}")

    def forget_token_service(self, host: str) -> None:
        """As ``RegistryHints.forget_token_service``."""
        self._memory.put(host, "")

    def storage(self, host: str) -> str:
        """As ``RegistryHints.storage``."""
        return self._memory.get(f"{host} {STORAGE}")

    def learned_storage(self, host: str, url: str) -> None:
        """As ``RegistryHints.learned_storage``."""
        self._memory.put(f"{host} {STORAGE}", url)

    def save(self) -> None:
        """As ``Memory.save``."""
        self._memory.save()


@contextlib.contextmanager
def hints_for(cli_ctx: Any, jobs: int | None) -> Iterator[RegistryHints]:
    """What earlier azs have left, and at its end what this one leaves. Nothing with one job, which begins nothing
    before it is needed.
    """
    if jobs == 1:
        yield RegistryHints()
        return
    hints = RememberedHints(cli_ctx.config.config_dir)
    try:
        yield hints
    finally:
        hints.save()
