# SPDX-License-Identifier: MIT
"""One import, with everything that was found out before an engine is chosen; and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from .._options import ImportOptions, Target
from ..engine import Cancellation, CopyRequest, Destination, ItemResult, LayoutReference, Reference, Source
from ..registries.arm import Quiet
from ..registries.deadline import Deadline
from ..registries.directory import Registry

Connected = tuple[CopyRequest, Cancellation]


@dataclass(frozen=True, slots=True)
class Job:
    """What is wanted, and where it is. ``source``: None for files of this machine; ``image``: what was typed of it,
    without its registry, which is how the service is asked.

    ``connected`` connects to both sides, each time anew: the import as the embedded engine sees it, and what ends it;
    it ends by itself with the deadline. ``same_tenant`` asks az, so only where it matters. ``quiet``: of all jobs of a
    run.
    """

    cli_ctx: Any
    options: ImportOptions
    reference: Reference | LayoutReference
    source: Registry | None
    target: Registry
    image: str
    targets: tuple[Target, ...]
    deadline: Deadline
    connected: Callable[[], AbstractContextManager[Connected]]
    same_tenant: Callable[[], bool]
    quiet: Quiet = field(default_factory=Quiet)

    @property
    def registry_as_typed(self) -> str:
        """The source's host as it was written: other names of it may mean something else to the service."""
        assert self.source
        typed = self.options.source_image
        host = typed.typed.partition("/")[0].removesuffix(":443") if typed.location else self.source.host
        return self.source.home or host

    def request(
        self, source: Source, identifier: str, destinations: Sequence[Destination], *, skip_conflicts: bool = False
    ) -> CopyRequest:
        """As the embedded engine wants it, over stores that are connected."""
        options = self.options
        return CopyRequest(
            source,
            identifier,
            tuple(destinations),
            force=options.force,
            platforms=options.platforms,
            referrers=options.referrers,
            new_only=options.new_only,
            skip_conflicts=skip_conflicts,
        )


@dataclass(slots=True)
class Outcome:
    """``engine`` and ``reason`` are empty when it ended before one was chosen.

    ``operation``: where to ask how the service is getting on, when nobody has waited for it.

    ``checked``: the digest is that of the target, read there; else only the source's is known. ``counted``: the image
    was looked at, so that it is known what it consists of.
    """

    item: ItemResult
    engine: str = ""
    reason: str = ""
    operation: str = ""
    checked: bool = True
    counted: bool = True


def with_facts(url: str, **facts: str | Sequence[str]) -> str:
    """An operation's URL with what was asked for behind ``#``, which is never sent: ``az acr import-wait`` reads it."""
    return f"{url}#{urlencode({name: value for name, value in facts.items() if value}, doseq=True)}"


def facts_of(operation: str) -> tuple[str, dict[str, list[str]]]:
    """The URL, and those facts; none of them where somebody has cut them off."""
    url, _, fragment = operation.partition("#")
    return url, parse_qs(fragment)
