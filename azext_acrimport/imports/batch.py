# SPDX-License-Identifier: MIT
"""``az acr import-batch``: find out what is wanted, have it done in one run, tell what has become of each."""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any

from knack.log import get_logger

from .._options import BatchOptions, SignIn
from ..batch.report import summary
from ..batch.shards import part_of
from ..batch.wanted import Mistakes
from ..engine import Cancelled, EngineError, ItemResult, Quota, TimedOut
from ..job.clients import Clients
from ..job.job import Outcome
from ..output import errors, problem
from ..output.result import to_result
from ..progress.batch import BatchView
from ..registries.credentials import Identity
from ..registries.deadline import Deadline
from ..registries.directory import Directory
from ..registries.hints import hints_for
from .expansion import Expander, Expansion, Refused
from .image import warn_of_quarantine
from .jobs import Jobs, Line
from .many import Run

logger = get_logger(__name__)

HUB = "docker.io"


def import_batch(cli_ctx: Any, options: BatchOptions) -> dict[str, Any]:
    """The report is returned, and thereby printed, whatever has happened; the command fails after it if it must."""
    try:
        with BatchView(cli_ctx, f"Importing to {options.registry_name.rpartition('/')[2]}") as view:
            return _Batch(cli_ctx, options, view).done()
    finally:
        if options.report:
            options.report.close()


class _Batch:
    def __init__(self, cli_ctx: Any, options: BatchOptions, view: BatchView) -> None:
        self._cli_ctx = cli_ctx
        self._options = options
        self._deadline = Deadline(options.timeout)
        self._view = view
        self._registry = options.registry_name
        # what was asked for, until it is known what that is
        self._lines = [
            Line.of_wanted(wanted, options.naming, within=options.source_registry or "") for wanted in options.wanted
        ]
        self._quota: Quota | None = None
        self._nothing = False
        self._failure: EngineError | None = None

    def done(self) -> dict[str, Any]:
        """The report of it."""
        try:
            with errors.told_apart():
                self.run()
        except Mistakes as error:
            self._view.close()
            names = "Give one of them another name: --prefix, --strip-prefix, or a target of its own in --file."
            errors.exit_for_usage("\n".join(("Nothing was imported.", *error.mistakes)), names)
        except EngineError as error:
            self.end(error)
        return self.told()

    def run(self) -> None:
        """To the end. Raises EngineError for what concerns all of it, and Mistakes."""
        options, deadline = self._options, self._deadline
        identity, directory = Identity(self._cli_ctx, deadline), Directory(self._cli_ctx)
        target = deadline.wait_for(lambda: directory.find_target(options.registry_name, options.resource_group_name))
        warn_of_quarantine(target)
        self._registry, source, sign_ins = target.host, None, dict(options.sign_ins)
        if options.engine == "service" and not target.is_acr:
            raise problem.not_azure(target.host)
        if named := options.source_registry:
            source = deadline.wait_for(lambda: directory.find_source(named))
            sign_ins[source.host] = sign_ins.get(named) or sign_ins.get(source.host, SignIn())

        def connected() -> Clients:
            return Clients(self._cli_ctx, identity, deadline, sign_ins, hints)

        with hints_for(self._cli_ctx, options.jobs) as hints, connected() as clients:
            expander = Expander(directory, clients, options.naming, options.jobs)
            expansion = expander.expand(options.wanted, source, target)
            self._lines = self._lines_of(expansion)
            self._nothing = not expansion.entries
            for said in expansion.unmatched:
                logger.warning("%s", said)
            self._view.planned(len(self._lines), self._standing)
            places = target, expansion.registries, connected
            jobs = Jobs(self._cli_ctx, options, sign_ins, identity, *places, deadline)
            run = Run(self._cli_ctx, options, jobs, self._view, deadline)
            try:
                run.do(self._lines, clients)
            finally:
                self._quota = clients.quota(HUB)

    def _standing(self) -> Counter[str]:
        """How many have ended how."""
        return Counter(line.outcome.item.status for line in self._lines if not line.is_under_way)

    def _lines_of(self, expansion: Expansion) -> list[Line]:
        """Of this part. What could not be looked at is told in each."""
        items, shard, naming = expansion.items, self._options.shard, self._options.naming
        mine = {id(item) for item in (part_of(items, *shard) if shard else items)}
        return [
            Line.of_wanted(entry.wanted, naming, entry.error) if isinstance(entry, Refused) else Line.of_item(entry)
            for entry in expansion.entries
            if isinstance(entry, Refused) or id(entry) in mine
        ]

    def end(self, error: EngineError) -> None:
        """Nothing more is done: of what has not ended this is why."""
        status = "cancelled" if isinstance(error, (Cancelled, TimedOut)) else "blocked"
        if isinstance(error, Cancelled):
            error = Cancelled()  # of single images is told what is complete
        else:
            self._failure = error
        for line in self._lines:
            if line.outcome.item.status == "planned":
                line.outcome.item.status, line.outcome.item.error = status, error  # type: ignore[assignment]

    def told(self) -> dict[str, Any]:
        """The report, also in its file, with a last word to people."""
        gc.collect()  # of ten thousand images the report, and az's own text of it, fit into what their stories leave
        items = [line.outcome.item for line in self._lines]
        hub = self._hub(items)
        shard = self._options.shard
        dry_run = self._options.dry_run
        results = [_result(line.outcome, self._registry, dry_run=dry_run) for line in self._lines]
        report = {"summary": summary(results, self._deadline.elapsed, shard, hub), "items": results}
        failure = self._failed(items)
        alone = bool(failure) and [item.error for item in items] == [failure]
        self._view.end_batch(report, dry_run=dry_run, names_failures=not alone)
        if failure:
            moved = any(item.blobs.copied for item in items)
            errors.raise_after_output(self._cli_ctx, failure, many=True, moved=moved)
        if self._options.report:
            try:
                self._options.report.write(report)
            except OSError as error:
                errors.raise_after_output(self._cli_ctx, problem.report_not_written(str(error)))
        return report

    def _hub(self, items: list[ItemResult]) -> dict[str, int] | None:
        """What is left to do there needs a pull for each image at least."""
        if self._quota is None:
            return None
        left = sum(item.source.startswith(f"{HUB}/") and item.status in ("planned", "blocked") for item in items)
        return {"needed": left, "left": self._quota.left, "window": self._quota.window}

    def _failed(self, items: list[ItemResult]) -> EngineError | None:
        """What az fails with; exit code 3 is for a target, or an only source, that does not exist."""
        if self._failure:
            return self._failure
        failed = [item for item in items if item.error]
        if self._nothing:
            return problem.nothing_selected()
        if any(item.status == "cancelled" for item in items):
            if self._deadline.over:
                return TimedOut(self._deadline.seconds or 0.0)
            complete = sum(not item.error for item in items)
            return errors.batch_interrupted(complete, len(items))
        if len(failed) == len(items) == len(self._options.wanted) == 1:
            return failed[0].error
        return problem.batch_incomplete(len(failed), len(items), dry_run=self._options.dry_run) if failed else None


def _result(outcome: Outcome, registry: str, *, dry_run: bool) -> dict[str, Any]:
    result = to_result(
        outcome.item,
        source=outcome.item.source,
        registry=registry,
        engine=outcome.engine,
        engine_reason=outcome.reason,
        checked=outcome.checked,
        dry_run=dry_run,
        many=True,
    )
    if not outcome.counted:
        result.update(manifests=None, referrers=None, blobs=None, bytes=None)
    return result
