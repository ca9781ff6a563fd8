# SPDX-License-Identifier: MIT
"""The other engine: the registry service copies (ARM ``importImage``), and we ask, wait, and check what it did."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from knack.log import get_logger

from . import _errors
from ._arm_errors import TAG_MOVED, ServiceError
from ._import_request import begun, require_right, require_target, waited
from ._job import Job, Outcome, facts_of, with_facts
from ._operation import Operation
from ._output import ProgressView
from ._registries import management_client
from ._service_referrers import import_referrers
from .engine import (
    CredentialError,
    Digest,
    EngineError,
    InvalidReference,
    ItemResult,
    NotFound,
    TagConflict,
    is_registry_host,
    parse_repository_tag,
)

logger = get_logger(__name__)

UNCHECKED = "The target cannot be read from here, so its digest was not checked."


def import_by_service(job: Job, reason: str, view: ProgressView, timeout: float | None) -> Outcome:
    """Import one image. A failure is in the outcome's item; Ctrl-C raises what says that the service goes on."""
    item = ItemResult(str(job.reference), job.request.target_names)
    outcome = Outcome(item, "service", reason)
    if not job.target.is_acr:
        raise _errors.not_for_service(job.target.host)
    try:
        item.digest = item.source_digest = _pinned(job)
        tags, moved = _tags_to_write(job, item.digest)
        if not tags and _has_untagged(job, item.digest):
            item.status = "unchanged"
        elif job.dry_run:
            require_target(job.target)
            require_right(job)
        else:
            _imported(job, outcome, tags, view, timeout)
            if not job.no_wait:
                item.status = "updated" if moved else "copied"
        if job.request.referrers and item.digest and not job.dry_run:
            if job.no_wait:
                item.notices += ("Signatures, SBOMs and what else refers to the image do not come with --no-wait.",)
            elif import_referrers(job, item, timeout, view) and item.status == "unchanged":
                item.status = "copied"
    except EngineError as error:
        item.status, item.error = "failed", error
        if isinstance(error, ServiceError):
            _confirm(job, error)
    return outcome


def wait_for(
    cli_ctx: Any, text: str, view: ProgressView, timeout: float | None, target_of: Callable[[str], Any]
) -> tuple[Outcome, dict[str, str | None]]:
    """The end of an operation that was started before, and source and registry as far as it is known.

    ``target_of``: from a registry to a context manager of a function from a repository to what reads there. Raises
    ValueError for a URL that is none of ARM's.
    """
    url, facts = facts_of(text)
    arm, parts = urlsplit(cli_ctx.cloud.endpoints.resource_manager), urlsplit(url)
    path = parts.path.split("/")
    named = {"operationResults", "operationStatuses"} & set(path) and path[1].lower() == "subscriptions"
    if parts[:2] != arm[:2] or not named:
        raise ValueError(f"'{url}' is not an operation of {arm.netloc}.", "Give the operation that --no-wait returned.")
    source, registry = (facts.get(name, [None])[0] for name in ("source", "registry"))
    item = ItemResult(source or "", tuple(facts.get("target", ())))
    try:
        item.digest = item.source_digest = Digest.parse(facts["digest"][0]) if "digest" in facts else None
        targets = [parse_repository_tag(name)[:2] for name in item.targets]
        if registry and not is_registry_host(registry):
            raise ValueError(registry)
    except (ValueError, InvalidReference):
        said = "What stands behind # in the operation is not what --no-wait returned."
        raise ValueError(
            said, "Give the operation as it was returned, in quotes, or without # and what follows."
        ) from None
    outcome = Outcome(item, "service", "it was handed over to the service", checked=False)
    operation = Operation(management_client(cli_ctx, path[2]), url, target=registry or "")
    try:
        body = waited(operation, timeout, view)
        tags = tuple(name for name, state in body.items() if name != "status" and isinstance(state, str))
        item.targets = item.written = item.targets or tags
        if registry and targets:
            with target_of(registry) as store_of:
                outcome.checked = _are_there(item, targets, store_of, registry)
        item.status = "copied"
        if not outcome.checked:
            item.notices += (UNCHECKED,)
    except EngineError as error:
        item.status, item.error = "failed", error
    return outcome, {"source": source, "registry": registry}


