# SPDX-License-Identifier: MIT
"""``az acr import``: resolve, choose who we are, have an engine do it, return the result."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

from knack.log import get_logger

from .._options import ImportOptions
from ..engine import EngineError, InvalidReference, ItemResult, Reference, prepare
from ..job.job import Job, Outcome
from ..job.sides import Sides
from ..output import errors
from ..output.result import to_result
from ..progress.view import ProgressView
from ..registries.deadline import Deadline
from ..registries.directory import Registry
from ..registries.naming import targets_of

logger = get_logger(__name__)

# To look for a tag that was meant: a longer list, and more seconds, are not worth the wait.
TAG_PAGES = 3
PATIENCE = 5.0


def import_image(cli_ctx: Any, options: ImportOptions) -> dict[str, Any]:
    """The result is returned, and thereby printed, also when it says that the import failed or was interrupted."""
    deadline = Deadline(options.timeout)
    source, registry = options.source_image.typed, options.registry_name
    outcome = Outcome(ItemResult(source, _as_typed(options)))
    with ProgressView(cli_ctx, f"Importing {source} to {registry.rpartition('/')[2]}") as view:
        try:
            with errors.told_apart(), Sides(cli_ctx, options, deadline) as sides:
                job = sides.find(_prepare)
                source, registry = str(job.reference), job.target.host
                outcome = Outcome(ItemResult(source, tuple(target.name for target in job.targets)))
                view.is_about(f"Importing {source} to {registry}", ", ".join(outcome.item.targets))
                warn_of_quarantine(job.target)
                from .choice import run

                outcome = run(job, view)
                find_closest(job, outcome.item.error)
        except EngineError as error:
            outcome.item.end_with(error)
        item = outcome.item
        if item.status == "blocked":  # where there is only one, it has failed
            item.status = "failed"
        item.seconds = deadline.elapsed
        return told(cli_ctx, view, outcome, source=source, registry=registry, dry_run=options.dry_run)


def _prepare() -> None:
    """Load what chooses an engine, and the engines; nobody needs them before registries have answered."""
    prepare()
    import_module(".choice", __package__)


def told(
    cli_ctx: Any,
    view: ProgressView,
    outcome: Outcome,
    *,
    source: str | None,
    registry: str | None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """The result, with a last word to people; the command fails after it when there was an error."""
    view.end(outcome.item, outcome.engine, outcome.operation)
    if outcome.item.error:
        errors.raise_after_output(cli_ctx, outcome.item.error, moved=bool(outcome.item.blobs.copied))
    return to_result(
        outcome.item,
        source=source,
        registry=registry,
        engine=outcome.engine,
        engine_reason=outcome.reason,
        operation=outcome.operation,
        checked=outcome.checked,
        dry_run=dry_run,
    )


def find_closest(job: Job, error: EngineError | None) -> None:
    """Tell an error about a tag that is not there which three are the closest, where the source lists its tags."""
    tag = getattr(job.reference, "identifier", ":")
    if error is None or error.code != "source-not-found" or ":" in tag:
        return
    from difflib import get_close_matches

    with suppress(EngineError), job.connected() as (request, cancellation), cancellation.within(PATIENCE):
        error.closest = tuple(get_close_matches(tag, request.source.list_tags(TAG_PAGES) or (), cutoff=0.0))


def _as_typed(options: ImportOptions) -> tuple[str, ...]:
    """The targets as far as they can be told before the source was looked up."""
    written = options.source_image
    try:
        reference = written.location or Reference.parse(f"{options.source_registry}/{written.text}")
    except InvalidReference:  # --registry is a resource ID
        reference = Reference.parse(f"registry.invalid/{written.text}")
    return tuple(target.name for target in targets_of(reference, written.text, options))


def warn_of_quarantine(target: Registry) -> None:
    """Since it stops nothing, and nobody sees the image."""
    if target.quarantine:
        logger.warning(
            "%s keeps new images in quarantine: until they are released, only those with a right to that see them.",
            target.host,
        )
