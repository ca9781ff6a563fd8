# SPDX-License-Identifier: MIT
"""One import, with everything that was found out before an engine is chosen; and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlencode

from .._options import ImportOptions
from ..engine import Cancellation, CopyRequest, ItemResult, LayoutReference, Reference
from ..registries.directory import Registry


@dataclass(slots=True)
class Job:
    """``request``: the import as the embedded engine sees it. ``source``: None for files of this machine.

    ``opened`` connects to both sides anew; ``same_tenant`` asks az, so only where it matters.

    ``image`` and ``tags`` as they were typed, which is how the service is asked. ``timeout``: what is left of it, in
    seconds.
    """

    cli_ctx: Any
    options: ImportOptions
    reference: Reference | LayoutReference
    source: Registry | None
    target: Registry
    request: CopyRequest
    cancellation: Cancellation
    image: str
    tags: tuple[str, ...]
    timeout: float | None
    opened: Callable[[], tuple[CopyRequest, Cancellation]]
    same_tenant: Callable[[], bool]
    started: float = field(default_factory=time.monotonic)

    def renewed(self) -> Job:
        """The same for another try, in the time that is left: connections of an engine that was stopped are dead."""
        request, cancellation = self.opened()
        left = None if self.timeout is None else max(self.timeout - (time.monotonic() - self.started), 1.0)
        return replace(self, request=request, cancellation=cancellation, timeout=left, started=time.monotonic())


@dataclass(slots=True)
class Outcome:
    """``operation``: where to ask how the service is getting on, when nobody has waited for it.

    ``checked``: the digest is that of the target, read there; else only the source's is known.
    """

    item: ItemResult
    engine: str
    reason: str
    operation: str = ""
    checked: bool = True


def with_facts(url: str, **facts: str | Sequence[str]) -> str:
    """An operation's URL with what was asked for behind ``#``, which is never sent: ``az acr import-wait`` reads it."""
    return f"{url}#{urlencode({name: value for name, value in facts.items() if value}, doseq=True)}"


def facts_of(operation: str) -> tuple[str, dict[str, list[str]]]:
    """The URL, and those facts; none of them where somebody has cut them off."""
    url, _, fragment = operation.partition("#")
    return url, parse_qs(fragment)
