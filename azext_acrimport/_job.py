# SPDX-License-Identifier: MIT
"""One import, with everything that was found out before an engine is chosen; and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ._registries import Registry
from .engine import Cancellation, CopyRequest, ItemResult, LayoutReference, Reference


@dataclass(slots=True)
class Job:
    """``request``: the import as the embedded engine sees it. ``source``: None for files of this machine.

    ``image``, ``tags`` and ``repositories`` as they were typed, which is how the service is asked. ``timeout`` in
    seconds.
    """

    cli_ctx: Any
    reference: Reference | LayoutReference
    source: Registry | None
    target: Registry
    request: CopyRequest
    image: str = ""
    tags: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    engine: str = "auto"
    jobs: int | None = None
    dry_run: bool = False
    no_wait: bool = False
    timeout: float | None = None
    cancellation: Cancellation = field(default_factory=Cancellation)


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
