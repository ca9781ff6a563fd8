# SPDX-License-Identifier: MIT
"""One importImage: the request that core's command would send, the refusal understood, the operation waited for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from .._options import Target
from ..job.job import Job
from ..output import problem
from ..output.az_errors import asked_of_azure
from ..output.catalogue import CATALOGUE, UNREACHABLE, Known
from ..output.service_error import ServiceError, ServiceGoesOn, understand
from ..progress.view import ProgressView
from ..registries.arm import Arm, is_page, management_client
from ..registries.deadline import Deadline
from ..registries.directory import Registry
from .operation import Operation, begin

IMPORT = "microsoft.containerregistry/registries/importimage/action"
MANAGED = ("basic", "standard", "premium")


def require_target(target: Registry) -> None:
    """The service imports into registries that ARM shows us, and that are not classic ones."""
    if not target.resource_id:
        raise target.untold or ServiceError(
            _row("registry-not-found", "target"), "target", f"{target.host} was not found.", registry=target.host
        )
    if target.sku.lower() not in MANAGED:
        raise problem.classic_registry(target.host)


def begun(job: Job, image: str, targets: Sequence[Target], *, force: bool, deadline: Deadline) -> Operation:
    """Ask for the import, with the request that core's command sends for the same options."""
    from azure.core.exceptions import HttpResponseError

    target = job.target
    require_target(target)
    assert job.source
    name, at, digest = image.partition("@")
    image = f"{name.partition(':')[0]}@{digest}" if at else name  # it takes one of them
    source: dict[str, Any] = {"resourceId": job.source.resource_id, "sourceImage": image}
    # core knows the registries of one subscription, and who names this engine gets core's request
    as_core = job.source.far and job.options.engine == "service" and job.options.source_image.location
    if job.options.password or not job.source.resource_id or as_core:
        source = {"registryUri": job.registry_as_typed, "sourceImage": image}
    if job.options.password:
        source["credentials"] = {"username": job.options.username, "password": job.options.password}
        if not job.options.username:
            del source["credentials"]["username"]
    # a tag that is left out is the source's to it, or latest, and there may be none beside a digest
    tags = [place.typed if place.tag == "latest" else place.name for place in targets if place.tag]
    untagged = [place.repository for place in targets if not place.tag]
    parameters = {
        "source": source,
        **({"targetTags": tags} if tags else {}),
        **({"untaggedTargetRepositories": untagged} if untagged else {}),
        "mode": "Force" if force else "NoForce",
    }
    _, _, subscription, _, group, *_, name = target.resource_id.split("/")
    with asked_of_azure():
        client = management_client(job.cli_ctx, subscription)

    def ask() -> Any:
        # the SDK would wait by itself as long as it is asked to, whatever our caller's patience; as bytes, since models
        # and their places differ from version to version; unlogged, since there may be a password in it
        with asked_of_azure():
            return client.registries.begin_import_image(
                group.lower(),
                name,
                json.dumps(parameters).encode(),
                polling=False,
                cls=lambda response, *_: response.http_response,
                retry_total=0,
                logging_enable=False,
            ).result()

    try:
        return begin(ask, Arm(job.cli_ctx, subscription), deadline, job.quiet, **_names(job))
    except HttpResponseError as error:
        raise _understood(error, job) from None


def require_right(job: Job) -> None:
    """For a dry run: raise ServiceError when ARM's own list of what we may do says that the service would refuse us.

    https://learn.microsoft.com/rest/api/authorization/permissions/list-for-resource
    """
    from azure.core.exceptions import AzureError

    base = job.cli_ctx.cloud.endpoints.resource_manager.rstrip("/")
    url = f"{base}{job.target.resource_id}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01"
    arm = Arm(job.cli_ctx, job.target.resource_id.split("/")[2])
    try:
        _, _, text = job.deadline.wait_for(lambda: arm.get(url))
        roles = json.loads(text)["value"]
        allowed = any(_holds(role.get("actions")) and not _holds(role.get("notActions")) for role in roles)
    except (AzureError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return  # not everybody may ask this; the import itself will tell
    if not allowed:
        raise ServiceError(_row("role-missing", "target"), "target", "", registry=job.target.host)


def _holds(actions: Any) -> bool:
    return any(fnmatchcase(IMPORT, str(action).lower()) for action in actions or ())


def _understood(error: Any, job: Job) -> ServiceError:
    inner = getattr(error, "error", None)
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    status = error.status_code or 0
    if 300 <= status < 400 or status == 407 or (status == 403 and is_page(error.response)):
        return ServiceError(UNREACHABLE, "arm", f"Something else answered in its place, with {status}.")
    return understand(
        str(getattr(inner, "message", None) or error.message),
        arm_code=str(getattr(inner, "code", None) or error.status_code or ""),
        request_id=headers.get("x-ms-correlation-request-id", ""),
        **_names(job),
    )


def waited(operation: Operation, deadline: Deadline, view: ProgressView) -> dict[str, Any]:
    """Its last answer. Ctrl-C ends the waiting, never the import."""
    try:
        with view.operation() as heard:
            return operation.wait(deadline, heard)
    except KeyboardInterrupt:
        raise ServiceGoesOn(operation.url) from None


def _names(job: Job) -> dict[str, str]:
    return {"source": job.source.host if job.source else "", "target": job.target.host}


def _row(slug: str, side: str) -> Known:
    return next(row for row in CATALOGUE if (row.slug, row.side) == (slug, side))
