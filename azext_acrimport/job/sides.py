# SPDX-License-Identifier: MIT
"""The sides of an import: found, signed in to, connected to for as long as it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from knack.log import get_logger

from .._options import ImportOptions
from ..engine import (
    Ahead,
    Cancellation,
    CopyRequest,
    Credential,
    CredentialProvider,
    Destination,
    LayoutReference,
    Origin,
    Reference,
    RegistryClient,
    RegistryRepository,
    Transport,
    open_location,
)
from ..output import errors
from ..registries.connections import options_for
from ..registries.credentials import Identity, provider
from ..registries.directory import Directory, Registry
from ..registries.naming import destinations_of, source_of

logger = get_logger(__name__)


class Sides:
    """Where one import reads and writes. Its connections end with ``stack``.

    ``source`` is None for files of this machine; ``image``: what was typed, without its registry.
    """

    target: Registry
    source: Registry | None
    reference: Reference | LayoutReference
    image: str

    def __init__(self, cli_ctx: Any, options: ImportOptions, stack: ExitStack) -> None:
        self.identity = Identity(cli_ctx)
        self._cli_ctx = cli_ctx
        self._options = options
        self._stack = stack
        self._directory = Directory(cli_ctx)
        self._begun: tuple[RegistryClient, RegistryRepository, Cancellation] | None = None

    def find(self) -> None:
        """Look both up at once; what the source's tag names is asked meanwhile. Raises what the look-ups raise."""
        options = self._options
        source = None if options.jobs == 1 else Ahead(self._find_source)
        self.target = self._directory.find(options.registry_name, "target", options.resource_group_name)
        self.reference, self.source, self.image = source.result() if source else self._find_source()
        if self.source and self.source.host == self.target.host:
            self.source = self.target
        elif self.source and self.source.export_disabled:
            raise errors.export_disabled(self.source.host)
        self._wanted = destinations_of(self.reference, options.target_tags, options.repositories)

    def open(self) -> tuple[CopyRequest, Cancellation]:
        """Connect to both, each time anew."""
        reference, options = self.reference, self._options
        read_from: Any
        pace = None
        if isinstance(reference, LayoutReference):
            cancellation = Cancellation()
            read_from = self._stack.enter_context(closing(open_location(reference)))
        else:
            assert self.source
            begun, self._begun = self._begun, None
            client, read_from, cancellation = begun or self._opened(self.source, reference)
            pace = client.referrers_pace
        given = provider(self.identity, self.target, next(iter(self._wanted)), "target")
        client = self._stack.enter_context(side(self._cli_ctx, "target", self.target, given, cancellation))
        if pace and self.source is self.target:
            client.referrers_pace = pace  # one registry counts them together
        request = CopyRequest(
            read_from,
            reference.name if isinstance(reference, LayoutReference) else reference.identifier,
            tuple(Destination(RegistryRepository(client, name), tuple(tags)) for name, tags in self._wanted.items()),
            force=options.force,
            platforms=options.platforms,
            referrers=options.referrers,
        )
        return request, cancellation

    def _find_source(self) -> tuple[Reference | LayoutReference, Registry | None, str]:
        options = self._options
        if isinstance(options.source_image.location, LayoutReference):
            return options.source_image.location, None, options.source_image.text
        reference, source, image = source_of(
            self._directory, options.source_image, options.source_registry, options.registry_name
        )
        if options.password and not options.username and not source.is_acr:
            raise errors.user_name_needed(source.host)
        by_service = options.no_wait or options.engine == "service"
        if options.jobs != 1 and not by_service and not source.export_disabled:
            self._begun = self._opened(source, reference)
            self._begun[1].resolve_ahead(reference.identifier)
        return reference, source, image

    def _opened(
        self, source: Registry, reference: Reference
    ) -> tuple[RegistryClient, RegistryRepository, Cancellation]:
        options, cancellation = self._options, Cancellation()
        given = provider(self.identity, source, reference.repository, "source", options.username, options.password)
        client = self._stack.enter_context(side(self._cli_ctx, "source", source, given, cancellation))
        return client, RegistryRepository(client, reference.repository), cancellation


@contextmanager
def side(
    cli_ctx: Any, origin: Origin, registry: Registry, given: CredentialProvider, cancellation: Cancellation
) -> Iterator[RegistryClient]:
    """The client of one registry, for as long as it is needed."""
    credentials = _told(given, registry.host, origin)
    with options_for(cli_ctx, registry.host, origin) as options:
        transport = Transport(origin, options, cancellation)
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
