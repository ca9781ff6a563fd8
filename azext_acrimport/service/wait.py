# SPDX-License-Identifier: MIT
"""The end of an import that was handed over to the service with ``--no-wait``: waited for, and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Any
from urllib.parse import urlsplit

from ..engine import (
    Digest,
    EngineError,
    InvalidReference,
    ItemResult,
    is_registry_host,
    parse_repository_tag,
)
from ..job.job import Outcome, facts_of
from ..output.az_errors import az_errors
from ..output.catalogue import TIMED_OUT
from ..output.service_error import ServiceError, ServiceGoesOn
from ..progress.view import ProgressView
from ..registries.arm import Arm, own_address
from ..registries.deadline import Deadline
from .operation import Operation
from .request import waited
from .targets import UNCHECKED, UNKNOWN, change_since, readable, require_digest


def wait_for(
    cli_ctx: Any, text: str, view: ProgressView, deadline: Deadline, target_of: Callable[[str], Any]
) -> tuple[Outcome, dict[str, str | None]]:
    """The end of an operation that was started before, and source and registry as far as it is known.

    ``target_of``: from a registry to a context manager of a function from a repository to what reads there. Raises
    ValueError for a URL that is none of ARM's.
    """
    named, facts = facts_of(text)
    url, subscription = _parted(named, cli_ctx.cloud.endpoints.resource_manager)
    source, registry = (facts.get(name, [None])[0] for name in ("source", "registry"))
    try:
        item = _handed_over(source or "", facts)
        targets = [parse_repository_tag(name)[:2] for name in item.targets]
        if registry and not is_registry_host(registry):
            raise ValueError(registry)
    except (ValueError, InvalidReference):
        said = "What stands behind # in the operation is not what --no-wait returned."
        raise ValueError(
            said, "Give the operation as it was returned, in quotes, or without # and what follows."
        ) from None
    outcome = Outcome(item, "service", "it was handed over to the service", checked=False)
    try:
        with az_errors():
            body = waited(Operation(Arm(cli_ctx, subscription), url, target=registry or ""), deadline, view)
        tags = tuple(name for name, state in body.items() if name != "status" and isinstance(state, str))
        item.targets = item.written = item.targets or tags
        if registry and targets:
            with target_of(registry) as store_of:
                outcome.checked = _are_there(item, targets, store_of, registry)
        item.status = "updated" if any(change.action == "move" for change in item.changes) else "copied"
        if not outcome.checked:
            item.notices += (UNCHECKED,)
    except EngineError as error:
        item.changes = tuple(replace(change, action=None) for change in item.changes)
        item.end_with(error)
        if isinstance(error, (ServiceError, ServiceGoesOn)) and error.operation.startswith("https:"):
            error.operation = f"{error.operation}#{text.partition('#')[2]}".rstrip("#")
        if isinstance(error, ServiceError) and error.known is TIMED_OUT:
            item.status = "cancelled"
    return outcome, {"source": source, "registry": registry}


def _parted(named: str, endpoint: str) -> tuple[str, str]:
    """The address of an operation, and its subscription. Raises ValueError for what is none of this Azure's."""
    try:
        url = own_address(named, endpoint)
        path = urlsplit(url).path.split("/")
    except ValueError:
        path = []
    if not {"operationResults", "operationStatuses"} & set(path) or path[1].lower() != "subscriptions":
        arm = urlsplit(endpoint).netloc
        raise ValueError(f"'{named}' is not an operation of {arm}.", "Give the operation that --no-wait returned.")
    return url, path[2]


def _handed_over(source: str, facts: Mapping[str, Sequence[str]]) -> ItemResult:
    """The import as it was begun, as far as the operation's address tells. Raises ValueError, InvalidReference."""
    item = ItemResult(source, tuple(facts.get("target", ())), referrers=None)
    item.digest = item.source_digest = Digest.parse(facts["digest"][0]) if "digest" in facts else None
    before = facts.get("before", [UNKNOWN] * len(item.targets))
    item.changes = tuple(map(change_since, item.targets, before, repeat(item.digest)))
    return item


def _are_there(
    item: ItemResult, targets: Sequence[tuple[str, str | None]], store_of: Callable[[str], Any], registry: str
) -> bool:
    """Whether the targets could be looked at. Raises ServiceError when one names something else."""
    looked = False
    for repository, tag in targets:
        name = f"{repository}:{tag}" if tag else repository
        with readable():
            if tag or item.digest:
                found = store_of(repository).find(tag or str(item.digest))
                require_digest(name, found.digest if found else None, item.source_digest, registry)
                item.digest, looked = found.digest if found else None, True
    return looked
