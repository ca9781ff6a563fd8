# SPDX-License-Identifier: MIT
"""The handlers: resolve, choose who we are, have an engine do it, return the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from knack.log import get_logger

from . import _errors, _output
from ._connections import options_for
from ._credentials import Identity, provider
from ._engines import run
from ._job import Job
from ._registries import Directory, Registry
from ._service_wait import wait_for
from ._validators import SourceImage
from .engine import (
    Cancellation,
    CopyRequest,
    Credential,
    CredentialProvider,
    Destination,
    EngineError,
    ItemResult,
    LayoutReference,
    Origin,
    Platform,
    Reference,
    RegistryClient,
    RegistryRepository,
    Transport,
    open_location,
)

logger = get_logger(__name__)

Destinations = dict[str, list[str]]


@contextmanager
def _explained() -> Iterator[None]:
    """Where az ends without a word (Ctrl-C) or with a traceback (Entra ID out of reach), say what has become."""
    from requests.exceptions import RequestException, SSLError

    try:
        yield
    except KeyboardInterrupt:
        raise _errors.interrupted(None) from None
    except EngineError as error:
        raise _errors.to_azclierror(error) from error
    except SSLError:
        raise  # az has good words for it
    except RequestException as error:
        raise _errors.azure_unreachable(error) from error


@_explained()
def import_image(
    cmd: Any,
    registry_name: str,
    source_image: SourceImage,
    source_registry: str | None = None,
    username: str | None = None,
    password: str | None = None,
    target_tags: list[tuple[str, str | None]] | None = None,
    repository: list[str] | None = None,
    resource_group_name: str | None = None,
    force: bool = False,
    hand_over: bool = False,
    engine: str | None = None,
    jobs: int | None = None,
    timeout: float | None = None,
    dry_run: bool = False,
    platform: list[Platform] | None = None,
    referrers: str = "all",
) -> dict[str, Any]:
    """Import one image. The result is returned, and thereby printed, also when it says that the import failed."""
    _output.hide_queries()
    directory = Directory(cmd.cli_ctx)
    target = directory.find(registry_name, "target", resource_group_name)
    identity = Identity(cmd.cli_ctx)
    source, image = None, source_image.text
    reference: Reference | LayoutReference
    if isinstance(source_image.location, LayoutReference):
        reference = source_image.location
    else:
        reference, source, image = _source(directory, source_image, source_registry, target)
        _check_source(source, target, username, password)
    wanted = _destinations(reference, target_tags or [], repository or [])
    _warn_of_quarantine(target)
    with ExitStack() as stack:

        def opened() -> tuple[CopyRequest, Cancellation]:
            """Both sides, on connections of their own."""
            cancellation = Cancellation()
            read_from: Any
            pace = None
            if source is None:
                read_from = stack.enter_context(closing(open_location(reference)))
            else:
                given = provider(identity, source, reference.repository, "source", username, password)
                client = stack.enter_context(_side(cmd.cli_ctx, "source", source, given, cancellation))
                read_from, pace = RegistryRepository(client, reference.repository), client.referrers_pace
            given = provider(identity, target, next(iter(wanted)), "target")
            client = stack.enter_context(_side(cmd.cli_ctx, "target", target, given, cancellation))
            if source and pace and source.host == target.host:
                client.referrers_pace = pace  # one registry counts them together
            request = CopyRequest(
                read_from,
                reference.name if isinstance(reference, LayoutReference) else reference.identifier,
                tuple(Destination(RegistryRepository(client, name), tuple(tags)) for name, tags in wanted.items()),
                force=force,
                platforms=tuple(platform or ()),
                referrers=referrers == "all",
            )
            return request, cancellation

        request, cancellation = opened()
        job = Job(
            cli_ctx=cmd.cli_ctx,
            reference=reference,
            source=source,
            target=target,
            request=request,
            image=image,
            tags=_typed_tags(image, target_tags or [], repository or []),
            repositories=tuple(repository or ()),
            username=username,
            password=password,
            engine=engine or "auto",
            jobs=jobs,
            dry_run=dry_run,
            no_wait=hand_over,
            timeout=timeout,
            cancellation=cancellation,
            opened=opened,
            same_tenant=lambda: source is not None and identity.tenant(source) == identity.tenant(target),
        )
        view = _output.ProgressView(cmd.cli_ctx, f"Importing {reference} to {target.host}")
        started = time.monotonic()
        outcome = run(job, view)
        outcome.item.seconds = time.monotonic() - started
    view.end(outcome.item, outcome.engine)
    if outcome.item.error:
        _raise_after_output(cmd.cli_ctx, outcome.item)
    return _output.to_result(
        outcome.item,
        source=str(reference),
        registry=target.host,
        engine=outcome.engine,
        engine_reason=outcome.reason,
        operation=outcome.operation,
        checked=outcome.checked,
    )


@_explained()
def import_wait(cmd: Any, operation: str, timeout: float | None = None) -> dict[str, Any]:
    """Wait for what ``--no-wait`` has begun."""
    _output.hide_queries()
    view = _output.ProgressView(cmd.cli_ctx, "Waiting for the import service")
    started = time.monotonic()
    try:
        outcome, known = wait_for(cmd.cli_ctx, operation, view, timeout, lambda host: _reader(cmd.cli_ctx, host))
    except ValueError as error:
        _errors.exit_for_usage(*error.args)
    outcome.item.seconds = time.monotonic() - started
    view.end(outcome.item, "service")
    if outcome.item.error:
        _raise_after_output(cmd.cli_ctx, outcome.item)
    return _output.to_result(
        outcome.item,
        **known,
        engine="service",
        engine_reason=outcome.reason,
        checked=outcome.checked,
    )


@contextmanager
def _reader(cli_ctx: Any, host: str) -> Iterator[Callable[[str], RegistryRepository]]:
    """From a repository of this registry to what reads there, as the az login identity."""
    target = Directory(cli_ctx).find(host, "target")
    given = provider(Identity(cli_ctx), target, "", "target")
    with _side(cli_ctx, "target", target, given, Cancellation()) as client:
        yield lambda repository: RegistryRepository(client, repository)


def _source(
    directory: Directory, written: SourceImage, source_registry: str | None, target: Registry
) -> tuple[Reference, Registry, str]:
    """What is meant, where it is, and the image as it was typed, without its registry."""
    if written.location:
        return written.location, directory.find_source(written.location.registry, target), _for_service(written)
    assert source_registry
    source, image = directory.find(source_registry, "source"), written.text
    if image.lower().startswith(f"{source.login_server}/"):
        logger.warning(
            "The login server %s in --source is ignored: --registry names the registry already.", source.login_server
        )
        image = image[len(source.login_server) + 1 :]
    return Reference.parse(f"{source.host}/{image}"), source, image


def _for_service(written: SourceImage) -> str:
    """The service does not know that Docker Hub's official images are below library/."""
    reference: Reference = written.location
    official = reference.repository.startswith("library/") and not written.text.startswith("library/")
    return f"library/{written.text}" if official else written.text


