# SPDX-License-Identifier: MIT
"""Which registry a text means: name, login server, resource ID, or a host outside Azure."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any

from ..engine import is_registry_host
from ..output import errors


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry host, and what ARM told of it. ``is_acr``: the az login identity may be shown there.

    ``home``: the login server, where the host is one of its regional endpoints.
    ``subscription`` is None where it is not known: the active one is then as good as any for signing in.
    ``arm_tokens``: it takes tokens for Azure Resource Manager as well. ``by_repository``: it grants rights for single
    repositories (ABAC), which other roles hold; None when ARM has not told. ``soft_delete``, ``quarantine``: policies.
    ``closed``: not open to every network.
    """

    host: str
    is_acr: bool = False
    home: str = ""
    subscription: str | None = None
    resource_id: str = ""
    sku: str = ""
    export_disabled: bool = False
    arm_tokens: bool = False
    by_repository: bool | None = None
    soft_delete: bool = False
    quarantine: bool = False
    closed: bool = False

    @property
    def login_server(self) -> str:
        """The host, or the login server behind its regional endpoint."""
        return self.home or self.host


class Directory:
    """Looks registries up, in any thread. The subscription is listed once, for the target and for the source."""

    def __init__(self, cli_ctx: Any) -> None:
        self._cli_ctx = cli_ctx
        self._making = threading.Lock()
        self._listing = threading.Lock()
        self._listed: list[Any] | None = None

    def find(self, text: str, side: str, resource_group: str | None = None) -> Registry:
        """``text``: a validated name, host or ID. Raises ResourceNotFoundError (exit code 3) when it names nothing."""
        from azure.cli.core._profile import Profile
        from azure.mgmt.core.tools import is_valid_resource_id, parse_resource_id

        if is_valid_resource_id(text):
            parts = parse_resource_id(text)
            return self._get(parts["resource_group"], parts["name"], parts["subscription"], side)
        if self._is_outside(text):
            return Registry(text)
        login_server = is_registry_host(text)
        if resource_group:
            return self._get(resource_group, text.partition(".")[0], None, side)
        home = home_of(self._cli_ctx, text)
        found = self._find_listed(home or text, side, by_name=not login_server)
        if found is None and not login_server:
            subscription = Profile(cli_ctx=self._cli_ctx).get_subscription()
            raise errors.registry_not_found(self._cli_ctx, text, side, subscription)
        # not found: in another subscription, or no right to list it; the data plane will tell
        found = found or Registry(text, is_acr=True)
        return replace(found, host=text, home=home) if home else found

    def find_source(self, host: str, target: str) -> Registry:
        """The registry that a source reference names by its host. For a target outside Azure, ARM is not asked."""
        if is_acr_host(self._cli_ctx, host) and not self._is_outside(target):
            return self.find(host, "source")
        return Registry(host, is_acr=is_acr_host(self._cli_ctx, host), home=home_of(self._cli_ctx, host))

    def _find_listed(self, text: str, side: str, *, by_name: bool) -> Registry | None:
        from azure.core.exceptions import HttpResponseError

        with self._listing:
            if self._listed is None:
                try:
                    self._listed = list(self._client(None).registries.list())
                except HttpResponseError as error:
                    if by_name:
                        raise errors.arm_error(error, text, side) from error
                    self._listed = []
        for found in self._listed:
            if (found.login_server or "").lower() == text or (by_name and found.name.lower() == text):
                return _from_arm(found)
        return None

    def _get(self, resource_group: str, name: str, subscription: str | None, side: str) -> Registry:
        from azure.core.exceptions import HttpResponseError

        try:
            return _from_arm(self._client(subscription).registries.get(resource_group, name))
        except HttpResponseError as error:
            raise errors.arm_error(error, name, side) from error

    def _client(self, subscription: str | None) -> Any:
        """Made by one thread at a time: az imports the SDK on the way."""
        with self._making:
            return management_client(self._cli_ctx, subscription)

    def _is_outside(self, text: str) -> bool:
        """True for a host that ARM knows nothing of."""
        return is_registry_host(text) and not is_acr_host(self._cli_ctx, text)


def is_acr_host(cli_ctx: Any, host: str) -> bool:
    """True for a host under the active cloud's registry suffix, written without a port."""
    suffix = _suffix(cli_ctx)
    return bool(suffix) and host.endswith(suffix) and len(host) > len(suffix)


def home_of(cli_ctx: Any, host: str) -> str:
    """The login server behind a regional endpoint ``registry.region.geo.azurecr.io``; empty for any other host."""
    suffix = _suffix(cli_ctx)
    labels = host.removesuffix(f".geo{suffix}").split(".") if suffix and host.endswith(f".geo{suffix}") else []
    return f"{labels[0]}{suffix}" if len(labels) == 2 and all(labels) else ""


def _suffix(cli_ctx: Any) -> str:
    """With its dot; empty where a custom cloud has none."""
    from azure.cli.core.cloud import CloudSuffixNotSetException

    try:
        return f".{cli_ctx.cloud.suffixes.acr_login_server_endpoint.lower().lstrip('.')}"
    except CloudSuffixNotSetException:
        return ""


def management_client(cli_ctx: Any, subscription: str | None) -> Any:
    """The management SDK's client for container registries, signed in as az is."""
    from azure.cli.core.commands.client_factory import get_mgmt_service_client
    from azure.cli.core.profiles import ResourceType

    return get_mgmt_service_client(cli_ctx, ResourceType.MGMT_CONTAINERREGISTRY, subscription_id=subscription)


def _from_arm(found: Any) -> Registry:
    from azure.mgmt.core.tools import parse_resource_id

    def policy(name: str) -> str:
        return _text(getattr(getattr(found.policies, name, None), "status", None))

    mode = _text(getattr(found, "role_assignment_mode", None))
    rules = getattr(found, "network_rule_set", None)
    return Registry(
        found.login_server.lower(),
        is_acr=True,
        subscription=parse_resource_id(found.id)["subscription"],
        resource_id=found.id,
        sku=_text(found.sku.name) if found.sku else "",
        export_disabled=policy("export_policy") == "disabled",
        arm_tokens=policy("azure_ad_authentication_as_arm_policy") == "enabled",
        by_repository=mode.startswith("abac") if mode else None,
        soft_delete=policy("soft_delete_policy") == "enabled",
        quarantine=policy("quarantine_policy") == "enabled",
        closed=_text(found.public_network_access) == "disabled" or _text(rules and rules.default_action) == "deny",
    )


def _text(value: Any) -> str:
    """ARM's words in lower case: it has written the same one in more than one way."""
    return str(getattr(value, "value", value) or "").lower()
