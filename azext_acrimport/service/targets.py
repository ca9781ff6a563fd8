# SPDX-License-Identifier: MIT
"""What the targets of an import name, as far as this machine can read them: before the service works, and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from knack.log import get_logger

from .._options import Target
from ..engine import Change, CopyRequest, Digest, EngineError, TagConflict
from ..job.job import Job
from ..output.catalogue import TAG_MOVED
from ..output.service_error import ServiceError

logger = get_logger(__name__)

UNCHECKED = "The target cannot be read from here, so its digest was not checked."

# What stands in an operation's address for a target that named nothing, or of which nobody could tell.
NOTHING = "-"
UNKNOWN = "?"

Named = Mapping[Target, Digest | None]


def named_now(job: Job, request: CopyRequest, digest: Digest | None) -> Named:
    """The digest at each target; None where nothing is.

    Left out: what cannot be read from here, and, while no digest is known, what could only be asked for by one.
    """
    stores = {destination.store.repository: destination.store for destination in request.destinations}
    seen: dict[Target, Digest | None] = {}
    for target in job.targets:
        wanted = target.tag or str(digest or "")
        with readable():
            if wanted:
                found = stores[target.repository].find(wanted)
                seen[target] = found.digest if found else None
    return seen


def changes(job: Job, there: Named, digest: Digest | None) -> tuple[Change, ...]:
    """What is, or would be, done at each target; where one of both sides cannot be read from here nobody can tell."""

    def change(target: Target) -> Change:
        if target not in there:
            return Change(target.name, None)
        if (before := there[target]) is None:
            return Change(target.name, "create")
        return Change(target.name, None if digest is None else "none" if before == digest else "move", before)

    return tuple(map(change, job.targets))


def change_since(name: str, before: str, digest: Digest | None) -> Change:
    """``before``: as in an operation's address. Raises ValueError."""
    if before == UNKNOWN:
        return Change(name, None)
    if before == NOTHING:
        return Change(name, "create")
    return Change(name, "none" if before == str(digest) else "move", Digest.parse(before))


def lacking(job: Job, there: Named, digest: Digest | None) -> list[Target]:
    """Those that are not known to have the image."""
    return [target for target in job.targets if digest is None or there.get(target) != digest]


def require_no_conflict(job: Job, there: Named, digest: Digest | None) -> None:
    """Raise TagConflict when a tag names another image, unless it may move."""
    for target, existing in there.items():
        if existing and digest and existing != digest and not job.options.force:
            raise TagConflict(f"{job.target.host}/{target.name}", str(existing), str(digest))


def require_digest(name: str, digest: Digest | None, wanted: Digest | None, target: str) -> None:
    """Raise ServiceError when a target names something else."""
    if wanted and digest != wanted:
        raise ServiceError(TAG_MOVED, "target", f"{name} is {digest or 'missing'}, not {wanted}.", registry=target)


@contextmanager
def readable() -> Iterator[None]:
    """Go on when the target cannot be read; what the service says is no such trouble."""
    try:
        yield
    except ServiceError:
        raise
    except EngineError as error:
        logger.info("The target cannot be read from here: %s", error)
