# SPDX-License-Identifier: MIT
"""The handler of ``az acr import``: resolve, choose who we are, plan, run, return the result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from knack.log import get_logger

from . import _errors, _output
from ._connections import options_for
from ._credentials import Identity, provider
from ._registries import Directory, Registry
from .engine import (
    Cancellation,
    CopyReport,
    CopyRequest,
    Credential,
    CredentialProvider,
    Destination,
    EngineError,
    ItemResult,
    Origin,
    Platform,
    Reference,
    RegistryClient,
    RegistryRepository,
    Transport,
    make_plan,
    make_pool,
    run_plan,
    survey,
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
    source_image: Reference | str,
    source_registry: str | None = None,
    username: str | None = None,
    password: str | None = None,
    target_tags: list[tuple[str, str | None]] | None = None,
    repository: list[str] | None = None,
    resource_group_name: str | None = None,
    force: bool = False,
    no_wait: bool = False,
    engine: str | None = None,
    jobs: int | None = None,
    dry_run: bool = False,
    platform: list[Platform] | None = None,
    referrers: str = "all",
) -> dict[str, Any]:
    """Import one image. The result is returned, and thereby printed, also when it says that the import failed."""
    _output.hide_queries()
    directory = Directory(cmd.cli_ctx)
    target = directory.find(registry_name, "target", resource_group_name)
    reference, source = _source(directory, source_image, source_registry, target)
    if source.export_disabled and source.host != target.host:
        raise _errors.export_disabled(source.host)
    if password and not username and not source.is_acr:
        raise _errors.user_name_needed(source.host)
    wanted = _destinations(reference, target_tags or [], repository or [])

    identity, cancellation = Identity(cmd.cli_ctx), Cancellation()
    given = provider(identity, source, reference.repository, "source", username, password)
    source_credentials = _told(given, source.host, "source")
    target_credentials = _told(provider(identity, target, next(iter(wanted)), "target"), target.host, "target")
    if target.quarantine:
        logger.warning(
            "%s keeps new images in quarantine: nobody sees them before they are released, unless allowed to.",
            target.host,
        )
    with (
        _side(cmd.cli_ctx, "source", source, source_credentials, cancellation) as from_client,
        _side(cmd.cli_ctx, "target", target, target_credentials, cancellation) as to_client,
    ):
        if source.host == target.host:
            to_client.referrers_pace = from_client.referrers_pace  # one registry counts them together
        request = CopyRequest(
            RegistryRepository(from_client, reference.repository),
            reference.identifier,
            tuple(Destination(RegistryRepository(to_client, name), tuple(tags)) for name, tags in wanted.items()),
            force=force,
            platforms=tuple(platform or ()),
            referrers=referrers == "all",
        )
        view = _output.ProgressView(cmd.cli_ctx, f"Importing {reference} to {target.host}")
        started = time.monotonic()
        item = _import(request, jobs or 1, dry_run, cancellation, view)
        item.seconds = time.monotonic() - started
    view.end(item)
    if item.error:
        _raise_after_output(cmd.cli_ctx, item)
    reason = "named by the user" if engine == "embedded" else "this machine reaches both registries"
    return _output.to_result(item, source=str(reference), registry=target.host, engine_reason=reason)


def _source(
    directory: Directory, source_image: Reference | str, source_registry: str | None, target: Registry
) -> tuple[Reference, Registry]:
    if isinstance(source_image, Reference):
        return source_image, directory.find_source(source_image.registry, target)
    assert source_registry
    source = directory.find(source_registry, "source")
    if source_image.lower().startswith(f"{source.host}/"):
        logger.warning(
            "The login server %s in --source is ignored: --registry names the registry already.", source.host
        )
        source_image = source_image[len(source.host) + 1 :]
    return Reference.parse(f"{source.host}/{source_image}"), source


def _destinations(reference: Reference, targets: list[tuple[str, str | None]], repositories: list[str]) -> Destinations:
    """Target repositories, each with its tags; one without tags is imported by digest only."""
    wanted: Destinations = {}
    if not targets and not repositories:
        targets = [(reference.repository, None)]
        if reference.digest and not reference.tag:
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
    cli_ctx: Any, origin: Origin, registry: Registry, credentials: CredentialProvider, cancellation: Cancellation
) -> Iterator[RegistryClient]:
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


def _import(
    request: CopyRequest, jobs: int, dry_run: bool, cancellation: Cancellation, view: _output.ProgressView
) -> ItemResult:
    pool = make_pool(jobs)
    report: CopyReport | None = None
    try:
        plan = make_plan([request], pool, cancellation)
        item = plan.items[0].result
        if item.error is None and dry_run:
            survey(plan, pool, cancellation)
        elif item.error is None:
            report = run_plan(plan, pool, cancellation, view)
            item = report.items[0]
    finally:
        cancellation.cancel()
        pool.close(timeout=0.3)
    if item.status == "cancelled":
        raise _errors.interrupted(report)
    return item


def _raise_after_output(cli_ctx: Any, item: ItemResult) -> None:
    """az prints a result or an error, not both, unless the error comes when the result is out."""
    from knack.events import EVENT_CLI_SUCCESSFUL_EXECUTE

    def fail(*_: Any, **__: Any) -> None:
        cli_ctx.unregister_event(EVENT_CLI_SUCCESSFUL_EXECUTE, fail)
        assert item.error
        raise _errors.to_azclierror(item.error)

    cli_ctx.register_event(EVENT_CLI_SUCCESSFUL_EXECUTE, fail)
