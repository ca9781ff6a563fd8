# SPDX-License-Identifier: MIT
"""``az acr import-wait``: the end of what ``az acr import --no-wait`` has begun."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..engine import Cancellation, RegistryRepository
from ..job.sides import side
from ..output import errors
from ..output.progress import ProgressView
from ..registries.credentials import Identity, provider
from ..registries.directory import Directory
from ..service.wait import wait_for
from .image import told


def import_wait(cli_ctx: Any, operation: str, timeout: float | None) -> dict[str, Any]:
    """The result of the import, or what is known of it. ``timeout`` in seconds."""
    view = ProgressView(cli_ctx, "Waiting for the import service")
    started = time.monotonic()
    try:
        outcome, known = wait_for(cli_ctx, operation, view, timeout, lambda host: _reader(cli_ctx, host))
    except ValueError as error:
        errors.exit_for_usage(*error.args)
    outcome.item.seconds = time.monotonic() - started
    return told(cli_ctx, view, outcome, **known)


@contextmanager
def _reader(cli_ctx: Any, host: str) -> Iterator[Callable[[str], RegistryRepository]]:
    """From a repository of this registry to what reads there, as the az login identity."""
    target = Directory(cli_ctx).find(host, "target")
    given = provider(Identity(cli_ctx), target, "", "target")
    with side(cli_ctx, "target", target, given, Cancellation()) as client:
        yield lambda repository: RegistryRepository(client, repository)
