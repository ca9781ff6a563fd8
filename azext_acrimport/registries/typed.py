# SPDX-License-Identifier: MIT
"""What somebody has typed for a registry, and the registry in front of what is in it. Nothing is asked of anybody."""

from __future__ import annotations

import re
from typing import Any

from knack.log import get_logger

from ..engine import is_registry_host
from .hosts import is_acr_host, plain_host, same_registry

logger = get_logger(__name__)

# The rule of the service. https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
NAME = re.compile(r"[a-zA-Z0-9]{5,50}")

ID = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.ContainerRegistry/registries/[^/]+", re.IGNORECASE
)


def registry_of(text: str, option: str) -> str:
    """A resource ID as it is; a name or a host in the form that comparisons need."""
    text = text.strip()
    if text.startswith("/"):
        if not ID.fullmatch(text.rstrip("/")):
            raise ValueError(
                f"{option}: '{text}' is not the resource ID of a container registry.",
                'To see those that there are: az acr list --query "[].id" --output tsv',
            )
        return text.rstrip("/")
    plain = text.lower().removeprefix("https://").rstrip("/")
    found = plain if NAME.fullmatch(plain) else plain_host(plain)
    if not found:
        _, at, host = text.rpartition("@")
        said = f"REDACTED@{host}" if at else text  # a user name and a password, as URLs have them
        raise ValueError(
            f"{option}: '{said}' is not a registry.",
            "Give the name of an Azure container registry (5 to 50 letters and digits), its login server such as "
            "myregistry.azurecr.io, its resource ID, or host and port of another registry.",
        )
    return found


def in_source(cli_ctx: Any, registry: str, text: str) -> str:
    """The text without the registry in front that --registry has named already, by whichever of its names."""
    host, slash, rest = text.partition("/")
    plain = host.lower().removesuffix(":443")
    if not slash or not _is_host(cli_ctx, plain, registry) or not same_registry(cli_ctx, plain, registry):
        return text
    logger.warning("The login server %s in --source is ignored: --registry names the registry already.", host)
    return rest


def _is_host(cli_ctx: Any, text: str, registry: str) -> bool:
    """A dot alone makes no host of it: docker.io/library/alpine is a repository that many have in their registry.

    Nor does the registry's bare name: contoso/web is one that many have in the registry contoso.
    """
    return is_registry_host(text) and (text == registry or ":" in text or is_acr_host(cli_ctx, text))


def in_target(cli_ctx: Any, target: str, option: str, text: str, *, has_host: bool = False) -> str:
    """The text without the target's own registry in front, which --name has said already. Raises ValueError.

    ``has_host``: it has to begin with one, which is not worth a word then.
    """
    host, slash, rest = text.partition("/")
    host = host.lower().removesuffix(":443")
    if not slash or not (has_host or _is_host(cli_ctx, host, target)):
        return text
    if not same_registry(cli_ctx, host, target):
        again = f" {option} {rest}" if option.startswith("--") else ""
        raise ValueError(
            f"{option}: '{text}' names the registry {host}, but the target is {target}.",
            f"Leave the registry out, and name it once: --name {host}{again}",
        )
    if not has_host:
        logger.warning("The login server %s in %s is ignored: --name names the registry already.", host, option)
    return rest
