# SPDX-License-Identifier: MIT
"""The embedded engine at work for one job; when all is known that must be done, another engine can still be chosen."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..engine import ItemResult, Planned, TimedOut, copy_images
from ..output import errors
from ..output.progress import ProgressView
from ..registries.blob_places import RememberedPlaces
from .job import Job


def copy_here(
    job: Job,
    go_on: Callable[[Planned], bool],
    view: ProgressView | None = None,
    count_above: int | None = None,
) -> ItemResult:
    """Copy the image, if ``go_on`` says so when it is planned; afterwards the job's connections are dead.

    ``count_above``: as in ``copy_images``. Ctrl-C raises what says how far it was.
    """
    started = time.monotonic()
    places = RememberedPlaces(job.cli_ctx.config.config_dir)
    try:
        with job.cancellation.within(job.timeout):
            report = copy_images(
                [job.request],
                job.cancellation,
                jobs=job.options.jobs,
                places=places,
                go_on=go_on,
                count_above=count_above,
                on_progress=view or (lambda progress: None),
            )
    finally:
        places.save()
        job.cancellation.cancel()
    item = report.items[0]
    item.seconds = time.monotonic() - started
    if item.status == "cancelled":
        if job.cancellation.expired:
            item.status, item.error = "failed", TimedOut(job.timeout or 0.0)
        else:
            item.error = errors.interrupted(item)
    return item
