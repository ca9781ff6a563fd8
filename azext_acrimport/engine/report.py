# SPDX-License-Identifier: MIT
"""What is told while a plan runs, and what is reported when it has ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .descriptor import Digest
from .errors import EngineError

__all__ = ["CopyReport", "ItemResult", "Outcome", "Progress", "Status", "Tally"]

Status = Literal["planned", "copied", "updated", "unchanged", "failed", "blocked", "cancelled", "accepted"]
Outcome = Literal["copied", "mounted", "existing"]


@dataclass(slots=True)
class Tally:
    """How many blobs (or how many bytes of blobs) went which way."""

    copied: int = 0
    mounted: int = 0
    existing: int = 0

    def add(self, outcome: Outcome, amount: int) -> None:
        """Count so many more."""
        setattr(self, outcome, getattr(self, outcome) + amount)


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a running plan; made in the calling thread, at most a few times a second.

    Bytes are blob bytes and absolute: ``bytes_done`` goes back when a transfer has to start anew. ``active`` holds the
    transfers that are under way, each with its digest, the bytes done and the bytes in all.
    """

    bytes_done: int
    bytes_total: int
    blobs_done: int
    blobs_total: int
    manifests_done: int
    manifests_total: int
    seconds: float
    active: tuple[tuple[Digest, int, int], ...] = ()


@dataclass(slots=True)
class ItemResult:
    """What became of one source image. ``manifests`` counts the image's own manifests that were looked at.

    An unchanged image is seen by its digest alone, so its manifests and blobs are not counted. ``written``: the targets
    whose tag was written; they are complete, also after an interruption. ``source_digest`` is another than ``digest``
    where only some platforms were wanted. ``referrers``: how many vouch for the image at the source, and now at the
    targets; those of an unchanged image's platforms are not looked for.
    """

    source: str
    targets: tuple[str, ...]
    digest: Digest | None = None
    status: Status = "planned"
    manifests: int = 0
    blobs: Tally = field(default_factory=Tally)
    bytes: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    notices: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    error: EngineError | None = None
    source_digest: Digest | None = None
    referrers: int = 0


@dataclass(frozen=True, slots=True)
class CopyReport:
    """The results in the order of the requests."""

    items: tuple[ItemResult, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """True when every item is where it should be."""
        return all(item.error is None for item in self.items)
