# SPDX-License-Identifier: MIT
"""Which engine does it, and why: one table, read from the top; and the other one once, where that helps."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from knack.log import get_logger

from ..engine import Denied, EngineError, Firewall, ItemResult, NetworkError, Planned, TlsError
from ..job.embedded import copy_here
from ..job.job import Job, Outcome
from ..output.advice import advice_for
from ..output.service_error import ServiceError
from ..progress.view import ProgressView
from ..service.image import import_by_service

logger = get_logger(__name__)

# From here on bytes are better moved by the service, which is nearer to both registries.
LARGE = 200_000_000
# An operation that says nothing new for so long has been seen to go on for hours. Seconds.
PATIENCE = 1800.0
BY_NAME = "named by the user"
REFUSED = "the embedded engine was refused"
# Names that no public name server knows: RFC 2606, RFC 6762, RFC 8375, and what ICANN keeps for private use.
PRIVATE_NAMES = (".local", ".localhost", ".internal", ".home.arpa", ".lan", ".corp", ".home", ".test", ".invalid")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the table looks at. ``refusal``: why the embedded engine could not do it; ``moving``: bytes, if many."""

    job: Job
    refusal: EngineError | None = None
    moving: int = 0

    @property
    def service_possible(self) -> bool:
        """ARM knows the target, the source is in a registry, and all of it is wanted."""
        return bool(self.job.target.resource_id and self.job.source and not self.job.options.platforms)

    @property
    def same_registry(self) -> bool:
        """By whichever of its endpoints."""
        return self.job.source is not None and self.job.source.login_server == self.job.target.login_server

    @property
    def may_not_push(self) -> bool:
        """The target does not let this machine in, or lets it not push."""
        return self._refused_by("target", Denied) and self.service_possible

    @property
    def source_is_unseen(self) -> bool:
        """az cannot see what was named by its ID; the service may."""
        return bool(self.job.source and self.job.source.unseen and self.service_possible)

    @property
    def source_is_closed(self) -> bool:
        """The source is a container registry of ours that does not let this machine in."""
        source = self.job.source
        closed = self._refused_by("source", Firewall)
        return bool(closed and source and source.resource_id and self.service_possible)

    @property
    def source_is_silent(self) -> bool:
        """This machine does not reach the source, and the service may: it has a public name."""
        source = self.job.source
        return bool(self._silent("source") and source and is_public_name(source.host) and self.service_possible)

    @property
    def is_shut_out(self) -> bool:
        """This machine is; the door may be open for the service."""
        return self.may_not_push or self.source_is_closed or self.source_is_silent

    def _refused_by(self, side: str, kind: type[EngineError]) -> bool:
        """A registry that ARM knows and that does not answer has its door in another network."""
        refusal = self.refusal
        return self._silent(side) or (isinstance(refusal, kind) and refusal.origin == side)

    def _silent(self, side: str) -> bool:
        refusal = self.refusal
        return isinstance(refusal, NetworkError) and not isinstance(refusal, TlsError) and refusal.origin == side

    @property
    def is_large_and_inside(self) -> bool:
        """Both in one cloud and tenant, as the same identity, and much to move."""
        source = self.job.source
        inside = bool(self.service_possible and source and source.resource_id and not self.job.options.password)
        return inside and self.refusal is None and self.moving > LARGE and self.job.same_tenant()


