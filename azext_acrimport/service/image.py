# SPDX-License-Identifier: MIT
"""The other engine: the registry service copies (ARM ``importImage``), and we ask, wait, and check what it did.

Who names this engine gets the request that core's command sends, whatever this machine sees. Where it was chosen, a
look at both sides comes first, and may spare the operation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from knack.log import get_logger

from .._options import Target
from ..engine import (
    Cancellation,
    Cancelled,
    CopyRequest,
    CredentialError,
    Digest,
    EngineError,
    ItemResult,
    NotFound,
    TagConflict,
    TimedOut,
)
from ..job.job import Job, Outcome, with_facts
from ..output import problem
from ..output.catalogue import TIMED_OUT
from ..output.service_error import ServiceError, ServiceGoesOn
from ..progress.view import ProgressView
from ..registries.deadline import Deadline
from .operation import Operation
from .referrers import import_referrers
from .request import begun, require_right, require_target, waited
from .targets import (
    NOTHING,
    UNCHECKED,
    UNKNOWN,
    Named,
    changes,
    lacking,
    named_now,
    require_digest,
    require_no_conflict,
)

logger = get_logger(__name__)

T = TypeVar("T")

UNNAMED = "Azure has named no operation that could be waited for: only the target will show what has become of it."
NO_REFERRERS = "Signatures, SBOMs and what else refers to the image do not come with --no-wait."


def import_by_service(job: Job, reason: str, view: ProgressView, patience: float | None = None) -> Outcome:
    """Import one image. A failure is in the outcome's item, and so is Ctrl-C: then the service goes on.

    ``patience``: seconds for it, where another engine is to have a try in the time that is left.
    """
    if not job.target.is_acr:
        raise problem.not_azure(job.target.host)
    item = ItemResult(str(job.reference), tuple(target.name for target in job.targets))
    outcome, started = Outcome(item, "service", reason), time.monotonic()
    deadline = job.deadline if patience is None else job.deadline.within(patience)
    try:
        with job.connected() as (request, cancellation):
            _Import(job, outcome, view, deadline, request, cancellation).run()
        settled = job.options.new_only and item.status == "unchanged"
        if job.options.referrers and item.digest and not job.options.dry_run and not settled:
            _bring_referrers(job, item, item.digest, deadline, view)
    except EngineError as error:
        # its own time may be over while it is still being asked: then it is the service that was too slow
        late = isinstance(error, TimedOut) and patience is not None and not job.deadline.over
        item.end_with(ServiceError(TIMED_OUT, "arm", "") if late else error)
        if job.deadline.over and isinstance(error, ServiceError) and error.known is TIMED_OUT:
            item.status = "cancelled"
    item.seconds = time.monotonic() - started
    return outcome


def _bring_referrers(job: Job, item: ItemResult, digest: Digest, deadline: Deadline, view: ProgressView) -> None:
    if job.options.no_wait:
        item.notices += () if item.status == "unchanged" else (NO_REFERRERS,)
    elif import_referrers(job, item, digest, deadline, view) and item.status == "unchanged":
        item.status = "copied"


class _Import:
    """One import by the service, while both sides are connected: to look before, and to check afterwards."""

    def __init__(
        self,
        job: Job,
        outcome: Outcome,
        view: ProgressView,
        deadline: Deadline,
        request: CopyRequest,
        cancellation: Cancellation,
    ) -> None:
        self._job = job
        self._outcome = outcome
        self._item = outcome.item
        self._view = view
        self._deadline = deadline
        self._request = request
        self._cancellation = cancellation
        self._asked = self._ended = False

    def run(self) -> None:
        """Fill the outcome's item. Raises EngineError."""
        try:
            self._run()
        except EngineError as error:
            if isinstance(error, (ServiceError, ServiceGoesOn)) and error.operation.startswith("https:"):
                error.operation = self._known_again(error.operation)
            # it may go on, or have done a part; where it found a conflict itself it has done nothing
            if self._ended or (self._asked and not isinstance(error, TagConflict)):
                self._item.changes = tuple(replace(change, action=None) for change in self._item.changes)
            if isinstance(error, ServiceError):
                error.repository = self._job.targets[0].repository if error.origin == "target" else ""
                self._confirm(error)
            if isinstance(error, Cancelled) and self._cancellation.expired:
                raise TimedOut(self._job.deadline.seconds or 0.0) from error
            raise

    def _run(self) -> None:
        job, item = self._job, self._item
        look_first = job.options.dry_run or job.options.engine != "service"
        item.digest = item.source_digest = self._pinned(needed=look_first)
        before = named_now(job, self._request, item.digest)
        item.changes = changes(job, before, item.digest)
        if look_first:
            require_no_conflict(job, before, item.digest)
        targets: Sequence[Target] = lacking(job, before, item.digest) if look_first else job.targets
        if not targets:
            item.status = "unchanged"
        elif job.options.dry_run:
            require_target(job.target)
            require_right(job)
        elif job.options.no_wait:
            self._hand_over(targets)
        else:
            self._import(targets)
            self._compare(before)

    def _pinned(self, *, needed: bool) -> Digest | None:
        """What the source names now, if that can be read from here. Raises NotFound only where it is ``needed``."""
        if self._job.source and self._job.source.unseen:
            return None
        try:
            return self._request.source.resolve(self._request.identifier).digest
        except Cancelled:
            raise
        except EngineError as error:
            if needed and isinstance(error, (NotFound, CredentialError)):
                raise
            logger.info("The source cannot be read from here, so its digest is not known: %s", error)
            return None

    def _hand_over(self, targets: Sequence[Target]) -> None:
        operation = self._settled(targets, lambda left: self._begun(self._job.image, left))
        self._item.status = "accepted" if operation else "unchanged"
        self._outcome.checked = False
        if operation and operation.url:
            self._outcome.operation = self._known_again(operation.url)
        elif operation:
            self._item.notices += (UNNAMED,)

    def _known_again(self, url: str) -> str:
        """With all that ``az acr import-wait`` cannot find out afterwards."""
        job, item = self._job, self._item
        return with_facts(
            url,
            source=str(job.reference),
            registry=job.target.host,
            target=[target.name for target in job.targets],
            before=[UNKNOWN if change.action is None else str(change.before or NOTHING) for change in item.changes],
            digest=str(item.digest or ""),
        )

    def _import(self, targets: Sequence[Target]) -> None:
        job, item = self._job, self._item
        self._settled(targets, lambda left: self._wait_for(self._begun(job.image, left)))
        self._ended = True
        there = named_now(job, self._request, item.digest)
        if item.digest and self._has_newer(there):
            logger.warning("The source's tag has moved meanwhile: the image is imported again, by its digest.")
            by_digest = f"{job.image.partition('@')[0]}@{item.digest}"
            self._wait_for(self._begun(by_digest, lacking(job, there, item.digest), force=True))
            there = named_now(job, self._request, item.digest)
        # somebody else's by now, or never made
        require_no_conflict(job, there, item.digest)
        for target, digest in there.items():
            require_digest(target.name, digest, item.digest, job.target.host)
        self._outcome.checked = bool(there)
        if not there:
            item.notices += (UNCHECKED,)
        item.digest = item.digest or next(iter(there.values()), None)

    def _has_newer(self, there: Named) -> bool:
        """Whether the service has brought what the source's tag names by now, and nobody else has written there."""
        others = {digest for digest in there.values() if digest != self._item.digest}
        return bool(others) and None not in others and others == {self._pinned(needed=False)}

    def _settled(self, targets: Sequence[Target], do: Callable[[Sequence[Target]], T]) -> T | None:
        """Done for all of them, or, when the service found a tag in place, for those that lack the image.

        For it a tag in place is a conflict, whatever the tag names. Raises TagConflict where one names another image,
        and what the service said where that cannot be told from here.
        """
        job, digest = self._job, self._item.digest
        try:
            return do(targets)
        except ServiceError as error:
            if error.known.slug != "tag-conflict":
                raise
            there = named_now(job, self._request, digest)
            require_no_conflict(job, there, digest)
            left = lacking(job, there, digest)
            if digest is None or len(left) == len(job.targets):
                raise
            return do(left) if left else None

    def _begun(self, image: str, targets: Sequence[Target], *, force: bool | None = None) -> Operation:
        force = self._job.options.force if force is None else force
        operation = begun(self._job, image, targets, force=force, deadline=self._deadline)
        self._asked = True
        return operation

    def _wait_for(self, operation: Operation) -> None:
        waited(operation, self._deadline, self._view)

    def _compare(self, before: Named) -> None:
        """Tell what has become of it from what the targets named before."""
        item = self._item
        item.changes = changes(self._job, before, item.digest)
        if not lacking(self._job, before, item.digest):
            item.status = "unchanged"
            return
        moved = any(digest not in (None, item.digest) for digest in before.values())
        item.status = "updated" if moved else "copied"
        item.written = item.targets

    def _confirm(self, error: ServiceError) -> None:
        """Whether it is as the service says: of the source, by asking it; of the target, by ARM's network rules."""
        if error.origin == "target" and error.known.slug == "denied":
            error.sure = "confirmed" if self._job.target.closed else "likely"
        if error.origin != "source" or self._job.source is None:
            return
        try:
            self._request.source.resolve(self._request.identifier)
        except EngineError as seen:
            error.sure = "confirmed" if seen.code == error.code else "likely"
        else:
            error.sure = "likely"
