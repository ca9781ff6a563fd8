# SPDX-License-Identifier: MIT
"""The options of ``az acr import-batch`` and its file, checked and put together. Nothing is asked of anybody."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from knack.log import get_logger

from ._validators import validate_credentials, validate_engine, validate_jobs, validate_platforms

if TYPE_CHECKING:
    from .batch.wanted import Wanted, WantedFile

logger = get_logger(__name__)

CONFLICTS = ("fail", "skip", "overwrite")
LEFT_OUT_SHOWN = 20


def validate_batch(cmd: Any, namespace: Any) -> None:
    """Before the first request. Ends az with exit code 2, with all that is wrong with a file at once."""
    from .batch.wanted import Mistakes
    from .output import errors, logs

    logs.prepare_logs()
    try:
        namespace.batch = _batch(cmd, namespace)
    except Mistakes as error:
        errors.exit_for_usage(
            "\n".join(error.mistakes), "Nothing was imported. Correct these lines, and run the same command again."
        )
    except ValueError as error:
        errors.exit_for_usage(*error.args)


def _batch(cmd: Any, namespace: Any) -> Any:
    from ._options import BatchOptions
    from .batch.targets import Naming
    from .batch.wanted import WantedFile
    from .registries.typed import in_target

    file = WantedFile() if namespace.file is None else _file(namespace.file, within=bool(namespace.source_registry))
    _validate_registries(cmd.cli_ctx, namespace, file)
    given = bool(namespace.username or namespace.password)
    validate_credentials(namespace)
    named = namespace.engine
    validate_engine(cmd, namespace)
    validate_jobs(cmd, namespace)
    validate_platforms(namespace)
    once: dict[Wanted, Wanted] = {}
    for one in [*_sources(cmd.cli_ctx, namespace), *_of_file(cmd, namespace, file)]:
        once.setdefault(replace(one, where=""), one)
    wanted = list(once.values())
    if not wanted:
        raise ValueError(
            "There is nothing to import.", "Give --source, --file, or --registry for all of a container registry."
        )
    if namespace.engine == "service" and any(one.platforms for one in wanted):
        if named:
            raise ValueError(
                "The import service imports all platforms of an image, and the file asks for some.",
                "Leave out --engine service, or platforms in the file.",
            )
        namespace.engine = "auto"  # a configured one gives way
    options = BatchOptions(
        registry_name=namespace.registry_name,
        wanted=tuple(wanted),
        source_registry=namespace.source_registry,
        sign_ins=_sign_ins(namespace, file, {one.registry or namespace.source_registry for one in wanted}, given),
        naming=Naming(
            in_target(cmd.cli_ctx, namespace.registry_name, "--prefix", namespace.prefix or ""),
            namespace.strip_prefix or "",
        ),
        resource_group_name=namespace.resource_group_name,
        on_conflict=_on_conflict(namespace),
        fail_fast=namespace.fail_fast,
        shard=_shard(namespace.shard),
        report=None,
        engine=namespace.engine,
        jobs=namespace.jobs,
        timeout=namespace.timeout,
        dry_run=namespace.dry_run,
        platforms=tuple(namespace.platform),
        referrers=namespace.referrers,
    )
    for said in file.left_out[:LEFT_OUT_SHOWN]:
        logger.warning("Not taken over: %s", said)
    if len(file.left_out) > LEFT_OUT_SHOWN:
        logger.warning("Not taken over: %d more", len(file.left_out) - LEFT_OUT_SHOWN)
    return options if namespace.report is None else replace(options, report=_report(namespace.report))


def _file(path: str, *, within: bool) -> WantedFile:
    from .batch.document import read_file

    try:
        return read_file(path, within=within)
    except OSError as error:
        raise ValueError(
            f"--file: '{path}' cannot be read ({error.strerror}).", "Check its name; - is standard input."
        ) from None


def _validate_registries(cli_ctx: Any, namespace: Any, file: WantedFile) -> None:
    from .registries.hosts import same_registry
    from .registries.typed import registry_of

    if not namespace.registry_name and not file.target:
        raise ValueError(
            "The target registry is missing.",
            "Add --name, or target: in the file. To set a default: az configure --defaults acr=NAME",
        )
    of_file = registry_of(file.target, file.where) if file.target else ""
    # az configure --defaults acr=… is for who says nothing
    if of_file and getattr(namespace.registry_name, "is_default", False):
        namespace.registry_name = None
    namespace.registry_name = registry_of(namespace.registry_name or of_file, "--name")
    if of_file and not same_registry(cli_ctx, of_file, namespace.registry_name):
        logger.warning("The target is %s, as --name says; the file says %s.", namespace.registry_name, of_file)
    if namespace.source_registry:
        namespace.source_registry = registry_of(namespace.source_registry, "--registry")


def _sources(cli_ctx: Any, namespace: Any) -> list[Wanted]:
    """``--source``, with the patterns of the options; ``--registry`` alone is all of it."""
    from .batch.wanted import Wanted
    from .engine import InvalidReference
    from .registries.typed import in_source

    within, texts = bool(namespace.source_registry), namespace.source or ()
    if within:
        texts = [in_source(cli_ctx, namespace.source_registry, text) for text in texts]
    wanted = []
    try:
        wanted = [Wanted.parse(text, "--source", within=within) for text in texts]
    except InvalidReference as error:
        raise ValueError(
            f"--source: {error.message}",
            "Write it as registry/repository, registry/repository:tag, or as a registry's host.",
        ) from None
    if within and not texts and not namespace.file:
        wanted = [Wanted("", where="--registry")]
    return [_selected(namespace, one) for one in wanted]


def _selected(namespace: Any, one: Wanted) -> Wanted:
    if namespace.newest is not None and namespace.newest < 1:
        raise ValueError("--newest takes 1 or more.", "For example: --newest 5")
    try:
        return one.with_patterns(namespace.tags or (), namespace.exclude or (), namespace.newest)
    except ValueError as error:
        raise ValueError(
            f"--tags or --exclude: {error}.", "For example: --tags 3.20 '3.*' '/^3\\.\\d+$/' '>=3.18 <4'"
        ) from None


def _of_file(cmd: Any, namespace: Any, file: WantedFile) -> list[Wanted]:
    """What a file asks for. The patterns of the options are for what in it has none; so are those of defaults."""
    from .registries.typed import in_target

    wanted, name = [], namespace.registry_name
    for one in file.wanted:
        if one.target_host:
            try:
                in_target(cmd.cli_ctx, name, one.where, f"{one.target_host}/", has_host=True)
            except ValueError:
                if not file.foreign:
                    raise
                said = f"{one.where}: {one.name}: its destination is in {one.target_host}, and the target is {name}"
                file.left_out.append(said)
                continue
        elif one.target:
            repository = in_target(cmd.cli_ctx, name, one.where, one.target[0])
            one = replace(one, target=(repository, one.target[1]))
        wanted.append(_selected(namespace, one))
    if file.wanted and not wanted:
        raise ValueError(
            f"All destinations in the file are in registries other than {name}.",
            "Name the registry that they are in with --name.",
        )
    return wanted


def _sign_ins(namespace: Any, file: WantedFile, hosts: set[str], given: bool) -> dict[str, Any]:
    """By host. A password is for one registry: it is never shown to another one."""
    from ._options import SignIn
    from .batch.wanted import shown

    sign_ins = {
        host: SignIn(
            username=settings.username,
            variable=settings.password_env,
            file=settings.password_file,
            plain_http=settings.plain_http,
        )
        for host, settings in file.registries.items()
    }
    if namespace.password and len(hosts) > 1:
        if given:
            raise ValueError(
                f"--username and --password are for one registry, and the sources are in {len(hosts)}.",
                "Write them for each registry into the file: registries, with passwordEnv or passwordFile.",
            )
        logger.warning("ACRIMPORT_SOURCE_PASSWORD is not used: the sources are in several registries.")
    elif namespace.password:
        host = next(iter(hosts))
        plain_http = sign_ins[host].plain_http if host in sign_ins else False
        if given or host not in sign_ins or not (sign_ins[host].variable or sign_ins[host].file):
            sign_ins[host] = SignIn(namespace.username, namespace.password, plain_http=plain_http)
    for host, sign_in in sign_ins.items():
        if host in hosts and sign_in.variable and not os.environ.get(sign_in.variable):
            variable = shown(sign_in.variable)
            raise ValueError(
                f"registries.{host}.passwordEnv: the environment variable {variable} is not set, or empty.",
                f"Put the password into {variable}.",
            )
        if host in hosts and sign_in.file and (wrong := _unusable(sign_in.file)):
            raise ValueError(
                f"registries.{host}.passwordFile: {sign_in.file} {wrong}.",
                "The path is relative to the batch file. Put the password into the file, and nothing else.",
            )
    return sign_ins


def _unusable(path: str) -> str:
    """What is wrong with a password's file; a pipe can be read only once, and not here."""
    if os.path.isdir(path) or not os.access(path, os.R_OK):
        return "cannot be read"
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as stream:
        return "" if stream.read(len("\r\n") + 1).strip(b"\r\n") else "is empty"


def _on_conflict(namespace: Any) -> str:
    if namespace.force and namespace.on_conflict not in (None, "overwrite"):
        raise ValueError(
            f"--force is --on-conflict overwrite, and --on-conflict {namespace.on_conflict} was given as well.",
            "Leave one of them out.",
        )
    return "overwrite" if namespace.force else namespace.on_conflict or "fail"


def _shard(text: str | None) -> tuple[int, int] | None:
    from .batch.shards import parse_shard

    try:
        return None if text is None else parse_shard(text)
    except ValueError as error:
        raise ValueError(
            f"--shard: {error}.", "In Azure Pipelines: $(System.JobPositionInPhase)/$(System.TotalJobsInPhase)"
        ) from None


def _report(path: str) -> Any:
    """Last of all: its place is taken, and nobody gives it back when another option is wrong."""
    from .batch.report import ReportFile

    try:
        return ReportFile(path)
    except OSError as error:
        raise ValueError(
            f"--report: '{path}' cannot be written ({error.strerror}).",
            "Check that its folder is there, and that you may write to it.",
        ) from None
    except ValueError as error:
        raise ValueError(f"--report: {error}.", "Name a file that ends in .json, or in .xml for JUnit.") from None
