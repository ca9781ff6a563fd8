# SPDX-License-Identifier: MIT
"""One importImage: the request that core's command would send, the refusal understood, the operation waited for."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from ..job.job import Job
from ..output import errors
from ..output.catalogue import CATALOGUE, Known, ServiceError, ServiceGoesOn, understand
from ..output.progress import ProgressView
from ..registries.directory import Registry, management_client
from .operation import Operation, begin

IMPORT = "microsoft.containerregistry/registries/importimage/action"
MANAGED = ("basic", "standard", "premium")


def require_target(target: Registry) -> None:
    """The service imports into registries that ARM shows us, and that are not classic ones."""
    if not target.resource_id:
        raise ServiceError(
            _row("registry-not-found", "target"), "target", f"{target.host} was not found.", target=target.host
        )
    if target.sku.lower() not in MANAGED:
        raise errors.unmanaged(target.host)


def begun(
    job: Job, image: str, tags: Sequence[str], repositories: Sequence[str], *, force: bool, timeout: float | None
) -> Operation:
    """Ask for the import, with the request that core's command sends for the same options."""
    from azure.core.exceptions import HttpResponseError
    from azure.mgmt.containerregistry.models import ImportImageParameters, ImportSource, ImportSourceCredentials

    target = job.target
    require_target(target)
    assert job.source
    where: dict[str, Any] = {"resource_id": job.source.resource_id}
    if job.options.password or not job.source.resource_id:
        where = {"registry_uri": job.source.home or job.source.host}
    if job.options.password:
        where["credentials"] = ImportSourceCredentials(username=job.options.username, password=job.options.password)
    parameters = ImportImageParameters(
        source=ImportSource(source_image=image, **where),
        target_tags=list(tags) or None,
        untagged_target_repositories=list(repositories) or None,
        mode="Force" if force else "NoForce",
    )
    client = management_client(job.cli_ctx, target.resource_id.split("/")[2])
    try:
        return begin(client, target.resource_id, parameters, timeout, **_names(job))
    except HttpResponseError as error:
        raise _understood(error, job) from None


def require_right(job: Job) -> None:
    """For a dry run: raise ServiceError when ARM's own list of what we may do says that the service would refuse us.

    https://learn.microsoft.com/rest/api/authorization/permissions/list-for-resource
    """
    from azure.core.exceptions import AzureError
    from azure.core.rest import HttpRequest

    arm = job.cli_ctx.cloud.endpoints.resource_manager.rstrip("/")
    url = f"{arm}{job.target.resource_id}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01"
    client = management_client(job.cli_ctx, job.target.resource_id.split("/")[2])
    try:
        roles = client.send_request(HttpRequest("GET", url)).json()["value"]
        allowed = any(_holds(role.get("actions")) and not _holds(role.get("notActions")) for role in roles)
    except (AzureError, ValueError, KeyError, TypeError, AttributeError):
        return  # not everybody may ask this; the import itself will tell
    if not allowed:
        raise ServiceError(_row("role-missing", "target"), "target", "", target=job.target.host)


def _holds(actions: Any) -> bool:
    return any(fnmatchcase(IMPORT, str(action).lower()) for action in actions or ())


def _understood(error: Any, job: Job) -> ServiceError:
    inner = getattr(error, "error", None)
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    return understand(
        str(getattr(inner, "message", None) or error.message),
        arm_code=str(getattr(inner, "code", None) or error.status_code or ""),
        request_id=headers.get("x-ms-correlation-request-id", ""),
        **_names(job),
    )


def waited(operation: Operation, timeout: float | None, view: ProgressView) -> dict[str, Any]:
    """Its last answer. Ctrl-C ends the waiting, never the import."""
    try:
        return operation.wait(timeout, view.waiting)
    except KeyboardInterrupt:
        raise ServiceGoesOn(operation.url) from None


def _names(job: Job) -> dict[str, str]:
    return {"source": job.source.host if job.source else "", "target": job.target.host}


def _row(slug: str, side: str) -> Known:
    return next(row for row in CATALOGUE if (row.slug, row.side) == (slug, side))
