# SPDX-License-Identifier: MIT
"""``az acr import-wait``: the end of what ``az acr import --no-wait`` has begun."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ..engine import Cancellation, EngineError, ItemResult, RegistryRepository
from ..job.job import Outcome
from ..job.sides import side
from ..output import errors
from ..progress.view import ProgressView
from ..registries.credentials import Identity, provider
from ..registries.deadline import Deadline
from ..registries.directory import Directory
from ..service.wait import wait_for
from .image import told


def import_wait(cli_ctx: Any, operation: str, timeout: float | None) -> dict[str, Any]:
    """The result of the import, or what is known of it. ``timeout`` in seconds."""
    deadline = Deadline(timeout)
    outcome, known = Outcome(ItemResult("", ()), "service"), {"source": None, "registry": None}
    with ProgressView(cli_ctx, "Waiting for the import service") as view:
        try:
            with errors.told_apart():
                outcome, known = wait_for(cli_ctx, operation, view, deadline, partial(_reader, cli_ctx, deadline))
        except ValueError as error:
            view.close()
            errors.exit_for_usage(*error.args)
        except EngineError as error:
            outcome.item.end_with(error)
        outcome.item.seconds = deadline.elapsed
        return told(cli_ctx, view, outcome, **known)


@contextmanager
def _reader(cli_ctx: Any, deadline: Deadline, host: str) -> Iterator[Callable[[str], RegistryRepository]]:
    """From a repository of this registry to what reads there, as the az login identity."""
    target = deadline.wait_for(lambda: Directory(cli_ctx).find_target(host))
    given = provider(Identity(cli_ctx, deadline), target, "", "target")
    cancellation = Cancellation()
    with cancellation.within(deadline.left), side(cli_ctx, "target", target, given, cancellation) as client:
        yield lambda repository: RegistryRepository(client, repository)
