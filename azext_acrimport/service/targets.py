# SPDX-License-Identifier: MIT
"""What the targets of an import name, as far as this machine can read them: before the service works, and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from knack.log import get_logger

from ..engine import Change, Digest, EngineError, TagConflict
from ..job.job import Job
from ..output.catalogue import TAG_MOVED, ServiceError

logger = get_logger(__name__)

UNCHECKED = "The target cannot be read from here, so its digest was not checked."

Named = Mapping[str, Digest | None]


def named_now(job: Job, digest: Digest | None) -> Named:
    """The digest at each ``repository:tag``, and at each ``repository`` that gets no tag; None where nothing is.

    Left out: what cannot be read from here, and, while no digest is known, what could only be asked for by one.
    """
    seen: dict[str, Digest | None] = {}
    for destination in job.request.destinations:
        store = destination.store
        for tag in destination.tags:
            with readable():
                found = store.find(tag)
                seen[f"{store.repository}:{tag}"] = found.digest if found else None
        if digest and store.repository in job.options.repositories:
            with readable():
                seen[store.repository] = digest if store.find(str(digest)) else None
    return seen


def changes(job: Job, there: Named, digest: Digest | None) -> tuple[Change, ...]:
    """What is, or would be, done at each target; of one that cannot be read from here nobody can tell."""

    def change(name: str) -> Change:
        if digest is None or name not in there:
            return Change(name, None)
        before = there[name]
        return Change(name, "create" if before is None else "none" if before == digest else "move", before)

    return tuple(map(change, job.request.target_names))


def lacking(job: Job, there: Named, digest: Digest | None) -> tuple[list[str], list[str]]:
    """The tags and the repositories, as they were typed, that are not known to have the image."""
    tags = [typed for typed in job.tags if digest is None or there.get(full_name(job, typed)) != digest]
    return tags, [name for name in job.options.repositories if digest is None or there.get(name) != digest]


def full_name(job: Job, typed: str) -> str:
    """``repository:tag`` of a tag as it was typed."""
    return typed if ":" in typed else f"{typed}:{getattr(job.reference, 'tag', None) or 'latest'}"


def require_no_conflict(job: Job, there: Named, digest: Digest | None) -> None:
    """Raise TagConflict when a tag names another image, unless it may move."""
    for name, existing in there.items():
        if existing and digest and existing != digest and not job.request.force:
            raise TagConflict(f"{job.target.host}/{name}", str(existing), str(digest))


def require_digest(name: str, digest: Digest | None, wanted: Digest | None, target: str) -> None:
    """Raise ServiceError when a target names something else."""
    if wanted and digest != wanted:
        raise ServiceError(TAG_MOVED, "target", f"{name} is {digest or 'missing'}, not {wanted}.", target=target)


@contextmanager
def readable() -> Iterator[None]:
    """Go on when the target cannot be read; what the service says is no such trouble."""
    try:
        yield
    except ServiceError:
        raise
    except EngineError as error:
        logger.info("The target cannot be read from here: %s", error)
