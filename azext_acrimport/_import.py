# SPDX-License-Identifier: MIT
"""``az acr import``: resolve, choose who we are, have an engine do it, return the result."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

from knack.log import get_logger

from . import _errors, _output
from ._credentials import Identity, provider
from ._engines import run
from ._job import Job
from ._naming import Destinations, destinations_of, source_of, typed_tags
from ._registries import Directory, Registry
from ._sides import side
from ._validators import SourceImage
from .engine import (
    Cancellation,
    CopyRequest,
    Destination,
    LayoutReference,
    Platform,
    Reference,
    RegistryRepository,
    open_location,
)

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The options of the command, checked. ``target_tags``: repository and tag; ``timeout`` in seconds."""

    registry_name: str
    source_image: SourceImage
    source_registry: str | None
    username: str | None
    password: str | None = field(repr=False)
    target_tags: list[tuple[str, str | None]]
    repositories: list[str]
    resource_group_name: str | None
    force: bool
    no_wait: bool
    engine: str
    jobs: int | None
    timeout: float | None
    dry_run: bool
    platforms: tuple[Platform, ...]
    referrers: bool


def import_image(cli_ctx: Any, options: ImportOptions) -> dict[str, Any]:
    """The result is returned, and thereby printed, also when it says that the import failed."""
    directory = Directory(cli_ctx)
    target = directory.find(options.registry_name, "target", options.resource_group_name)
    reference: Reference | LayoutReference
    if isinstance(options.source_image.location, LayoutReference):
        reference, source, image = options.source_image.location, None, options.source_image.text
    else:
        reference, source, image = source_of(directory, options.source_image, options.source_registry, target)
        _check_source(source, target, options)
    wanted = destinations_of(reference, options.target_tags, options.repositories)
    _warn_of_quarantine(target)
    identity = Identity(cli_ctx)
    with ExitStack() as stack:

        def opened() -> tuple[CopyRequest, Cancellation]:
            return _opened(stack, identity, options, reference, source, target, wanted)

        request, cancellation = opened()
        job = Job(
            cli_ctx=cli_ctx,
            reference=reference,
            source=source,
            target=target,
            request=request,
            image=image,
            tags=typed_tags(image, options.target_tags, options.repositories),
            repositories=tuple(options.repositories),
            username=options.username,
            password=options.password,
            engine=options.engine,
            jobs=options.jobs,
            dry_run=options.dry_run,
            no_wait=options.no_wait,
            timeout=options.timeout,
            cancellation=cancellation,
            opened=opened,
            same_tenant=lambda: source is not None and identity.tenant(source) == identity.tenant(target),
        )
        view = _output.ProgressView(cli_ctx, f"Importing {reference} to {target.host}")
        started = time.monotonic()
        outcome = run(job, view)
        outcome.item.seconds = time.monotonic() - started
    view.end(outcome.item, outcome.engine)
    if outcome.item.error:
        _errors.raise_after_output(cli_ctx, outcome.item.error)
    return _output.to_result(
        outcome.item,
        source=str(reference),
        registry=target.host,
        engine=outcome.engine,
        engine_reason=outcome.reason,
        operation=outcome.operation,
        checked=outcome.checked,
    )


def _opened(
    stack: ExitStack,
    identity: Identity,
    options: ImportOptions,
    reference: Reference | LayoutReference,
    source: Registry | None,
    target: Registry,
    wanted: Destinations,
) -> tuple[CopyRequest, Cancellation]:
    """Both sides, on connections of their own, until the stack ends."""
    cli_ctx, cancellation = identity.cli_ctx, Cancellation()
    read_from: Any
    pace = None
    if source is None:
        read_from = stack.enter_context(closing(open_location(reference)))
    else:
        given = provider(identity, source, reference.repository, "source", options.username, options.password)
        client = stack.enter_context(side(cli_ctx, "source", source, given, cancellation))
        read_from, pace = RegistryRepository(client, reference.repository), client.referrers_pace
    given = provider(identity, target, next(iter(wanted)), "target")
    client = stack.enter_context(side(cli_ctx, "target", target, given, cancellation))
    if source and pace and source.host == target.host:
        client.referrers_pace = pace  # one registry counts them together
    request = CopyRequest(
        read_from,
        reference.name if isinstance(reference, LayoutReference) else reference.identifier,
        tuple(Destination(RegistryRepository(client, name), tuple(tags)) for name, tags in wanted.items()),
        force=options.force,
        platforms=options.platforms,
        referrers=options.referrers,
    )
    return request, cancellation


def _check_source(source: Registry, target: Registry, options: ImportOptions) -> None:
    if source.export_disabled and source.host != target.host:
        raise _errors.export_disabled(source.host)
    if options.password and not options.username and not source.is_acr:
        raise _errors.user_name_needed(source.host)


def _warn_of_quarantine(target: Registry) -> None:
    if target.quarantine:
        logger.warning(
            "%s keeps new images in quarantine: nobody sees them before they are released, unless allowed to.",
            target.host,
        )
