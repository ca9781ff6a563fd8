# SPDX-License-Identifier: MIT
"""Who we are at each registry. The only module that asks az for tokens."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

from ..engine import ANONYMOUS, Credential, CredentialProvider, Origin
from ..output import errors
from . import docker_config
from .directory import Registry

DEFAULT_AUDIENCE = "https://containerregistry.azure.net"
# A token that is nearer to its end than this, in seconds, is not worth exchanging.
MARGIN = 300.0


class Identity:
    """The az login identity. Each token is fetched once, however many registries and threads want it.

    In Cloud Shell nothing is cached by az itself, and in a pipeline the federated assertion behind it is short-lived.
    """

    def __init__(self, cli_ctx: Any) -> None:
        self._cli_ctx = cli_ctx
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str | None, str], tuple[Credential, float]] = {}

    def credential(self, registry: Registry) -> Credential:
        """An Entra token for registries, of the tenant that the registry's subscription is in.

        Where the registry takes tokens for Azure Resource Manager as well, that is what is tried when it, or Entra ID,
        refuses the other: some clouds do not know registries as an audience of their own.
        """

        def otherwise() -> Credential:
            return self._credential(registry, self._cli_ctx.cloud.endpoints.active_directory_resource_id)

        try:
            credential = self._credential(registry, self._audience())
        except Exception as error:
            if registry.arm_tokens and errors.is_refused_by_entra(error):
                return otherwise()
            raise
        return replace(credential, otherwise=otherwise if registry.arm_tokens else None)

    def _credential(self, registry: Registry, audience: str) -> Credential:
        from azure.cli.core._profile import Profile

        key = registry.subscription, audience
        with self._lock:
            credential, expires = self._tokens.get(key, (None, 0.0))
            if credential is None or expires - time.time() < MARGIN:
                profile = Profile(cli_ctx=self._cli_ctx)
                known = {account["id"] for account in profile.load_cached_subscriptions()}
                active = self._cli_ctx.data.get("subscription_id")
                subscription = registry.subscription if registry.subscription in known else active
                (_, token, details), _, tenant = profile.get_raw_token(audience, subscription=subscription)
                name = profile.get_subscription(subscription)["user"]["name"]
                mode = f"the az login identity {name} of tenant {tenant}"
                credential = Credential(mode=mode, entra_token=token, tenant=tenant)
                expires = float(details.get("expires_on") or time.time() + MARGIN)
                self._tokens[key] = (credential, expires)
        return replace(credential, exchange=registry.home, by_repository=registry.by_repository)

    def tenant(self, registry: Registry) -> str:
        """The tenant that its subscription is in."""
        return self._credential(registry, self._audience()).tenant

    def _audience(self) -> str:
        """As core: a full URL, or a short name below azure.net."""
        configured = self._cli_ctx.config.get("acr", "audience_resource", fallback="")
        if not configured:
            return DEFAULT_AUDIENCE
        return configured if configured.startswith("https://") else f"https://{configured}.azure.net"


def provider(
    identity: Identity,
    registry: Registry,
    repository: str,
    side: Origin,
    username: str | None = None,
    password: str | None = None,
) -> CredentialProvider:
    """Given ones first; then, for an Azure container registry, the az login identity; then what docker login left."""
    if password:
        mode = f"user name and password of {username}" if username else "the Entra token given with --password"
        secret = {"username": username, "password": password} if username else {"entra_token": password}
        given = Credential(mode, exchange=registry.home, by_repository=registry.by_repository, **secret)
        return lambda: given
    if registry.is_acr:
        return lambda: identity.credential(registry)
    return lambda: docker_config.find_credential(registry.host, repository, side) or ANONYMOUS
