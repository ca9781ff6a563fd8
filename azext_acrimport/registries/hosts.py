# SPDX-License-Identifier: MIT
"""What a host's name tells: an Azure container registry of the active cloud, the home of a regional endpoint."""

from __future__ import annotations

from typing import Any

from ..engine import InvalidReference, Reference, is_registry_host


def plain_host(text: str) -> str:
    """A registry's host in its one form: Docker Hub by one name, https without its port; empty for what is none."""
    try:
        return Reference.parse(f"{text}/any").registry if is_registry_host(text) else ""
    except InvalidReference:  # longer than any host
        return ""


def suffix_of(cli_ctx: Any) -> str:
    """``.azurecr.io`` in the public cloud, with its dot; empty where a custom cloud has none."""
    from azure.cli.core.cloud import CloudSuffixNotSetException

    try:
        return f".{cli_ctx.cloud.suffixes.acr_login_server_endpoint.lower().lstrip('.')}"
    except CloudSuffixNotSetException:
        return ""


def is_acr_host(cli_ctx: Any, host: str) -> bool:
    """True for a host under the active cloud's registry suffix, written without a port."""
    suffix = suffix_of(cli_ctx)
    return bool(suffix) and host.endswith(suffix) and len(host) > len(suffix)


def same_registry(cli_ctx: Any, one: str, other: str) -> bool:
    """Whether both mean one registry, each by its name, a login server, with a label's hash, an endpoint or its ID."""
    name = _name_of(cli_ctx, one)
    return one == other or (bool(name) and name == _name_of(cli_ctx, other))


def _name_of(cli_ctx: Any, text: str) -> str:
    """The name of a container registry, in which there is no hyphen; empty for any other registry."""
    name, dot, _ = text.rpartition("/")[2].lower().partition(".")
    named = not dot and ":" not in name
    return name.partition("-")[0] if named or is_acr_host(cli_ctx, text.lower()) else ""


def most_likely_host(cli_ctx: Any, text: str) -> str:
    """That of the container registry with this name, login server or resource ID; empty where none is to be guessed."""
    name, suffix = text.rpartition("/")[2].lower(), suffix_of(cli_ctx)
    if is_acr_host(cli_ctx, name):
        return name
    return "" if "." in name or ":" in name or not suffix else f"{name}{suffix}"


def home_of(cli_ctx: Any, host: str) -> str:
    """The login server behind a regional endpoint ``registry.region.geo.azurecr.io``; empty for any other host."""
    suffix = suffix_of(cli_ctx)
    labels = host.removesuffix(f".geo{suffix}").split(".") if suffix and host.endswith(f".geo{suffix}") else []
    return f"{labels[0]}{suffix}" if len(labels) == 2 and all(labels) else ""
