# SPDX-License-Identifier: MIT
"""Which registry a text means: name, login server, resource ID, or a host outside Azure."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

from knack.log import get_logger

from ..engine import Ahead, EngineError, is_registry_host
from ..output import problem
from ..output.az_errors import asked_of_azure
from ..output.problem import ArmDenied, RegistryNotFound
from ..progress.amounts import counted
from .arm import asking, management_client
from .hosts import home_of, is_acr_host, suffix_of

logger = get_logger(__name__)

# As ARM tells it: one of everything that is read.
STATUS = {"status": "enabled"}
EXAMPLE = {
    "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/example",
    "sku": {"name": "Premium"},
    "properties": {
        "loginServer": "example.azurecr.io",
        "publicNetworkAccess": "Enabled",
        "roleAssignmentMode": "LegacyRegistryPermissions",
        "networkRuleSet": {"defaultAction": "Allow"},
        "policies": {
            "exportPolicy": STATUS,
            "azureADAuthenticationAsArmPolicy": STATUS,
            "softDeletePolicy": STATUS,
            "quarantinePolicy": STATUS,
        },
    },
}

# Subscriptions that are listed at once when a source is in none that az works with just now.
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry host, and what ARM told of it. ``is_acr``: the az login identity may be shown there.

    ``home``: the login server, where the host is one of its regional endpoints.
    ``subscription`` is None where it is not known: the active one is then as good as any for signing in.
    ``far``: in a subscription that az does not work with just now. ``unseen``: az cannot see what the resource ID
    names, so the host is a guess from its name.
    ``arm_tokens``: it takes tokens for Azure Resource Manager as well. ``by_repository``: it grants rights for single
    repositories (ABAC), which other roles hold; None when ARM has not told. ``soft_delete``, ``quarantine``: policies.
    ``closed``: not open to every network. ``untold``: why ARM could not be asked.
    """

    host: str
    is_acr: bool = False
    home: str = ""
    subscription: str | None = None
    resource_id: str = ""
    far: bool = False
    unseen: bool = False
    sku: str = ""
    export_disabled: bool = False
    arm_tokens: bool = False
    by_repository: bool | None = None
    soft_delete: bool = False
    quarantine: bool = False
    closed: bool = False
    untold: EngineError | None = field(default=None, compare=False)

    @property
    def login_server(self) -> str:
        """The host, or the login server behind its regional endpoint."""
        return self.home or self.host

    def keeps_from(self, target: Registry) -> bool:
        """Whether its export policy forbids to import from it into this one; into itself, by any name, it does not."""
        return self.export_disabled and self.login_server != target.login_server


