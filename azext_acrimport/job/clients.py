# SPDX-License-Identifier: MIT
"""Connections of many imports: one client for each registry and side, however many images are read or written there."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .._options import SignIn
from ..engine import Cancellation, CredentialError, Origin, Quota, RegistryClient, RegistryHints, RegistryRepository
from ..output import problem
from ..output.logs import Waits
from ..registries.credentials import Identity, provider
from ..registries.deadline import Deadline
from ..registries.directory import Registry
from .sides import side

# A password is a line; a file beyond that is another one.
MAX_SECRET_BYTES = 65_536


class Clients:
    """A context manager: at its end, and at that of the deadline, nothing is connected any more."""

    def __init__(
        self,
        cli_ctx: Any,
        identity: Identity,
        deadline: Deadline,
        sign_ins: Mapping[str, SignIn],
        hints: RegistryHints,
    ) -> None:
        """``hints``: what earlier azs have left."""
        self.cancellation = Cancellation(Waits())
        self.deadline = deadline
        self._cli_ctx = cli_ctx
        self._identity = identity
        self._sign_ins = sign_ins
        self._hints = hints
        self._stack = ExitStack()
        self._making = threading.Lock()
        self._clients: dict[tuple[Origin, str], RegistryClient] = {}
        self._repositories: dict[tuple[Origin, str, str], RegistryRepository] = {}

    def __enter__(self) -> Clients:
        self._stack.callback(self.cancellation.cancel)  # what waits still is not wanted any longer
        self._stack.enter_context(self.cancellation.within(self.deadline.left))
        return self

    def __exit__(self, *_: object) -> None:
        self.cancellation.cancel()
        self._stack.close()

    def client(self, origin: Origin, registry: Registry, repository: str = "") -> RegistryClient:
        """Of one registry on one side; ``repository``: for what podman keeps for a part of a registry."""
        with self._making:
            known = self._clients.get((origin, registry.host))
            return known or self._opened(origin, registry, repository)

    def _opened(self, origin: Origin, registry: Registry, repository: str) -> RegistryClient:
        sign_in = self._sign_ins.get(registry.host, SignIn()) if origin == "source" else SignIn()
        secret = secret_of(sign_in, registry.host)
        if secret and not sign_in.username and not registry.is_acr:
            raise problem.user_name_needed(registry.host)
        by_file = bool(sign_in.variable or sign_in.file)
        given = provider(self._identity, registry, repository, origin, sign_in.username, secret, by_file=by_file)
        client = self._stack.enter_context(
            side(
                self._cli_ctx,
                origin,
                registry,
                given,
                self.cancellation,
                self._hints,
                plain_http=sign_in.plain_http,
            )
        )
        other = self._clients.get(("source" if origin == "target" else "target", registry.host))
        if other:
            client.referrers_pace = other.referrers_pace  # one registry counts them together
        self._clients[origin, registry.host] = client
        return client

    def quota(self, host: str) -> Quota | None:
        """What a source has told of how many manifests it lets us read; None where it has told nothing."""
        client = self._clients.get(("source", host))
        return client.meter.quota if client and client.meter else None

    def repository(self, origin: Origin, registry: Registry, name: str) -> RegistryRepository:
        """The same object each time, since there may be thousands of images in it."""
        key = (origin, registry.host, name)
        if key not in self._repositories:
            self._repositories[key] = RegistryRepository(self.client(origin, registry, name), name)
        return self._repositories[key]


def secret_of(sign_in: SignIn, host: str) -> str | None:
    """The password. Raises CredentialError where it is not to be had."""
    try:
        if sign_in.variable:
            secret = os.environ[sign_in.variable]
        elif sign_in.file:
            with Path(sign_in.file).open("rb") as stream:
                secret = stream.read(MAX_SECRET_BYTES).decode()
        else:
            return sign_in.password
    except KeyError:
        raise _unusable(host, f"The environment variable {sign_in.variable} is not set") from None
    except OSError as error:
        raise _unusable(host, f"{sign_in.file} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise _unusable(host, f"{sign_in.file} is not a text") from None
    secret = secret.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise _unusable(host, f"{sign_in.variable or sign_in.file} is empty")
    return secret


def _unusable(host: str, said: str) -> CredentialError:
    return CredentialError(f"{said}.", origin="source", subject=host)
