# SPDX-License-Identifier: MIT
"""Many imports in one run of the embedded engine, and those that the service does in a pool beside it.

Which engine it is is decided for each image as for one: by the table in ``choice``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from .._options import BatchOptions
from ..engine import (
    Blocked,
    Cancelled,
    CopyRequest,
    EngineError,
    ItemResult,
    Planned,
    TimedOut,
    copy_images,
)
from ..job.clients import Clients
from ..job.job import Outcome
from ..job.parallel import each
from ..progress.batch import BatchView
from ..registries.blob_places import remembered
from ..registries.deadline import Deadline
from ..service.image import import_by_service
from .choice import BY_NAME, LARGE, REFUSED, Facts, Row, after, chosen, early_row, is_elsewhere, patience, says_less
from .jobs import Jobs, Line

# Azure Resource Manager limits what one identity may ask of it in a while.
OPERATIONS = 10
CONFLICT = "target-tag-conflict"


@dataclass(slots=True)
class _Work:
    """One image on its way through the engines. ``refusal``: why this machine could not do it.

    There may be ten thousand of them, so its job is made anew where it is needed.
    """

    line: Line
    early: Row | None
    row: Row | None = None
    refusal: EngineError | None = None


class Run:
    """One batch."""

    def __init__(self, cli_ctx: Any, options: BatchOptions, jobs: Jobs, view: BatchView, deadline: Deadline) -> None:
        self._cli_ctx = cli_ctx
        self._options = options
        self._jobs = jobs
        self._view = view
        self._deadline = deadline
        self._stopped = False
        self._failed = False

    def do(self, lines: Sequence[Line], clients: Clients) -> None:
        """Fill the outcomes. Raises what ends the waiting for the service."""
        works = [work for line in lines if line.item and (work := self._work(line))]
        self._failed = any(line.outcome.item.status == "failed" for line in lines)
        try:
            self._do(works, clients)
        finally:
            for work in works:
                self._settle(work)

    def _do(self, works: Sequence[_Work], clients: Clients) -> None:
        named = self._options.engine
        by_service = [work for work in works if named == "service" or (work.early and work.early.engine == "service")]
        if named == "embedded":
            by_service = []
        aside = {id(work) for work in by_service}
        here = [work for work in works if id(work) not in aside]
        if not self._fails_fast:
            self._copy(here, clients)
        if named == "auto":
            by_service += [work for work in here if self._is_for_service(work)]
        self._failed |= any(self._has_failed(work) for work in here if work.refusal is None)
        self._serve(by_service)
        again = [work for work in by_service if self._is_for_embedded(work)]
        if again and not self._stopped and not self._fails_fast:
            with self._jobs.connected() as fresh:
                self._copy(again, fresh, by_force=True)

    @property
    def _fails_fast(self) -> bool:
        """True when nothing more is to begin since something has failed. A dry run goes on, to tell of all of it."""
        return self._options.fail_fast and self._failed and not self._options.dry_run

    def _has_failed(self, work: _Work) -> bool:
        """Not where the other engine has a try, or where the conflict is to be skipped."""
        item = work.line.outcome.item
        return item.status == "failed" and not self._is_to_skip(item) and not self._is_for_embedded(work)

    def _is_to_skip(self, item: ItemResult) -> bool:
        """Whoever has found the tag in its place: of a target that cannot be read from here, the service."""
        return bool(item.error and item.error.code == CONFLICT) and self._options.on_conflict == "skip"

    def _work(self, line: Line) -> _Work | None:
        """None where the password is not to be had."""
        try:
            job = self._jobs.of(line)
        except EngineError as error:
            line.outcome.item.end_with(error)
            return None
        return _Work(line, early_row(job))

    def _copy(self, works: Sequence[_Work], clients: Clients, *, by_force: bool = False) -> None:
        """Through this machine, in one run. ``by_force``: nothing else is left to choose."""
        requests, known = [], {}
        for work in works:
            try:
                requests.append(self._jobs.request(work.line, clients))
            except EngineError as error:  # of a credential that is not to be had
                work.line.outcome.item.end_with(error)
            else:
                known[id(requests[-1])] = work
        options, named = self._options, self._options.engine == "embedded"

        def is_failure(request: CopyRequest, error: EngineError) -> bool:
            return by_force or not self._is_shut_out(known[id(request)], error)

        def go_on(planned: Planned) -> bool:
            work = known[id(planned.request)]
            moving = planned.result.bytes.copied if planned.counted else 0
            if not named and not by_force:
                work.row = work.early or chosen(Facts(self._jobs.of(work.line), moving=moving))
            return not options.dry_run and (work.row is None or by_force or work.row.engine == "embedded")

        for work in known.values():
            work.line.is_under_way = True
        with remembered(self._cli_ctx) as places:
            report = copy_images(
                requests,
                clients.cancellation,
                jobs=options.jobs,
                places=places,
                go_on=go_on,
                count_above=-1 if options.dry_run else LARGE if options.engine == "auto" and not by_force else None,
                spends_quota=not options.dry_run,
                fail_fast=options.fail_fast,
                is_failure=is_failure,
                on_progress=self._view,
            )
        for item, work in zip(report.items, known.values(), strict=True):
            self._take(work, item, clients, reason=self._reason(work, by_force))
            work.line.is_under_way = False
        self._view.forget()

    def _reason(self, work: _Work, by_force: bool) -> str:
        if by_force:
            assert work.line.outcome.item.error
            return after(work.line.outcome.item.error)
        if self._options.engine == "embedded":
            return BY_NAME
        return ""

    def _take(self, work: _Work, item: ItemResult, clients: Clients, reason: str) -> None:
        if item.status == "cancelled":
            self._stopped = True
            if clients.cancellation.expired:
                item.error = TimedOut(self._deadline.seconds or 0.0)
        row = work.row or work.early or chosen(Facts(self._jobs.of(work.line), item.error))
        work.row = row
        item.source = work.line.outcome.item.source  # as it was asked for, tag and digest
        outcome = Outcome(item, "embedded", reason) if reason else Outcome(item, row.engine, row.reason)
        # a manifest that counts as a pull was not read to find out what a dry run would move
        outcome.counted = item.status != "planned" or bool(item.manifests)
        work.line.outcome = outcome

    def _is_for_service(self, work: _Work) -> bool:
        """What the table gives to the service, and what this machine was refused for."""
        item, row = work.line.outcome.item, work.row
        if self._stopped or item.status not in ("planned", "failed") or row is None:
            return False
        if item.status == "planned":
            return row.engine == "service"
        if self._is_shut_out(work, item.error) and (row.engine == "service" or not self._options.dry_run):
            work.refusal = item.error
        return work.refusal is not None

    def _is_shut_out(self, work: _Work, error: EngineError | None) -> bool:
        """Whether the service may be able to do what this machine was refused."""
        return self._options.engine == "auto" and Facts(self._jobs.of(work.line), error).is_shut_out

    def _serve(self, works: Sequence[_Work]) -> None:
        """By the service, some at once."""
        if not works or self._stopped:
            return

        def serve(work: _Work) -> None:
            if self._fails_fast:
                work.line.outcome.item.end_with(Blocked())
                return
            self._serve_one(work)
            self._failed |= self._has_failed(work)

        try:
            works_in_turn = [partial(serve, work) for work in works]
            each(works_in_turn, min(self._options.jobs or OPERATIONS, OPERATIONS), self._deadline.check)
        except BaseException:
            self._stopped = True
            raise
        finally:
            # an operation that was asked for goes on, whether we wait for it or not
            self._jobs.disconnect()

    def _serve_one(self, work: _Work) -> None:
        refusal, named = work.refusal, self._options.engine == "service"
        if named:
            reason = BY_NAME
        elif refusal:
            reason = work.row.reason if work.row and work.row.engine == "service" else REFUSED
        else:
            row = work.row or work.early
            assert row
            reason = row.reason
        job = self._jobs.of(work.line)
        limit = None if named or refusal else patience(job)
        outcome = import_by_service(job, reason, self._view, limit)
        if refusal and says_less(outcome.item.error, refusal):
            outcome.item.error = refusal
        work.line.outcome = outcome

    def _is_for_embedded(self, work: _Work) -> bool:
        """What the service fails for has another reason than what it was asked for."""
        if self._options.engine != "auto":
            return False
        return is_elsewhere(work.line.outcome.item.error) and work.refusal is None and not self._deadline.over

    def _settle(self, work: _Work) -> None:
        """The last word on one of them."""
        item = work.line.outcome.item
        if self._is_to_skip(item):
            item.status, item.error = "skipped", None
            item.changes = tuple(replace(change, action="none") for change in item.changes)
        if item.status == "planned" and not self._options.dry_run:
            item.end_with(Cancelled() if self._stopped else Blocked())
