# SPDX-License-Identifier: MIT
"""Which engine does it, and why: one table, read from the top; and the other one once, where that helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from knack.log import get_logger

from ..engine import Denied, EngineError, Firewall, ItemResult, NetworkError, Planned, TlsError
from ..job.embedded import copy_here
from ..job.job import Job, Outcome
from ..output import errors
from ..output.catalogue import ServiceError
from ..output.progress import ProgressView
from ..service.image import import_by_service

logger = get_logger(__name__)

# From here on bytes are better moved by the service, which is nearer to both registries.
LARGE = 200_000_000
# An operation that says nothing new for so long has been seen to go on for hours. Seconds.
PATIENCE = 1800.0
# Troubles of the service that the embedded engine does not have.
SERVICE_ONLY = {"no-range", "no-digest", "copy-failed", "timeout", "role-missing", "registry-not-found"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the table looks at. ``refusal``: why the embedded engine could not plan; ``moving``: bytes, if many."""

    job: Job
    refusal: EngineError | None = None
    moving: int = 0

    @property
    def service_possible(self) -> bool:
        """ARM knows the target, the source is in a registry, and all of it is wanted."""
        return bool(self.job.target.resource_id and self.job.source and not self.job.request.platforms)

    @property
    def may_not_push(self) -> bool:
        """The target does not let this machine in, or lets it not push."""
        return self._refused_by("target", Denied) and self.service_possible

    @property
    def source_is_closed(self) -> bool:
        """The source is a container registry of ours that does not let this machine in."""
        source = self.job.source
        closed = self._refused_by("source", Firewall)
        return bool(closed and source and source.resource_id and self.service_possible)

    def _refused_by(self, side: str, kind: type[EngineError]) -> bool:
        """A registry that ARM knows and that does not answer has its door in another network."""
        silent = isinstance(self.refusal, NetworkError) and not isinstance(self.refusal, TlsError)
        return self.refusal is not None and self.refusal.origin == side and (silent or isinstance(self.refusal, kind))

    @property
    def is_large_and_inside(self) -> bool:
        """Both in one cloud and tenant, as the same identity, and much to move."""
        source = self.job.source
        inside = bool(self.service_possible and source and source.resource_id and not self.job.options.password)
        return inside and self.refusal is None and self.moving > LARGE and self.job.same_tenant()


@dataclass(frozen=True, slots=True)
class Row:
    """``early``: can be told before the registries are asked."""

    holds: Callable[[Facts], bool]
    engine: str
    reason: str
    early: bool = True


TABLE = (
    Row(lambda facts: facts.job.options.no_wait, "service", "--no-wait was given, and only the service goes on alone"),
    Row(lambda facts: not facts.job.target.is_acr, "embedded", "the target is not an Azure container registry"),
    Row(lambda facts: facts.job.source is None, "embedded", "the source is on this machine"),
    Row(lambda facts: bool(facts.job.request.platforms), "embedded", "only some platforms are wanted"),
    Row(
        lambda facts: facts.job.source is not None and facts.job.source.login_server == facts.job.target.login_server,
        "embedded",
        "source and target are the same registry, so nothing has to move",
    ),
    Row(
        lambda facts: facts.may_not_push,
        "service",
        "this machine may not push to the target",
        early=False,
    ),
    Row(
        lambda facts: facts.source_is_closed,
        "service",
        "the source does not let this machine in",
        early=False,
    ),
    Row(
        lambda facts: facts.is_large_and_inside,
        "service",
        "both registries are in Azure, and more than 200 MB would move",
        early=False,
    ),
    Row(lambda facts: True, "embedded", "this machine reaches both registries", early=False),
)


def run(job: Job, view: ProgressView) -> Outcome:
    """Choose, import, and try the other engine once where the first one's trouble is its own."""
    if job.options.engine == "service":
        return import_by_service(job, "named by the user", view, job.timeout)
    early = next((row for row in TABLE if row.early and row.holds(Facts(job))), None)
    if early and early.engine == "service" and job.options.engine == "auto":
        return import_by_service(job, early.reason, view, job.timeout)
    if job.options.engine == "embedded":
        return Outcome(_copied_here(job, lambda planned: True, view), "embedded", "named by the user")
    rows = [early] if early else []

    def embedded_is_chosen(planned: Planned) -> bool:
        rows.append(early or _chosen(Facts(job, moving=planned.result.bytes.copied if planned.counted else 0)))
        return rows[-1].engine == "embedded"

    item = _copied_here(job, embedded_is_chosen, view)
    row = rows[-1] if rows else _chosen(Facts(job, item.error))
    if item.status == "cancelled":
        return Outcome(item, row.engine, row.reason)
    if row.engine == "embedded":
        return _or_by_service(job, Outcome(item, "embedded", row.reason), view)
    return _or_embedded(job, item.error, row, view)


def _copied_here(job: Job, go_on: Callable[[Planned], bool], view: ProgressView) -> ItemResult:
    """A dry run never goes on, and counts what it would move."""
    dry_run = job.options.dry_run
    return copy_here(job, lambda planned: go_on(planned) and not dry_run, view, -1 if dry_run else LARGE)


def _chosen(facts: Facts) -> Row:
    return next(row for row in TABLE if not row.early and row.holds(facts))


def _or_by_service(job: Job, outcome: Outcome, view: ProgressView) -> Outcome:
    """What the embedded engine brought about; by the service where a closed door was the trouble."""
    error = outcome.item.error
    if not isinstance(error, Denied) or job.options.dry_run or not Facts(job, error).service_possible:
        return outcome
    if not (Facts(job, error).may_not_push or Facts(job, error).source_is_closed):
        return outcome
    logger.warning("%s Trying once with the registry's own import service.", error.message)
    job = job.renewed()
    return _better(outcome, import_by_service(job, "the embedded engine was refused", view, job.timeout))


def _or_embedded(job: Job, refusal: EngineError | None, row: Row, view: ProgressView) -> Outcome:
    """What the service brought about; through this machine where the trouble was the service's own."""
    job = job.renewed()
    outcome = import_by_service(job, row.reason, view, job.timeout if refusal else _patience(job))
    error = outcome.item.error
    if refusal is not None:  # this machine cannot do it; what it was refused for may be what the person can mend
        outcome.item.error = errors.clearer(refusal, error) if error else None
        return outcome
    if not isinstance(error, ServiceError) or error.known.slug not in SERVICE_ONLY:
        return outcome
    logger.warning("The import service failed: %s Trying once through this machine.", error.message)
    item = _copied_here(job.renewed(), lambda planned: True, view)
    return Outcome(item, "embedded", f"the service failed ({error.code})")


def _better(first: Outcome, second: Outcome) -> Outcome:
    """The second, unless it failed for want of a right, too: then the first error is the one that was asked about."""
    if second.item.error is None or not isinstance(second.item.error, ServiceError):
        return second
    return first if second.item.error.known.slug in ("role-missing", "registry-not-found") else second


def _patience(job: Job) -> float:
    """For an engine that is not the only one: half of the time is the other one's."""
    configured = job.cli_ctx.config.get("acrimport", "service_patience", fallback="")
    patience = float(configured) if configured.replace(".", "", 1).isdigit() else PATIENCE
    return patience if job.timeout is None else min(job.timeout / 2, patience)