class Directory:
    """Looks registries up, in any thread. The active subscription is listed once, for the target and for the source."""

    def __init__(self, cli_ctx: Any) -> None:
        self._cli_ctx = cli_ctx
        # set when all is loaded that asks ARM, and it is being asked
        self.is_asking = threading.Event()
        self._making = threading.Lock()
        self._listing = threading.Lock()
        self._listed: list[Registry] | EngineError | None = None

    def find_target(self, text: str, resource_group: str | None = None) -> Registry:
        """``text``: a validated name, host or ID. Raises RegistryNotFound (exit code 3) when it names nothing.

        Of a host outside Azure ARM is not asked. ``resource_group``: where it must be, as with core.
        """
        if text.startswith("/"):
            return self._by_id(text, "target")
        if not self._may_be_acr(text):
            return Registry(text)
        if is_registry_host(text):
            return self._by_host(text, partial(self._list, resource_group, "target"), resource_group)
        if resource_group:
            return self._get(resource_group, text, None, "target")
        found = _named(text, self._list(None, "target"))
        if found is None:
            raise self._not_found(text, "target", f"subscription {self._active()}")
        return found

    def find_source(self, text: str) -> Registry:
        """As for the target; besides, all subscriptions of the profile are looked through, and an ID may be unseen."""
        if text.startswith("/"):
            return self._by_id_or_as_typed(text)
        if not self._may_be_acr(text):
            return Registry(text)
        if is_registry_host(text):
            return self._by_host(text, self._everywhere)
        found = _named(text, self._everywhere())
        if found is None:
            others = len(self._other_subscriptions())
            also = f" and in {counted(others, 'other subscription')}" if others else ""
            raise self._not_found(text, "source", f"subscription {self._active()}{also}")
        return found

    def _by_host(
        self, host: str, listed: Callable[[], Iterable[Registry]], resource_group: str | None = None
    ) -> Registry:
        """Not found: in another subscription, or no right to list it; the data plane will tell."""
        home = home_of(self._cli_ctx, host)
        known = Registry(host, is_acr=is_acr_host(self._cli_ctx, host))
        try:
            known = next((found for found in listed() if found.host == (home or host)), known)
        except EngineError as error:
            if resource_group and isinstance(error, RegistryNotFound):
                raise  # there is no such group
            logger.info("%s is not looked up: %s", host, error)
            known = replace(known, untold=None if isinstance(error, ArmDenied) else error)
        else:
            if resource_group and not known.resource_id:
                where = f"resource group '{resource_group}' of subscription {self._active()}"
                raise self._not_found(host, "target", where)
        return replace(known, host=host, home=home) if home else known

    def _by_id(self, resource_id: str, side: str) -> Registry:
        from azure.mgmt.core.tools import parse_resource_id

        parts = parse_resource_id(resource_id)
        return self._get(parts["resource_group"], parts["name"], parts["subscription"], side)

    def _by_id_or_as_typed(self, resource_id: str) -> Registry:
        """Core passes on what az cannot see: the service may see it."""
        from azure.mgmt.core.tools import parse_resource_id

        parts = parse_resource_id(resource_id)
        known = {account["id"].lower() for account in self._subscriptions()}
        try:
            if parts["subscription"].lower() in known:
                return self._by_id(resource_id, "source")
        except ArmDenied as error:
            logger.info("%s", error)
        host = f"{parts['name'].lower()}{suffix_of(self._cli_ctx)}"
        return Registry(host, is_acr=True, resource_id=resource_id, unseen=True)

    def _may_be_acr(self, text: str) -> bool:
        """False for a host that ARM knows nothing of; where the cloud has no suffix only ports tell."""
        if not is_registry_host(text):
            return True
        return is_acr_host(self._cli_ctx, text) if suffix_of(self._cli_ctx) else ":" not in text

    def _list(self, resource_group: str | None, side: str) -> list[Registry]:
        """Of the active subscription. Raises what keeps ARM from telling."""
        if resource_group:
            with asked_of_azure(), asking(f"the registries of resource group '{resource_group}'", side):
                listed = self._client(None).registries.list_by_resource_group(resource_group)
                return [_from_arm(found) for found in listed]
        with self._listing:
            if self._listed is None:
                try:
                    self._listed = self._list_subscription(None, side)
                except EngineError as error:
                    self._listed = error
        if isinstance(self._listed, EngineError):
            raise self._listed
        return self._listed

    def _everywhere(self) -> Iterable[Registry]:
        """The active subscription first; what another one does not tell is as if it were not there."""
        failure: EngineError | None = None
        try:
            yield from self._list(None, "source")
        except EngineError as error:
            failure = error
        with asked_of_azure():
            others = self._other_subscriptions()
        for start in range(0, len(others), AT_ONCE):
            some = [Ahead(partial(self._list_quietly, other)) for other in others[start : start + AT_ONCE]]
            for listing in some:
                yield from listing.result()
        if failure:
            raise failure

    def _list_quietly(self, subscription: str) -> list[Registry]:
        try:
            return [replace(found, far=True) for found in self._list_subscription(subscription, "source")]
        except EngineError as error:
            logger.info("Subscription %s is not looked through: %s", subscription, error)
            return []

    def _list_subscription(self, subscription: str | None, side: str) -> list[Registry]:
        with asked_of_azure(), asking("the registries of the subscription", side):
            return [_from_arm(found) for found in self._client(subscription).registries.list()]

    def _get(self, resource_group: str, name: str, subscription: str | None, side: str) -> Registry:
        with asked_of_azure(), asking(f"the {side} registry '{name}'", side):
            return _from_arm(self._client(subscription).registries.get(resource_group, name))

    def _client(self, subscription: str | None) -> Any:
        """Made by one thread at a time: az imports the SDK on the way."""
        with self._making:
            client = management_client(self._cli_ctx, subscription)
            prepare_models()
        self.is_asking.set()
        return client

    def _subscriptions(self) -> list[dict[str, Any]]:
        from azure.cli.core._profile import Profile

        return list(Profile(cli_ctx=self._cli_ctx).load_cached_subscriptions())

    def _other_subscriptions(self) -> list[str]:
        active = self._active_account().get("id")
        return [account["id"] for account in self._subscriptions() if account["id"] != active]

    def _active_account(self) -> dict[str, Any]:
        from azure.cli.core._profile import Profile

        chosen = self._cli_ctx.data.get("subscription_id")
        account: dict[str, Any] = Profile(cli_ctx=self._cli_ctx).get_subscription(chosen)
        return account

    def _active(self) -> str:
        account = self._active_account()
        return f"'{account['name']}' ({account['id']})"

    def _not_found(self, name: str, side: str, looked_in: str) -> RegistryNotFound:
        suffix = "" if is_registry_host(name) else suffix_of(self._cli_ctx)
        return problem.registry_not_found(name, side, looked_in, f"{name}{suffix}" if suffix else "")


@cache
def prepare_models() -> None:
    """The SDK finds out what a model holds when the first one is made, and two threads that do so at once get it wrong.

    The models of older az know it from the start; they are elsewhere, and not imported just for this.
    """
    model = getattr(sys.modules.get("azure.mgmt.containerregistry.models"), "Registry", None)
    if isinstance(model, type) and issubclass(model, Mapping):
        _from_arm(model(EXAMPLE))


def _named(name: str, listed: Iterable[Registry]) -> Registry | None:
    """By the name in its resource ID: a login server may have a hash behind the name."""
    return next((found for found in listed if found.resource_id.rpartition("/")[2].lower() == name), None)


def _from_arm(found: Any) -> Registry:
    from azure.mgmt.core.tools import parse_resource_id

    def policy(name: str) -> str:
        return _text(getattr(getattr(found.policies, name, None), "status", None))

    mode = _text(getattr(found, "role_assignment_mode", None))
    rules = getattr(found, "network_rule_set", None)
    return Registry(
        (found.login_server or "").lower(),
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
