# SPDX-License-Identifier: MIT
"""What is reported of each image, and what is known of it before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..content.descriptor import Descriptor
from ..content.digest import Digest
from ..content.store import Outcome, Quota
from ..errors import Blocked, Cancelled, EngineError, TimedOut
from .request import CopyRequest

__all__ = ["Action", "Attachment", "Change", "CopyReport", "ItemResult", "Planned", "Status", "Tally"]

Status = Literal["planned", "copied", "updated", "unchanged", "skipped", "failed", "blocked", "cancelled", "accepted"]
Action = Literal["create", "move", "none"]


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
class Change:
    """Of one target, ``repository:tag`` or a repository: what is, or would be, done, and what it named before.

    ``action`` is None where the target cannot be read.
    """

    target: str
    action: Action | None
    before: Digest | None = None


@dataclass(slots=True)
class ItemResult:
    """What became of one source image. ``manifests`` counts the image's own manifests that were looked at.

    An unchanged image is seen by its digest alone, so its manifests and blobs are not counted. ``written``: the targets
    whose tag was written; they are complete, also after an interruption. ``source_digest`` is another than ``digest``
    where only some platforms were wanted. ``referrers``: how many vouch for the image at the source, and now at the
    targets, None where nobody can tell; those of an unchanged image's platforms are not looked for. ``changes``: one
    for each target, once it is known what they name. ``quota``: of an image that is only planned, what its source still
    allows, if it says so.
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
    referrers: int | None = 0
    changes: tuple[Change, ...] = ()
    quota: Quota | None = None

    def end_with(self, error: EngineError) -> None:
        """Be over because of this, with the status that it means."""
        given_up = isinstance(error, (Cancelled, TimedOut))
        self.status = "cancelled" if given_up else "blocked" if isinstance(error, Blocked) else "failed"
        self.error = error


@dataclass(frozen=True, slots=True)
class CopyReport:
    """The results in the order of the requests."""

    items: tuple[ItemResult, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """True when every item is where it should be."""
        return all(item.error is None for item in self.items)


@dataclass(slots=True)
class Attachment:
    """A manifest that vouches for another one (``of``): by its subject, or by its ``tag`` where it has one.

    ``lacking``: the places (``registry/repository``) that do not have it.
    """

    descriptor: Descriptor
    of: Digest
    tag: str = ""
    lacking: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Planned:
    """An image of which all is known that must be done. ``counted``: the result's blobs and bytes tell what would
    happen to each.
    """

    request: CopyRequest
    result: ItemResult
    attachments: tuple[Attachment, ...]
    counted: bool
