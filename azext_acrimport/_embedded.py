# SPDX-License-Identifier: MIT
"""The embedded engine at work for one job: planned first, so that another engine can still be chosen, then run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from . import _errors
from ._blob_places import RememberedPlaces
from ._job import Job
from ._output import ProgressView
from .engine import (
    Attachment,
    Cancelled,
    CopyPlan,
    CopyReport,
    ItemResult,
    Tally,
    TimedOut,
    make_plan,
    make_pool,
    run_plan,
    survey,
)


class Embedded:
    """A context manager: at its end nothing of it works any more."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._pool = make_pool(job.options.jobs)
        self._places = RememberedPlaces(job.cli_ctx.config.config_dir)
        self._plan: CopyPlan | None = None
        self._report: CopyReport | None = None
        self._over = False
        self._timer: threading.Timer | None = None
        self._started = time.monotonic()

    def __enter__(self) -> Embedded:
        if self._job.timeout is not None:
            self._timer = threading.Timer(self._job.timeout, self._give_up)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if self._timer:
            self._timer.cancel()
        self._job.cancellation.cancel()
        self._pool.close(timeout=0.3)

    def plan(self) -> ItemResult:
        """Ask both registries what there is to do; nothing is written."""
        return self._guarded(self._planned)

    def bytes_to_move(self) -> int:
        """Of the planned image, without what the target has already. Asks the target for each blob."""
        assert self._plan
        survey(self._plan, self._pool, self._job.cancellation)
        result = self._plan.items[0].result
        moving = result.bytes.copied
        result.blobs, result.bytes = Tally(), Tally()  # what is counted here is counted again when it happens
        return moving

    @property
    def attached(self) -> list[Attachment]:
        """What refers to the planned image."""
        assert self._plan
        return list(self._plan.items[0].attached.values())

    @property
    def largest_possible(self) -> int:
        """Bytes of all blobs of the planned image."""
        assert self._plan
        return sum(step.descriptor.size for step in self._plan.blobs)

    def finish(self, view: ProgressView) -> ItemResult:
        """Survey for a dry run, else copy."""
        return self._guarded(lambda: self._finished(view))

    def _planned(self) -> ItemResult:
        self._plan = make_plan([self._job.request], self._pool, self._job.cancellation, self._places)
        return self._plan.items[0].result

    def _finished(self, view: ProgressView) -> ItemResult:
        assert self._plan
        item = self._plan.items[0].result
        if item.error is None and self._job.options.dry_run:
            survey(self._plan, self._pool, self._job.cancellation)
        elif item.error is None:
            try:
                self._report = run_plan(self._plan, self._pool, self._job.cancellation, view)
            finally:
                self._places.save()
            item = self._report.items[0]
        item.seconds = time.monotonic() - self._started
        return item

    def _guarded(self, work: Callable[[], ItemResult]) -> ItemResult:
        """Tell the end of the time from Ctrl-C, which raises."""
        try:
            item = work()
        except Cancelled:
            item = self._plan.items[0].result if self._plan else self._nothing()
            item.status = "cancelled"
        if isinstance(item.error, Cancelled):  # it was stopped while it still asked
            item.status, item.error = "cancelled", None
        if item.status == "cancelled" and self._over:
            item.status, item.error = "failed", TimedOut(self._job.timeout or 0.0)
        elif item.status == "cancelled":
            raise _errors.interrupted(self._report)
        return item

    def _nothing(self) -> ItemResult:
        return ItemResult(self._job.request.name, self._job.request.target_names)

    def _give_up(self) -> None:
        self._over = True
        self._job.cancellation.cancel()