def is_public_name(host: str) -> bool:
    """True for a name that others may know as well: no address, no port, nothing that is only known in here."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return "." in host and ":" not in host and not host.endswith(PRIVATE_NAMES)
    return False


@dataclass(frozen=True, slots=True)
class Row:
    """``early``: can be told before the registries are asked."""

    holds: Callable[[Facts], bool]
    engine: str
    reason: str
    early: bool = True


TABLE = (
    Row(
        lambda facts: facts.job.options.no_wait,
        "service",
        "--no-wait was given, and only the service goes on by itself",
    ),
    Row(lambda facts: not facts.job.target.is_acr, "embedded", "the target is not an Azure container registry"),
    Row(lambda facts: facts.job.source is None, "embedded", "the source is on this machine"),
    Row(lambda facts: bool(facts.job.options.platforms), "embedded", "only some platforms are wanted"),
    Row(
        lambda facts: facts.same_registry,
        "embedded",
        "source and target are the same registry, so nothing has to move",
    ),
    Row(
        lambda facts: facts.source_is_unseen,
        "service",
        "az cannot see the source registry, so its resource ID is passed on as it was typed",
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
        lambda facts: facts.source_is_silent,
        "service",
        "the source does not answer this machine, and has a public name",
        early=False,
    ),
    Row(
        lambda facts: facts.is_large_and_inside,
        "service",
        "both registries are in Azure, and more than 200 MB would move",
        early=False,
    ),
    Row(
        lambda facts: isinstance(facts.refusal, NetworkError),
        "embedded",
        "the import service is of no help here",
        early=False,
    ),
    Row(lambda facts: True, "embedded", "this machine reaches both registries", early=False),
)


def run(job: Job, view: ProgressView) -> Outcome:
    """Import by the engine that was named, or by the one that the table chooses. Nothing has been asked yet."""
    if job.options.engine == "service":
        return import_by_service(job, BY_NAME, view)
    early = early_row(job)
    if early and early.engine == "service" and job.options.engine == "auto":
        if job.options.no_wait:
            return import_by_service(job, early.reason, view)
        return _or_embedded(job, None, early, view)
    if job.options.engine == "embedded":
        return Outcome(_copied_here(job, lambda planned: True, view), "embedded", BY_NAME)
    rows = [early] if early else []

    def embedded_is_chosen(planned: Planned) -> bool:
        rows.append(early or chosen(Facts(job, moving=planned.result.bytes.copied if planned.counted else 0)))
        return rows[-1].engine == "embedded"

    item = _copied_here(job, embedded_is_chosen, view)
    row = rows[-1] if rows else chosen(Facts(job, item.error))
    if item.status == "cancelled":
        return Outcome(item, row.engine, row.reason)
    if row.engine == "embedded":
        return _or_by_service(job, Outcome(item, "embedded", row.reason), view)
    return _or_embedded(job, item.error, row, view)


def _copied_here(job: Job, go_on: Callable[[Planned], bool], view: ProgressView) -> ItemResult:
    """A dry run never goes on, and counts what it would move."""
    dry_run = job.options.dry_run
    return copy_here(job, lambda planned: go_on(planned) and not dry_run, view, -1 if dry_run else LARGE)


def early_row(job: Job) -> Row | None:
    """The row that decides before the registries are asked, if one does."""
    return next((row for row in TABLE if row.early and row.holds(Facts(job))), None)


def chosen(facts: Facts) -> Row:
    """The first row that holds, when both sides were asked."""
    return next(row for row in TABLE if not row.early and row.holds(facts))


def _or_by_service(job: Job, outcome: Outcome, view: ProgressView) -> Outcome:
    """What the embedded engine brought about; by the service where a closed door was the trouble."""
    error = outcome.item.error
    if error is None or not Facts(job, error).is_shut_out or job.options.dry_run or job.deadline.over:
        return outcome
    logger.warning("%s Trying once with the registry's own import service.", advice_for(error)[1])
    second = import_by_service(job, REFUSED, view)
    return outcome if says_less(second.item.error, error) else second


def _or_embedded(job: Job, refusal: EngineError | None, row: Row, view: ProgressView) -> Outcome:
    """What the service brought about; through this machine where the trouble was the service's own."""
    outcome = import_by_service(job, row.reason, view, None if refusal else patience(job))
    error = outcome.item.error
    if refusal is not None:  # this machine cannot do it; what it was refused for may be what the person can mend
        outcome.item.error = refusal if says_less(error, refusal) else error
        return outcome
    if error is None or not is_elsewhere(error) or job.deadline.over:
        return outcome
    logger.warning("The import service failed: %s Trying once through this machine.", advice_for(error)[1])
    item = _copied_here(job, lambda planned: True, view)
    if item.error and item.error.origin == "source" and Facts(job).source_is_unseen:
        return outcome  # its door is closed to this machine, too, and the service has named the key
    return Outcome(item, "embedded", after(error))


def is_elsewhere(error: EngineError | None) -> bool:
    """The service failed for a reason that the embedded engine does not have."""
    return isinstance(error, ServiceError) and error.known.elsewhere


def after(error: EngineError) -> str:
    """Why the embedded engine had its turn."""
    return f"the service failed ({error.code})"


def says_less(error: EngineError | None, refusal: EngineError) -> bool:
    """Of the service's failure, beside the embedded engine's: what both lack, and what both say, is the latter's."""
    unable = ("role-missing", "registry-not-found")
    return isinstance(error, ServiceError) and (error.known.slug in unable or error.code == refusal.code)


def patience(job: Job) -> float:
    """For an engine that is not the only one: half of the time is the other one's. Seconds."""
    configured = job.cli_ctx.config.get("acrimport", "service_patience", fallback="")
    seconds = float(configured) if configured.replace(".", "", 1).isdecimal() else PATIENCE
    return seconds if job.deadline.left is None else min(job.deadline.left / 2, seconds)
