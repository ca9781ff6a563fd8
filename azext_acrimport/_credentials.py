# SPDX-License-Identifier: MIT
"""Who we are at each registry. The only module that asks az for tokens."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

from . import _docker_config
from ._registries import Registry
from .engine import ANONYMOUS, Credential, CredentialProvider, Origin

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
        self._tokens: dict[str | None, tuple[Credential, float]] = {}

    def credential(self, subscription: str | None) -> Credential:
        """An Entra token for registries, of the tenant that the subscription is in."""
        from azure.cli.core._profile import Profile

        with self._lock:
            credential, expires = self._tokens.get(subscription, (None, 0.0))
            if credential is None or expires - time.time() < MARGIN:
                profile = Profile(cli_ctx=self._cli_ctx)
                known = {account["id"] for account in profile.load_cached_subscriptions()}
                subscription_id = subscription if subscription in known else self._cli_ctx.data.get("subscription_id")
                (_, token, details), _, tenant = profile.get_raw_token(self._audience(), subscription=subscription_id)
                credential = Credential(mode="az login identity", entra_token=token, tenant=tenant)
                expires = float(details.get("expires_on") or time.time() + MARGIN)
                self._tokens[subscription] = (credential, expires)
            return credential

    def _audience(self) -> str:
        """As core: a full URL, or a short name below azure.net."""
        configured = self._cli_ctx.config.get("acr", "audience_resource", fallback="")
        if not configured:
            return DEFAULT_AUDIENCE
        return configured if configured.startswith("https://") else f"https://{configured}.azure.net"


def provider(
    identity: Identity, registry: Registry, side: Origin, username: str | None = None, password: str | None = None
) -> CredentialProvider:
    """Given ones first; then, for an Azure container registry, the az login identity; then what docker login left."""
    if password and not username:
        mode = "the Entra token given with --password"
        given = Credential(mode=mode, entra_token=password, exchange=registry.home)
        return lambda: given
    if password:
        given = Credential(mode="user name and password", username=username or "", password=password)
        return lambda: given
    if registry.is_acr:
        return lambda: replace(identity.credential(registry.subscription), exchange=registry.home)
    return lambda: _docker_config.find_credential(registry.host, side) or ANONYMOUS
