# SPDX-License-Identifier: MIT
"""Who and what there is: tenants, subscriptions, people, registries, rights. Tests may change all of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

TENANT = "11111111-1111-1111-1111-111111111111"
SUBSCRIPTION = "22222222-2222-2222-2222-222222222222"
OTHER_SUBSCRIPTION = "33333333-3333-3333-3333-333333333333"
# of somebody else: nobody here has signed in there
FOREIGN_TENANT = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
FOREIGN_SUBSCRIPTION = "44444444-4444-4444-4444-444444444444"

PULL = frozenset({"pull", "metadata_read"})
PUSH = PULL | {"push", "metadata_write"}
ALL = PUSH | {"delete", "deleted_read", "deleted_restore", "catalog"}


@dataclass(frozen=True)
class Principal:
    """A service principal, a managed identity or a user. ``id`` is the client id, or the object id of a user."""

    id: str
    name: str
    secret: str
    kind: str = "servicePrincipal"
    tenant: str = TENANT


OWNER = Principal("55555555-5555-5555-5555-555555555555", "sandbox-owner", "sandbox-secret")
READER = Principal("66666666-6666-6666-6666-666666666666", "sandbox-reader", "reader-secret")
STRANGER = Principal("77777777-7777-7777-7777-777777777777", "sandbox-stranger", "stranger-secret")
IDENTITY = Principal("88888888-8888-8888-8888-888888888888", "sandbox-identity", "", kind="managedIdentity")
FOREIGNER = Principal("bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb", "foreigner", "foreign-secret", tenant=FOREIGN_TENANT)
USER = Principal("99999999-9999-9999-9999-999999999999", "dev@sandbox.test", "user-secret", kind="user")


@dataclass
class AzureRegistry:
    """One container registry as ARM describes it, and the switches that its data plane obeys.

    ``acr_tokens``, ``arm_tokens``: the audiences whose Entra tokens are exchanged. ``users``: passwords of
    repository-scoped tokens, by name. ``deleted``: "repository@digest" of manifests that soft delete keeps.
    """

    name: str
    subscription: str = SUBSCRIPTION
    resource_group: str = "sandbox"
    tenant: str = TENANT
    sku: str = "Premium"
    admin_password: str = ""
    public: bool = True
    anonymous_pull: bool = False
    abac: bool = False
    export_enabled: bool = True
    trusted_services: bool = True
    acr_tokens: bool = True
    arm_tokens: bool = True
    quarantine: bool = False
    soft_delete: bool = False
    # whether a manifest with a subject is answered with OCI-Subject: the real one was not seen to do it, nor not to
    tells_subject: bool = True
    # the referrers API, and how often an identity may ask it in 60 seconds
    referrers: bool = True
    referrers_limit: int = 250
    deleted: set[str] = field(default_factory=set)
    users: dict[str, str] = field(default_factory=dict)
    login_server: str = ""
    token_lifetime: float = 4500.0
    refresh_lifetime: float = 11700.0
    # locked: "repository", "repository:tag" or "repository@digest" with writeEnabled false
    attributes: dict[str, dict[str, bool]] = field(default_factory=dict)
    rights: dict[str, frozenset[str]] = field(default_factory=dict)
    # with abac, and for users: a regular expression of the only repositories to which their rights extend
    conditions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.login_server = self.login_server or f"{self.name}.azurecr.io"
        self.rights = self.rights or {OWNER.id: ALL, IDENTITY.id: ALL, USER.id: ALL, READER.id: PULL}

    @property
    def id(self) -> str:
        """The resource ID."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.ContainerRegistry/registries/{self.name}"
        )

    def rights_on(self, principal: str, repository: str) -> frozenset[str]:
        """Data actions; a condition counts only where role assignments may have one."""
        condition = self.conditions.get(principal, ".*") if self.abac or principal in self.users else ".*"
        held = self.rights.get(principal, frozenset())
        return held if re.fullmatch(condition, repository) else frozenset()

    def allows(self, attribute: str, *names: str) -> bool:
        """False when one of these has the attribute (writeEnabled, deleteEnabled) switched off."""
        return all(self.attributes.get(name, {}).get(attribute, True) for name in names)

    def is_writable(self, *names: str) -> bool:
        """False when one of these is locked."""
        return self.allows("writeEnabled", *names)

    def update(self, properties: dict[str, Any]) -> None:
        """As ARM's PATCH has it; what tests need of it."""
        export = properties.get("policies", {}).get("exportPolicy")
        self.export_enabled = export["status"] == "enabled" if export else self.export_enabled
        bypass = properties.get("networkRuleBypassOptions")
        self.trusted_services = bypass == "AzureServices" if bypass else self.trusted_services

    def to_arm(self) -> dict[str, Any]:
        """The resource, in the form of recent api-versions."""
        switch = {True: "enabled", False: "disabled"}
        return {
            "id": self.id,
            "name": self.name,
            "type": "Microsoft.ContainerRegistry/registries",
            "location": "eastus",
            "tags": {},
            "sku": {"name": self.sku, "tier": self.sku},
            "properties": {
                "loginServer": self.login_server,
                "creationDate": "2026-01-01T00:00:00.0000000Z",
                "provisioningState": "Succeeded",
                "adminUserEnabled": bool(self.admin_password),
                "anonymousPullEnabled": self.anonymous_pull,
                "dataEndpointEnabled": False,
                "dataEndpointHostNames": [],
                "publicNetworkAccess": "Enabled" if self.public else "Disabled",
                "networkRuleBypassOptions": "AzureServices" if self.trusted_services else "None",
                "roleAssignmentMode": "AbacRepositoryPermissions" if self.abac else "LegacyRegistryPermissions",
                "zoneRedundancy": "Disabled",
                "policies": {
                    "exportPolicy": {"status": switch[self.export_enabled]},
                    "quarantinePolicy": {"status": switch[self.quarantine]},
                    "trustPolicy": {"type": "Notary", "status": "disabled"},
                    "retentionPolicy": {"days": 7, "status": "disabled"},
                    "softDeletePolicy": {"retentionDays": 7, "status": switch[self.soft_delete]},
                    "azureADAuthenticationAsArmPolicy": {"status": switch[self.arm_tokens]},
                },
            },
        }


