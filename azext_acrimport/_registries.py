# SPDX-License-Identifier: MIT
"""Which registry a text means: name, login server, resource ID, or a host outside Azure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from . import _errors
from .engine import is_registry_host

# The rule of the service for names, in the form that people meet it when they create a registry.
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]{3,48}[a-zA-Z0-9]")


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
    """Raises ResourceNotFoundError (exit code 3) when a name or an ID names nothing."""
    from azure.mgmt.core.tools import is_valid_resource_id, parse_resource_id

    if is_valid_resource_id(text):
        parts = parse_resource_id(text)
        return _get(cli_ctx, parts["resource_group"], parts["name"], parts["subscription"], side)
    host = text.lower().removeprefix("https://").rstrip("/")
    if is_registry_host(host) and not is_acr_host(cli_ctx, host):
        return Registry(host)
    if resource_group:
        return _get(cli_ctx, resource_group, host.split(".")[0], None, side)
    login_server = is_registry_host(host)
    if not login_server and not NAME.fullmatch(host):
        raise _errors.registry_name_invalid(text, side)
    for found in _list(cli_ctx):
        if (found.login_server or "").lower() == host or (not login_server and found.name.lower() == host):
            return _from_arm(found)
    if login_server:
        return Registry(host, is_acr=True)  # another subscription, a regional endpoint, or no right to list it
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
