# SPDX-License-Identifier: MIT
"""Which registry a text means: name, login server, resource ID, or a host outside Azure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from . import _errors
from .engine import is_registry_host


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry host, and what ARM told of it. ``is_acr``: the az login identity may be shown there.

    ``subscription`` is None where it is not known: the active one is then as good as any for signing in.
    """

    host: str
    is_acr: bool = False
    subscription: str | None = None
    export_disabled: bool = False


def find_registry(cli_ctx: Any, text: str, resource_group: str | None, side: str) -> Registry:
    """``text``: a validated name, host or ID. Raises ResourceNotFoundError (exit code 3) when it names nothing."""
    from azure.mgmt.core.tools import is_valid_resource_id, parse_resource_id

    if is_valid_resource_id(text):
        parts = parse_resource_id(text)
        return _get(cli_ctx, parts["resource_group"], parts["name"], parts["subscription"], side)
    login_server = is_registry_host(text)
    if login_server and not is_acr_host(cli_ctx, text):
        return Registry(text)
    if resource_group:
        return _get(cli_ctx, resource_group, text.partition(".")[0], None, side)
    for found in _list(cli_ctx):
        if (found.login_server or "").lower() == text or (not login_server and found.name.lower() == text):
            return _from_arm(found)
    if login_server:
        return Registry(text, is_acr=True)  # another subscription, a regional endpoint, or no right to list it
    raise _errors.registry_not_found(cli_ctx, text, side)


def find_source(cli_ctx: Any, host: str, target: Registry) -> Registry:
    """The registry that a source reference names by its host. ARM is not asked: the data plane will answer."""
    if host == target.host:
        return target
    return Registry(host, is_acr=is_acr_host(cli_ctx, host))


def is_acr_host(cli_ctx: Any, host: str) -> bool:
    """True for a host under the active cloud's registry suffix, written without a port."""
    from azure.cli.core.cloud import CloudSuffixNotSetException

    try:
        suffix = cli_ctx.cloud.suffixes.acr_login_server_endpoint
    except CloudSuffixNotSetException:
        return False
    suffix = f".{suffix.lower().lstrip('.')}"
    return host.endswith(suffix) and len(host) > len(suffix)


def _client(cli_ctx: Any, subscription: str | None) -> Any:
    from azure.cli.core.commands.client_factory import get_mgmt_service_client
    from azure.cli.core.profiles import ResourceType

    return get_mgmt_service_client(
        cli_ctx, ResourceType.MGMT_CONTAINERREGISTRY, subscription_id=subscription
    ).registries


def _list(cli_ctx: Any) -> Iterable[Any]:
    return _client(cli_ctx, None).list()


def _get(cli_ctx: Any, resource_group: str, name: str, subscription: str | None, side: str) -> Registry:
    from azure.core.exceptions import HttpResponseError

    try:
        return _from_arm(_client(cli_ctx, subscription).get(resource_group, name))
    except HttpResponseError as error:
        raise _errors.arm_error(error, name, side) from error


def _from_arm(found: Any) -> Registry:
    from azure.mgmt.core.tools import parse_resource_id

    export = getattr(getattr(found.policies, "export_policy", None), "status", None) if found.policies else None
    return Registry(
        found.login_server.lower(),
        is_acr=True,
        subscription=parse_resource_id(found.id)["subscription"],
        export_disabled=str(getattr(export, "value", export)).lower() == "disabled",
    )
