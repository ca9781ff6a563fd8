# SPDX-License-Identifier: MIT
"""The door to copying. What is behind it (``run``) is imported while the first two hosts are being connected to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from ..cancellation import Cancellation
from ..errors import EngineError
from .places import BlobPlaces
from .progress import Progress
from .report import CopyReport, Planned
from .request import CopyRequest

__all__ = ["copy_images", "prepare"]


def prepare() -> None:
    """Import what ``copy_images`` needs, which it does itself as well: for who waits for something else before it."""
    import_module(".run", __package__)


def copy_images(
    requests: Sequence[CopyRequest],
    cancellation: Cancellation,
    *,
    jobs: int | None = None,
    places: BlobPlaces | None = None,
    go_on: Callable[[Planned], bool] = lambda planned: True,
    count_above: int | None = None,
    spends_quota: bool = True,
    fail_fast: bool = False,
    is_failure: Callable[[CopyRequest, EngineError], bool] = lambda request, error: True,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> CopyReport:
    """Copy all of them. Every failure is in the report; only bugs are raised.

    ``jobs``: how many requests at once; None for a number that suits most registries and lines, 1 for no thread at all.
    ``go_on`` is asked of each image when all is known that must be done for it, before anything is written: when it
    says no, the image stays ``planned``. Blobs of at most ``count_above`` bytes do not wait for what vouches for the
    image: then it is asked before, without that, and once more if it said no. Where more than ``count_above`` bytes may
    have to move, its result then tells what would become of each blob. Both callbacks are called in the calling thread.

    ``spends_quota``: whether manifests may be read where a registry counts that; where they may not, the image stays
    ``planned``, too. ``fail_fast``: when one image has failed, none is begun, and of those that are only planned
    nothing is written: they are ``blocked``, as is what a spent quota keeps from being read. ``is_failure``: whether it
    has, or somebody else is to do it.

    On KeyboardInterrupt, and when ``cancellation`` is set elsewhere, what is under way is given up and the images that
    are not complete are reported as ``cancelled``; the caller decides what to raise.
    """
    if requests and jobs != 1:
        _begin(requests[0])
    from .run import Run

    run = Run(requests, cancellation, jobs, places or BlobPlaces(), go_on, count_above, on_progress)
    run.shared.spends_quota, run.fail_fast, run.is_failure = spends_quota, fail_fast, is_failure
    return run.run()


def _begin(request: CopyRequest) -> None:
    """The first questions of the first image. Sixty-four connections to its source are begun soon, and take a while."""
    request.source.enter_ahead(request.identifier)
    for destination in request.destinations[:1]:
        for tag in destination.tags[:1]:
            destination.store.find_ahead(tag)
