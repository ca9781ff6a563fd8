# SPDX-License-Identifier: MIT
"""``az acr import``: resolve, choose who we are, have an engine do it, return the result."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from knack.log import get_logger

from .._options import ImportOptions
from ..job.job import Job, Outcome
from ..job.sides import Sides
from ..output import errors
from ..output.progress import ProgressView
from ..output.result import failed_result, to_result
from ..registries.directory import Registry
from ..registries.naming import typed_tags
from .choice import run

logger = get_logger(__name__)


def import_image(cli_ctx: Any, options: ImportOptions) -> dict[str, Any]:
    """The result is returned, and thereby printed, also when it says that the import failed or was interrupted."""
    started = time.monotonic()
    try:
        with errors.explained():
            return _imported(cli_ctx, options)
    except errors.AzCLIError as error:
        told_error = errors.coded(error)
        if told_error is None:
            raise
        errors.raise_after_output(cli_ctx, error)
        tags = [f"{repository}:{tag}" if tag else repository for repository, tag in options.target_tags]
        return failed_result(
            source=options.source_image.typed,
            registry=options.registry_name,
            targets=[*tags, *options.repositories],
            error=told_error,
            seconds=time.monotonic() - started,
        )


def _imported(cli_ctx: Any, options: ImportOptions) -> dict[str, Any]:
    with ExitStack() as stack:
        sides = Sides(cli_ctx, options, stack)
        sides.find()
        reference, source, target = sides.reference, sides.source, sides.target
        _warn_of_quarantine(target)
        request, cancellation = sides.open()
        job = Job(
            cli_ctx=cli_ctx,
            options=options,
            reference=reference,
            source=source,
            target=target,
            request=request,
            image=sides.image,
            tags=typed_tags(sides.image, options.target_tags, options.repositories),
            timeout=options.timeout,
            cancellation=cancellation,
            opened=sides.open,
            same_tenant=lambda: source is not None and sides.identity.tenant(source) == sides.identity.tenant(target),
        )
        view = ProgressView(cli_ctx, f"Importing {reference} to {target.host}")
        started = time.monotonic()
        outcome = run(job, view)
        outcome.item.seconds = time.monotonic() - started
    return told(cli_ctx, view, outcome, source=str(reference), registry=target.host)


def told(
    cli_ctx: Any, view: ProgressView, outcome: Outcome, *, source: str | None, registry: str | None
) -> dict[str, Any]:
    """The result, with a last word to people; the command fails after it when there was an error."""
    view.end(outcome.item, outcome.engine)
    if outcome.item.error:
        errors.raise_after_output(cli_ctx, errors.to_azclierror(outcome.item.error))
    return to_result(
        outcome.item,
        source=source,
        registry=registry,
        engine=outcome.engine,
        engine_reason=outcome.reason,
        operation=outcome.operation,
        checked=outcome.checked,
    )


def _warn_of_quarantine(target: Registry) -> None:
    if target.quarantine:
        logger.warning(
            "%s keeps new images in quarantine: nobody sees them before they are released, unless allowed to.",
            target.host,
        )