@dataclass
class ServiceFault:
    """``refused``: status, ARM code and message of the POST; ``failed``: the same of the last poll.

    ``before``: called before the service copies. ``bodies``: what the first polls say, whatever is going on; a number
    is a status without a body. ``hangs``: it never ends.
    """

    refused: tuple[int, str, str] | None = None
    failed: tuple[int, str, str] | None = None
    before: Callable[[], None] | None = None
    bodies: list[str | int] = field(default_factory=list)
    hangs: bool = False


class World:
    """The default cast."""

    def __init__(self) -> None:
        self.tenant = TENANT
        self.subscriptions = {SUBSCRIPTION: "Sandbox subscription", OTHER_SUBSCRIPTION: "Other subscription"}
        self.principals = {p.id: p for p in (OWNER, READER, STRANGER, IDENTITY, USER, FOREIGNER)}
        self.registries = {
            registry.name: registry
            for registry in (
                AzureRegistry("myregistry"),
                AzureRegistry("mysourceregistry"),
                AzureRegistry("otherregistry", subscription=OTHER_SUBSCRIPTION, resource_group="elsewhere"),
                AzureRegistry("closedregistry", public=False),
                AzureRegistry("adminregistry", sku="Standard", admin_password="sandbox-admin-password"),
                AzureRegistry("abacregistry", abac=True),
                AzureRegistry("secretregistry", export_enabled=False),
                AzureRegistry(
                    "foreignregistry",
                    subscription=FOREIGN_SUBSCRIPTION,
                    tenant=FOREIGN_TENANT,
                    rights={FOREIGNER.id: PULL, "puller": PULL},
                    users={"puller": "puller-secret"},
                    conditions={"puller": "app/.*"},
                ),
                AzureRegistry("cloudregistry", login_server="cloudregistry.azurecr.sandbox.cloud"),
            )
        }

        # other tenants, and who of ours is a guest there
        self.guests: dict[str, set[str]] = {}
        # each importImage that was asked for: path and body
        self.imports: list[tuple[str, dict[str, Any]]] = []
        # what happens to the next imports, one each
        self.service_faults: list[ServiceFault] = []
        # Retry-After of the import service, in seconds
        self.service_pause: float = 1

    def principal(self, name: str) -> Principal | None:
        """By client id, object id or user name."""
        return next((p for p in self.principals.values() if name in (p.id, p.name)), None)

    def registry(self, resource_id: str) -> AzureRegistry | None:
        """By its whole resource ID, in which upper and lower case are the same."""
        return next((r for r in self.registries.values() if r.id.lower() == resource_id.lower()), None)

    def may_manage(self, principal: str, registry: AzureRegistry, write: bool = False) -> bool:
        """ARM's view, simplified: who has any right on it may read it; who may delete may do all."""
        rights = registry.rights.get(principal, frozenset())
        return "delete" in rights if write else bool(rights)
