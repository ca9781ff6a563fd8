# SPDX-License-Identifier: MIT
"""The sides of an import: found, signed in to, connected to for as long as it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any

from knack.log import get_logger

from .._options import ImportOptions
from ..engine import (
    Ahead,
    Cancellation,
    Cancelled,
    Credential,
    CredentialError,
    CredentialProvider,
    Destination,
    Greeting,
    LayoutReference,
    Origin,
    Reference,
    RegistryClient,
    RegistryHints,
    RegistryRepository,
    Transport,
    greet,
    open_location,
    prepare,
)
from ..output import problem
from ..output.logs import Waits
from ..registries.connections import options_for
from ..registries.credentials import Identity, provider
from ..registries.deadline import Deadline
from ..registries.directory import Directory, Registry
from ..registries.hints import hints_for
from ..registries.hosts import most_likely_host
from ..registries.naming import source_of, tags_by_repository, targets_of
from .job import Connected, Job

logger = get_logger(__name__)

# Seconds between two looks at whether Azure is being asked.
LOOK = 0.005

Found = tuple["Reference | LayoutReference", "Registry | None", str]


class Sides:
    """Where one import reads and writes. A context manager: at its end nothing is connected any more."""

    def __init__(self, cli_ctx: Any, options: ImportOptions, deadline: Deadline) -> None:
        self._cli_ctx = cli_ctx
        self._options = options
        self._deadline = deadline
        self._identity = Identity(cli_ctx, deadline)
        self._directory = Directory(cli_ctx)
        self._stack = ExitStack()
        self._hints = RegistryHints()
        self._waits = Waits()
        # of whoever is the next to connect
        self._cancellation = Cancellation(self._waits)
        self._begun: tuple[RegistryClient, RegistryRepository] | None = None
        self._early: tuple[str, Transport, Greeting | None] | None = None

    def __enter__(self) -> Sides:
        self._hints = self._stack.enter_context(hints_for(self._cli_ctx, self._options.jobs))
        return self

    def __exit__(self, *_: object) -> None:
        self._cancellation.cancel()  # nobody has wanted what was begun ahead
        self._stack.close()

    def find(self, meanwhile: Callable[[], object] = prepare) -> Job:
        """Look both up at once; the source lets us in meanwhile. Raises what the look-ups raise.

        ``meanwhile``: is called while nothing is to be done but to wait for their answers.
        """
        options, deadline = self._options, self._deadline
        ahead = None if options.jobs == 1 else Ahead(self._find_source)
        self._greet_target()
        looked_up = Ahead(lambda: self._directory.find_target(options.registry_name, options.resource_group_name))
        if self._begins_early:
            # not before they are asked: Python does one thing at a time
            while not (looked_up.ended or self._directory.is_asking.wait(LOOK)):
                deadline.check()
            meanwhile()
        target = looked_up.result(deadline.check)
        found = ahead.result(deadline.check) if ahead else deadline.wait_for(self._find_source)
        reference, source, image = found
        if source and source.host == target.host:
            source = target
        elif source and source.keeps_from(target):
            raise problem.export_disabled(source.host)
        if isinstance(reference, Reference) and reference.digest and not reference.tag and not options.names_targets:
            logger.warning(
                "The source is named by digest only, so the target gets the tag latest. For an import without a tag: "
                "--repository %s",
                reference.repository,
            )
        job = Job(
            cli_ctx=self._cli_ctx,
            options=options,
            reference=reference,
            source=source,
            target=target,
            image=image,
            targets=targets_of(reference, image, options),
            deadline=deadline,
            connected=lambda: self._connected(job),
            same_tenant=lambda: source is not None and self._identity.tenant(source) == self._identity.tenant(target),
        )
        return job

    @contextmanager
    def _connected(self, job: Job) -> Iterator[Connected]:
        self._deadline.check()
        with ExitStack() as stack:
            read_from: Any
            pace = None
            cancellation, self._cancellation = self._cancellation, Cancellation(self._waits)
            if isinstance(job.reference, LayoutReference):
                read_from = stack.enter_context(closing(self._opened_files(job.reference, cancellation)))
            else:
                assert job.source
                begun, self._begun = self._begun, None
                client, read_from = begun or self._opened(stack, job.source, job.reference, cancellation)
                pace = client.referrers_pace
            wanted = tags_by_repository(job.targets)
            given = provider(self._identity, job.target, next(iter(wanted)), "target")
            host, transport, greeting = self._early or ("", None, None)
            self._early = None
            if host != job.target.host:
                transport = greeting = None
            place = side(
                self._cli_ctx,
                "target",
                job.target,
                given,
                cancellation,
                self._hints,
                transport=transport,
                greeting=greeting,
            )
            client = stack.enter_context(place)
            if pace and job.source is job.target:
                client.referrers_pace = pace  # one registry counts them together
            request = job.request(
                read_from,
                job.reference.name if isinstance(job.reference, LayoutReference) else job.reference.identifier,
                [Destination(RegistryRepository(client, name), tuple(tags)) for name, tags in wanted.items()],
            )
            stack.callback(cancellation.cancel)  # what waits still is not wanted any longer
            stack.enter_context(cancellation.within(self._deadline.left))
            yield request, cancellation

    def _opened_files(self, reference: LayoutReference, cancellation: Cancellation) -> Any:
        """An archive is looked through from its front to its end. Raises TimedOut where that takes too long."""
        try:
            with cancellation.within(self._deadline.left):
                return open_location(reference, cancellation)
        except Cancelled:
            self._deadline.check()
            raise

    def _find_source(self) -> Found:
        options = self._options
        if isinstance(options.source_image.location, LayoutReference):
            return options.source_image.location, None, options.source_image.text
        reference, source, image = source_of(self._directory, options.source_image, options.source_registry)
        if options.password and not options.username and not source.is_acr:
            raise problem.user_name_needed(source.host)
        if self._begins_early and not source.unseen and not source.export_disabled:
            self._begun = self._opened(self._stack, source, reference, self._cancellation)
            self._begun[1].enter_ahead(reference.identifier)
        return reference, source, image

    @property
    def _begins_early(self) -> bool:
        options = self._options
        return options.jobs != 1 and not options.no_wait and options.engine != "service"

    def _greet_target(self) -> None:
        """Ask where it most likely is how one signs in, while Azure Resource Manager tells whether it is there.

        Whoever is there hears nothing else, and not who we are. What earlier azs have left is not asked for again.
        """
        host = most_likely_host(self._cli_ctx, self._options.registry_name)
        if host and self._begins_early:
            with suppress(CredentialError):  # which is told when it is needed
                way = self._stack.enter_context(transport_to(self._cli_ctx, "target", host, self._cancellation))
                is_known = self._hints.token_service(host) is not None
                if is_known:
                    way.open_ahead(f"https://{host}/v2/", 1)
                self._early = host, way, None if is_known else greet(host, way)

    def _opened(
        self, stack: ExitStack, source: Registry, reference: Reference, cancellation: Cancellation
    ) -> tuple[RegistryClient, RegistryRepository]:
        options = self._options
        given = provider(self._identity, source, reference.repository, "source", options.username, options.password)
        client = stack.enter_context(side(self._cli_ctx, "source", source, given, cancellation, self._hints))
        return client, RegistryRepository(client, reference.repository)


@contextmanager
def side(
    cli_ctx: Any,
    origin: Origin,
    registry: Registry,
    given: CredentialProvider,
    cancellation: Cancellation,
    hints: RegistryHints | None = None,
    *,
    plain_http: bool = False,
    transport: Transport | None = None,
    greeting: Greeting | None = None,
) -> Iterator[RegistryClient]:
    """The client of one registry, for as long as it is needed. ``hints``: what earlier azs have left.

    ``transport``: one to there, if there is one already; it is not closed here. ``greeting``: what is there has said.
    """
    credentials = _told(given, registry.host, origin)
    new = transport_to(cli_ctx, origin, registry.host, cancellation, plain_http=plain_http)
    with nullcontext(transport) if transport else new as way:
        yield RegistryClient(
            registry.host,
            Reference(registry.host, "").host,
            way,
            credentials,
            acr=registry.is_acr,
            soft_delete=registry.soft_delete,
            hints=hints,
            greeting=greeting,
        )


@contextmanager
def transport_to(
    cli_ctx: Any, origin: Origin, host: str, cancellation: Cancellation, *, plain_http: bool = False
) -> Iterator[Transport]:
    """What a registry is reached by; closed at the end. Raises CredentialError as ``options_for``."""
    with options_for(cli_ctx, host, origin, plain_http=plain_http) as options:
        transport = Transport(origin, options, cancellation)
        try:
            yield transport
        finally:
            transport.close()


def _told(provide: CredentialProvider, host: str, side: str) -> CredentialProvider:
    """The same, with a word for --verbose about who we are there, and about each that takes its place."""

    def told(credential: Credential) -> Credential:
        logger.info("%s (%s): signing in with %s", host, side, credential.mode)
        following = credential.otherwise

        def otherwise() -> Credential | None:
            another = following() if following else None
            return another and told(another)

        return replace(credential, otherwise=otherwise) if following else credential

    return lambda: told(provide())
