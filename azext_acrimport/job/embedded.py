# SPDX-License-Identifier: MIT
"""The embedded engine at work for one job; when all is known that must be done, another engine can still be chosen."""

from __future__ import annotations

from collections.abc import Callable

from ..engine import CopyRequest, ItemResult, Planned, TimedOut, copy_images
from ..output import errors
from ..progress.view import ProgressView
from ..registries.blob_places import remembered
from .job import Job


def copy_here(
    job: Job,
    go_on: Callable[[Planned], bool],
    view: ProgressView | None = None,
    count_above: int | None = None,
    instead: Callable[[CopyRequest], CopyRequest] = lambda request: request,
) -> ItemResult:
    """Copy the image, if ``go_on`` says so when it is planned. Ctrl-C and the end of the time are in the result.

    ``count_above``: as in ``copy_images``. ``instead``: what is copied over these connections instead of the job's.
    """
    with job.connected() as (request, cancellation), remembered(job.cli_ctx) as places:
        report = copy_images(
            [instead(request)],
            cancellation,
            jobs=job.options.jobs,
            places=places,
            go_on=go_on,
            count_above=count_above,
            on_progress=view or (lambda progress: None),
        )
        item = report.items[0]
        if item.status == "cancelled" and cancellation.expired:
            item.end_with(TimedOut(job.deadline.seconds or 0.0))
        elif item.status == "cancelled":
            item.error = errors.interrupted(item)
    return item
