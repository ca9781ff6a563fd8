# SPDX-License-Identifier: MIT
"""The other engine: the registry service copies (ARM ``importImage``), and we ask, wait, and check what it did.

Who names this engine gets the request that core's command sends, whatever this machine sees. Where it was chosen, a
look at both sides comes first, and may spare the operation.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from knack.log import get_logger

from ..engine import Cancelled, CredentialError, Digest, EngineError, ItemResult, NotFound
from ..job.job import Job, Outcome, with_facts
from ..output import errors
from ..output.catalogue import ServiceError
from ..output.progress import ProgressView
from .referrers import import_referrers
from .request import begun, require_right, require_target, waited
from .targets import UNCHECKED, Named, changes, lacking, named_now, require_digest, require_no_conflict

logger = get_logger(__name__)

NO_REFERRERS = "Signatures, SBOMs and what else refers to the image do not come with --no-wait."


def import_by_service(job: Job, reason: str, view: ProgressView, timeout: float | None) -> Outcome:
    """Import one image. A failure is in the outcome's item, and so is Ctrl-C: then the service goes on."""
    item = ItemResult(str(job.reference), job.request.target_names)
    outcome = Outcome(item, "service", reason)
    if not job.target.is_acr:
        raise errors.not_for_service(job.target.host)
    look_first = job.options.dry_run or job.options.engine != "service"
    try:
        item.digest = item.source_digest = _pinned(job, needed=look_first)
        before = named_now(job, item.digest)
        item.changes = changes(job, before, item.digest)
        if look_first:
            require_no_conflict(job, before, item.digest)
        tags, repositories = lacking(job, before, item.digest) if look_first else (job.tags, job.options.repositories)
        if not tags and not repositories:
            item.status = "unchanged"
        elif job.options.dry_run:
            require_target(job.target)
            require_right(job)
        else:
            _imported(job, outcome, tags, repositories, view, timeout)
        if item.status == "planned" and not job.options.dry_run:
            _compare(job, before, item)
        if job.request.referrers and item.digest and not job.options.dry_run:
            _bring_referrers(job, item, timeout, view)
    except EngineError as error:
        item.status, item.error = "cancelled" if isinstance(error, Cancelled) else "failed", error
        if isinstance(error, ServiceError):
            _confirm(job, error)
    return outcome


def _bring_referrers(job: Job, item: ItemResult, timeout: float | None, view: ProgressView) -> None:
    if job.options.no_wait:
        item.notices += (NO_REFERRERS,)
    elif import_referrers(job, item, timeout, view) and item.status == "unchanged":
        item.status = "copied"


def _pinned(job: Job, *, needed: bool) -> Digest | None:
    """What the source names now, if that can be read from here. Raises NotFound only where it is ``needed``."""
    try:
        return job.request.source.resolve(job.request.identifier).digest
    except EngineError as error:
        if needed and isinstance(error, (NotFound, CredentialError)):
            raise
        logger.info("The source cannot be read from here, so its digest is not known: %s", error)
        return None


def _imported(
    job: Job,
    outcome: Outcome,
    tags: Sequence[str],
    repositories: Sequence[str],
    view: ProgressView,
    timeout: float | None,
) -> None:
    started = time.monotonic()
    item = outcome.item

    def ask(image: str, force: bool) -> None:
        left = None if timeout is None else max(timeout - (time.monotonic() - started), 1.0)
        operation = begun(job, image, tags, repositories, force=force, timeout=left)
        if job.options.no_wait:
            outcome.operation, outcome.checked = _known_again(job, operation.url, item.digest), False
            item.status = "accepted"
        else:
            waited(operation, left, view)

    try:
        ask(job.image, job.request.force)
    except ServiceError as error:
        if error.known.slug != "tag-conflict":
            raise
        tags, repositories = _after_conflict(job, item.digest, error)
        if tags or repositories:
            ask(job.image, job.request.force)
    if job.options.no_wait:
        item.status = "accepted" if outcome.operation else "unchanged"
        return
    there = named_now(job, item.digest)
    if item.digest and any(digest != item.digest for digest in there.values()):
        logger.warning("The source's tag has moved meanwhile: the image is imported again, by its digest.")
        tags, repositories = job.tags, job.options.repositories
        ask(f"{job.image.partition('@')[0].partition(':')[0]}@{item.digest}", force=True)
        there = named_now(job, item.digest)
        for name, digest in there.items():
            require_digest(name, digest, item.digest, job.target.host)
    outcome.checked = bool(there)
    if not there:
        item.notices += (UNCHECKED,)
    item.digest = item.digest or next(iter(there.values()), None)


def _after_conflict(job: Job, digest: Digest | None, error: ServiceError) -> tuple[list[str], list[str]]:
    """What is left to import when the service found a tag in place: for it that is a conflict, whatever the tag names.

    Raises TagConflict where one names another image, and what the service said where that cannot be told from here.
    """
    there = named_now(job, digest)
    require_no_conflict(job, there, digest)
    tags, repositories = lacking(job, there, digest)
    if digest is None or len(tags) == len(job.tags):
        raise error
    return tags, repositories


def _compare(job: Job, before: Named, item: ItemResult) -> None:
    """Tell what has become of it from what the targets named before."""
    if not any(lacking(job, before, item.digest)):
        item.status = "unchanged"
        return
    moved = any(digest not in (None, item.digest) for digest in before.values())
    item.status = "updated" if moved else "copied"
    item.written = item.targets


def _known_again(job: Job, url: str, digest: Digest | None) -> str:
    return with_facts(
        url,
        source=str(job.reference),
        registry=job.target.host,
        target=job.request.target_names,
        digest=str(digest or ""),
    )


def _confirm(job: Job, error: ServiceError) -> None:
    """Whether it is as the service says: of the source, by asking it once; of the target, by ARM's network rules."""
    if error.origin == "target" and error.known.slug == "denied":
        error.sure = "confirmed" if job.target.closed else "likely"
    if error.origin != "source" or job.source is None:
        return
    try:
        job.request.source.resolve(job.request.identifier)
    except EngineError as seen:
        error.sure = "confirmed" if seen.code == error.code else "likely"
    else:
        error.sure = "likely"