def _are_there(
    item: ItemResult, targets: Sequence[tuple[str, str | None]], store_of: Callable[[str], Any], registry: str
) -> bool:
    """Whether the targets could be looked at. Raises ServiceError when one names something else."""
    looked = False
    for repository, tag in targets:
        name = f"{repository}:{tag}" if tag else repository
        with _readable():
            if tag or item.digest:
                found = store_of(repository).find(tag or str(item.digest))
                _require(name, found.digest if found else None, item.source_digest, registry)
                item.digest, looked = found.digest if found else None, True
    return looked


def _require(name: str, digest: Digest | None, wanted: Digest | None, target: str) -> None:
    if wanted and digest != wanted:
        raise ServiceError(TAG_MOVED, "target", f"{name} is {digest or 'missing'}, not {wanted}.", target=target)


def _known_again(job: Job, url: str, digest: Digest | None) -> str:
    return with_facts(
        url,
        source=str(job.reference),
        registry=job.target.host,
        target=job.request.target_names,
        digest=str(digest or ""),
    )


def _pinned(job: Job) -> Digest | None:
    """What the source names now, if that can be read from here. An image that is not there is not asked for."""
    try:
        return job.request.source.resolve(job.request.identifier).digest
    except (NotFound, CredentialError):
        raise
    except EngineError as error:
        logger.info("The source cannot be read from here, so its digest is not known: %s", error)
        return None


def _tags_to_write(job: Job, digest: Digest | None) -> tuple[list[str], bool]:
    """The tags, as typed, that do not name the digest yet; and whether one of them will move."""
    left, moved = [], False
    existing_tags = _there(job, digest)
    for destination in job.request.destinations:
        for tag in destination.tags:
            name = f"{destination.store.repository}:{tag}"
            existing = existing_tags.get(name)
            if existing is not None and existing == digest:
                continue
            if existing is not None and digest is not None and not job.request.force:
                raise TagConflict(f"{destination.key}:{tag}", str(existing), str(digest))
            moved = moved or existing is not None
            left.append(next((typed for typed in job.tags if typed in (name, name.removesuffix(f":{tag}"))), name))
    return left, moved


def _imported(job: Job, outcome: Outcome, tags: list[str], view: ProgressView, timeout: float | None) -> None:
    started = time.monotonic()
    item = outcome.item
    operation = begun(job, job.image, tags, job.repositories, force=job.request.force, timeout=timeout)
    if job.no_wait:
        outcome.operation, outcome.checked = _known_again(job, operation.url, item.digest), False
        item.status = "accepted"
        return
    waited(operation, timeout, view)
    there = _there(job, item.digest)
    if item.digest and any(digest != item.digest for digest in there.values()):
        logger.warning("The source's tag has moved meanwhile: the image is imported again, by its digest.")
        repository = job.image.partition("@")[0].partition(":")[0]
        left = None if timeout is None else max(timeout - (time.monotonic() - started), 1.0)
        by_digest = begun(job, f"{repository}@{item.digest}", tags, job.repositories, force=True, timeout=left)
        waited(by_digest, left, view)
        there = _there(job, item.digest)
        for name, digest in there.items():
            _require(name, digest, item.digest, job.target.host)
    outcome.checked = bool(there)
    if not there:
        item.notices += (UNCHECKED,)
    item.digest = item.digest or next(iter(there.values()), None)
    item.written = item.targets


def _there(job: Job, digest: Digest | None, *, only_untagged: bool = False) -> dict[str, Digest | None]:
    """What each target names now. Left out: what cannot be read from here, or could only be asked for by a digest."""
    seen: dict[str, Digest | None] = {}
    for destination in job.request.destinations:
        store = destination.store
        for tag in destination.tags if not only_untagged else ():
            with _readable():
                found = store.find(tag)
                seen[f"{store.repository}:{tag}"] = found.digest if found else None
        if not destination.tags and digest:
            with _readable():
                seen[store.repository] = digest if store.find(str(digest)) else None
    return seen


def _has_untagged(job: Job, digest: Digest | None) -> bool:
    """True when every repository that gets no tag is known to hold the image."""
    there = _there(job, digest, only_untagged=True)
    return all(there.get(d.store.repository) for d in job.request.destinations if not d.tags)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except ServiceError:
        raise
    except EngineError as error:
        logger.info("The target cannot be read from here: %s", error)


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
