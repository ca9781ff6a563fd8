# SPDX-License-Identifier: MIT
"""One side of an import, signed in to: a client of its registry, for as long as it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from knack.log import get_logger

from ._connections import options_for
from ._registries import Registry
from .engine import (
    Cancellation,
    Credential,
    CredentialProvider,
    Origin,
    Reference,
    RegistryClient,
    Transport,
)

logger = get_logger(__name__)


@contextmanager
def side(
    cli_ctx: Any, origin: Origin, registry: Registry, given: CredentialProvider, cancellation: Cancellation
) -> Iterator[RegistryClient]:
    """The client of one registry, for as long as it is needed."""
    credentials = _told(given, registry.host, origin)
    transport = Transport(origin, options_for(cli_ctx, registry.host, origin), cancellation)
    try:
        yield RegistryClient(
            registry.host,
            Reference(registry.host, "").host,
            transport,
            credentials,
            acr=registry.is_acr,
            soft_delete=registry.soft_delete,
        )
    finally:
        transport.close()


def _told(provide: CredentialProvider, host: str, side: str) -> CredentialProvider:
    """The same, with a word for --verbose about who we are there."""

    def telling() -> Credential:
        credential = provide()
        logger.info("%s (%s): signing in with %s", host, side, credential.mode)
        return credential

    return telling