def _typed_tags(image: str, targets: list[tuple[str, str | None]], repositories: list[str]) -> tuple[str, ...]:
    """As the service wants them, and as core fills them in where none is given."""
    if not targets and not repositories:
        return (image.partition("@")[0],)
    return tuple(f"{repository}:{tag}" if tag else repository for repository, tag in targets)


def _check_source(source: Registry, target: Registry, username: str | None, password: str | None) -> None:
    if source.export_disabled and source.host != target.host:
        raise _errors.export_disabled(source.host)
    if password and not username and not source.is_acr:
        raise _errors.user_name_needed(source.host)


def _warn_of_quarantine(target: Registry) -> None:
    if target.quarantine:
        logger.warning(
            "%s keeps new images in quarantine: nobody sees them before they are released, unless allowed to.",
            target.host,
        )


def _destinations(
    reference: Reference | LayoutReference, targets: list[tuple[str, str | None]], repositories: list[str]
) -> Destinations:
    """Target repositories, each with its tags; one without tags is imported by digest only."""
    wanted: Destinations = {}
    if not targets and not repositories:
        targets = [(reference.repository, None)]
        if isinstance(reference, Reference) and reference.digest and not reference.tag:
            logger.warning(
                "The source is named by digest only, so the target gets the tag latest. For an import without a tag: "
                "--repository %s",
                reference.repository,
            )
    for repository in repositories:
        wanted.setdefault(repository, [])
    for repository, tag in targets:
        tags = wanted.setdefault(repository, [])
        tag = tag or reference.tag or "latest"
        if tag not in tags:
            tags.append(tag)
    return wanted


def _told(provide: CredentialProvider, host: str, side: str) -> CredentialProvider:
    """The same, with a word for --verbose about who we are there."""

    def telling() -> Credential:
        credential = provide()
        logger.info("%s (%s): signing in with %s", host, side, credential.mode)
        return credential

    return telling


@contextmanager
def _side(
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


def _raise_after_output(cli_ctx: Any, item: ItemResult) -> None:
    """az prints a result or an error, not both, unless the error comes when the result is out."""
    from knack.events import EVENT_CLI_SUCCESSFUL_EXECUTE

    def fail(*_: Any, **__: Any) -> None:
        cli_ctx.unregister_event(EVENT_CLI_SUCCESSFUL_EXECUTE, fail)
        assert item.error
        raise _errors.to_azclierror(item.error)

    cli_ctx.register_event(EVENT_CLI_SUCCESSFUL_EXECUTE, fail)
