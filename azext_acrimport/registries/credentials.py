# SPDX-License-Identifier: MIT
"""Who we are at each registry. The only module that asks az for tokens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from knack.log import get_logger

from ..engine import ANONYMOUS, Credential, CredentialError, CredentialProvider, Origin
from ..output.az_errors import asked_of_azure
from ..output.problem import SignedOut
from .deadline import Deadline
from .directory import Registry
from .docker_config import find_credential

logger = get_logger(__name__)

DEFAULT_AUDIENCE = "https://containerregistry.azure.net"
# A token that is nearer to its end than this, in seconds, is not worth exchanging.
MARGIN = 300.0

Way = Callable[[], "Credential | None"]


class Identity:
    """The az login identity. Each token is fetched once, however many registries and threads want it.

    In Cloud Shell nothing is cached by az itself, and in a pipeline the federated assertion behind it is short-lived.
    """

    def __init__(self, cli_ctx: Any, deadline: Deadline) -> None:
        self._cli_ctx = cli_ctx
        self._deadline = deadline
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str | None, str], tuple[Credential, float]] = {}

    def ways(self, registry: Registry) -> list[Way]:
        """An Entra token for registries, of the tenant that the registry's subscription is in.

        Where the registry takes tokens for Azure Resource Manager as well, that is what is tried when it, or Entra ID,
        refuses the other: some clouds do not know registries as an audience of their own.
        """
        audiences = [self._audience()]
        if registry.arm_tokens:
            audiences.append(self._cli_ctx.cloud.endpoints.active_directory_resource_id)
        return [lambda audience=audience: self._credential(registry, audience) for audience in audiences]

    def _credential(self, registry: Registry, audience: str) -> Credential:
        """Raises SignedOut, AzureUnreachable and TimedOut."""
        key = registry.subscription, audience
        with self._lock:
            credential, expires = self._tokens.get(key, (None, 0.0))
            if credential is None or expires - time.time() < MARGIN:
                with asked_of_azure():
                    credential, expires = self._deadline.wait_for(partial(self._fetched, *key))
                self._tokens[key] = (credential, expires)
        return replace(credential, exchange=registry.home, by_repository=registry.by_repository)

    def _fetched(self, wanted: str | None, audience: str) -> tuple[Credential, float]:
        """And when it expires, in seconds since 1970."""
        from azure.cli.core._profile import Profile

        profile = Profile(cli_ctx=self._cli_ctx)
        known = {account["id"] for account in profile.load_cached_subscriptions()}
        subscription = wanted if wanted in known else self._cli_ctx.data.get("subscription_id")
        (_, token, details), _, tenant = profile.get_raw_token(audience, subscription=subscription)
        name = profile.get_subscription(subscription)["user"]["name"]
        credential = Credential(f"the az login identity {name} of tenant {tenant}", entra_token=token, tenant=tenant)
        return credential, float(details.get("expires_on") or time.time() + MARGIN)

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
    *,
    by_file: bool = False,
) -> CredentialProvider:
    """What was given, and nothing else; or a chain: the az login identity at an Azure container registry, what docker
    login left, nobody. At an Azure container registry that is the target only the identity counts.

    ``by_file``: it was given in a batch file.
    """
    if password:
        what = f"user name and password of {username}" if username else "the Entra token"
        # where a person mends it; a user name needs no word for that
        place = " from the batch file" if by_file else "" if username else " given with --password"
        secret = {"username": username, "password": password} if username else {"entra_token": password}
        given = Credential(f"{what}{place}", exchange=registry.home, by_repository=registry.by_repository, **secret)
        return lambda: given
    ways = identity.ways(registry) if registry.is_acr else []
    if not registry.is_acr or side == "source":
        ways += [lambda: find_credential(registry.host, repository, side), lambda: ANONYMOUS]

    def first() -> Credential:
        credential = _next(ways)
        assert credential  # the last way either gives one or raises
        return credential

    return first


def _next(ways: Sequence[Way], refused: bool = False) -> Credential | None:
    """The first of these that there is; what is not to be had counts as refused. Raises what the only one raises."""
    for tried, way in enumerate(ways):
        rest = ways[tried + 1 :]
        try:
            credential = way()
        except (SignedOut, CredentialError) as error:
            if not rest or (isinstance(error, CredentialError) and not refused and not tried):
                raise
            logger.info("%s", error)
            continue
        if credential is not None:
            return replace(credential, otherwise=partial(_next, rest, refused=True) if rest else None)
    return None
