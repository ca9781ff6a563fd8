# SPDX-License-Identifier: MIT
"""From the texts on the command line to what the engine knows: references and tags. Nothing is asked of anybody."""

from __future__ import annotations

import os
import re
from typing import Any

from knack.log import get_logger

from ._options import SourceImage

logger = get_logger(__name__)

USERNAME_VARIABLE = "ACRIMPORT_SOURCE_USERNAME"
PASSWORD_VARIABLE = "ACRIMPORT_SOURCE_PASSWORD"  # noqa: S105  the name of a variable, not a secret

ENGINES = ("auto", "embedded", "service")

REFERRERS = ("all", "new", "none")

FILE = re.compile(r"\.(tar|tgz|tar\.\w+)$", re.IGNORECASE)

# More connections than this help nobody and are an attack to some registries.
MAX_JOBS = 64
# Of a number that is configured; thousands of them int() refuses to read.
MAX_DIGITS = 20
MAX_TIMEOUT = 7 * 86_400


def validate_wait(namespace: Any) -> None:
    """Of ``az acr import-wait``."""
    from .output import errors, logs

    logs.prepare_logs()
    try:
        _validate_timeout(namespace)
    except ValueError as error:
        errors.exit_for_usage(*error.args)


def validate_import(cmd: Any, namespace: Any) -> None:
    """Read and check all options of ``az acr import`` before the first request. Ends az with exit code 2.

    A validator of the whole command takes the place of those of single options, so of core's check of names, too,
    which knows only names and login servers of one cloud.
    """
    from .output import errors, logs

    logs.prepare_logs()
    try:
        _validate_registries(namespace)
        validate_credentials(namespace)
        validate_engine(cmd, namespace)
        validate_jobs(cmd, namespace)
        _validate_source(cmd.cli_ctx, namespace)
        validate_platforms(namespace)
        _validate_targets(cmd, namespace)
    except ValueError as error:
        errors.exit_for_usage(*error.args)


def _validate_registries(namespace: Any) -> None:
    from .registries.typed import registry_of

    namespace.registry_name = registry_of(namespace.registry_name, "--name")
    if namespace.source_registry:
        namespace.source_registry = registry_of(namespace.source_registry, "--registry")


def validate_credentials(namespace: Any) -> None:
    """Given ones, or those of the environment. Raises ValueError."""
    for option, value in (("--username", namespace.username), ("--password", namespace.password)):
        # az has put the content of a file that it could read in the place of its name
        if value and value.startswith("@"):
            otherwise = f" A password that itself begins with @ goes into the variable {PASSWORD_VARIABLE}."
            raise ValueError(
                f"{option}: the file '{value[1:]}' cannot be read.",
                f"Check its name.{otherwise if option == '--password' else ''}",
            )
    from_environment = not _is_layout(getattr(namespace, "source_image", ""))
    if namespace.username is None and namespace.password is None and from_environment:
        namespace.username = os.environ.get(USERNAME_VARIABLE) or None
        namespace.password = os.environ.get(PASSWORD_VARIABLE) or None
    elif namespace.password is None and from_environment:
        namespace.password = os.environ.get(PASSWORD_VARIABLE) or None
    if namespace.password is not None:
        namespace.password = namespace.password.rstrip("\r\n")  # files and standard input end with a line end
    # both empty, as scripts write it where they have none, is none to core, too
    if namespace.password == "" and namespace.username != "":
        raise ValueError(
            "--password is empty.",
            "Check the file, standard input or variable that it comes from. If there is none, leave --password out.",
        )
    if namespace.username and not namespace.password:
        raise ValueError(
            "A user name needs a password.",
            f"Add --password @FILE, or --password @- and give it on standard input, or set {PASSWORD_VARIABLE}.",
        )


def _is_layout(source: str) -> bool:
    """True for files of this machine; False also for what is no source at all."""
    from .engine import InvalidReference, LayoutReference, parse_location

    try:
        return isinstance(parse_location(source), LayoutReference)
    except InvalidReference:
        return False


def _configured_engine(cmd: Any, namespace: Any) -> str:
    """The one that is configured, unless the command line leaves only one: then it gives way."""
    from .engine import is_registry_host
    from .registries.hosts import is_acr_host

    target = namespace.registry_name
    outside = is_registry_host(target) and not is_acr_host(cmd.cli_ctx, target)
    files = _is_layout(getattr(namespace, "source_image", ""))
    if _hands_over(namespace) or namespace.platform or outside or files:
        return "auto"
    configured: str = cmd.cli_ctx.config.get("acrimport", "engine", fallback="").lower() or "auto"
    if configured not in ENGINES:
        raise ValueError(
            f"acrimport.engine is configured as '{configured}', which is none of {', '.join(ENGINES)}.",
            "az config set acrimport.engine=auto",
        )
    return configured


def validate_engine(cmd: Any, namespace: Any) -> None:
    """Named, or configured. Raises ValueError."""
    if namespace.engine is None:
        namespace.engine = _configured_engine(cmd, namespace)
    if _hands_over(namespace) and namespace.engine == "embedded":
        raise ValueError(
            "--no-wait needs --engine service: the embedded engine ends with this command.",
            "Leave out --no-wait, or --engine embedded.",
        )
    _validate_timeout(namespace)


def _hands_over(namespace: Any) -> bool:
    """A batch never does."""
    return bool(getattr(namespace, "hand_over", False))


def _validate_timeout(namespace: Any) -> None:
    """Also not a number, and infinity, are floats to the parser; a timer takes neither."""
    if namespace.timeout is not None and not 0 < namespace.timeout <= MAX_TIMEOUT:
        raise ValueError(
            f"--timeout takes seconds, more than 0 and up to {MAX_TIMEOUT} (a week).", "For example: --timeout 3600"
        )


def validate_jobs(cmd: Any, namespace: Any) -> None:
    """Named, or configured; None lets the engine choose. Raises ValueError."""
    said, example = "--jobs", "--jobs 8"
    if namespace.jobs is None:
        configured = cmd.cli_ctx.config.get("acrimport", "jobs", fallback="")
        if not configured:
            return  # the engine chooses
        said, example = f"acrimport.jobs is configured as '{configured}', but", "az config set acrimport.jobs=8"
        namespace.jobs = int(configured) if configured.isdecimal() and len(configured) < MAX_DIGITS else 0
    if not 1 <= namespace.jobs <= MAX_JOBS:
        raise ValueError(f"{said} takes a number from 1 to {MAX_JOBS}.", f"For example: {example}")


def _validate_source(cli_ctx: Any, namespace: Any) -> None:
    """With --registry the host is not known yet, but what it will be like: the handler puts it in front."""
    from .engine import InvalidReference, LayoutReference, Reference, is_registry_host, parse_location
    from .registries.hosts import most_likely_host
    from .registries.typed import in_source

    text = namespace.source_image
    try:
        if not namespace.source_registry:
            source = parse_location(text)
            if isinstance(source, LayoutReference):
                _validate_layout(namespace, source)
            namespace.source_image = SourceImage(text.partition("/")[2], source, text)
            return
        registry = namespace.source_registry
        image = in_source(cli_ctx, registry, text)
        if not is_registry_host(registry):
            registry = most_likely_host(cli_ctx, registry) or "registry.invalid"
        Reference.parse(f"{registry}/{image}")
    except InvalidReference as error:
        redacted = error.text.startswith("REDACTED@")
        raise ValueError(error.message, _how_to_write(error.text if redacted else text)) from None
    namespace.source_image = SourceImage(image, typed=text)


def _how_to_write(source: str) -> str:
    """What was most likely meant by a --source that is none."""
    from .registries.typed import NAME

    first, slash, rest = source.partition("/")
    if first.startswith("REDACTED@"):
        return (
            f"Write --source {source.partition('@')[2]}, and beside it --username NAME --password @FILE with the "
            f"password in FILE, or set {USERNAME_VARIABLE} and {PASSWORD_VARIABLE}."
        )
    if source.startswith((".", "/", "~")) or FILE.search(source) or os.path.exists(source):
        return (
            f"For files of this machine write docker-archive:{source} (docker save), oci-archive:{source} or oci:DIR."
        )
    if slash and NAME.fullmatch(first):
        return (
            f"For an Azure container registry write --source {first}.azurecr.io/{rest}, or "
            f"--source {rest} --registry {first}."
        )
    return (
        "Write it as registry/repository:tag, for example "
        "myregistry.azurecr.io/app:1.0 or docker.io/library/alpine:3.20."
    )


def _validate_layout(namespace: Any, source: Any) -> None:
    """Files have no user name, mostly no repository, and the service cannot read them."""
    if namespace.engine == "service" or _hands_over(namespace):
        raise ValueError(
            "The import service cannot read files of this machine.", "Leave out --engine service and --no-wait."
        )
    if namespace.username or namespace.password:
        raise ValueError("Files need no --username and --password.", "Leave them out.")
    if not namespace.target_tags and not namespace.repository and not source.repository:
        raise ValueError(
            f"{source} names no repository for the target.", "Add --image repository:tag, or --repository repository."
        )


def validate_platforms(namespace: Any) -> None:
    """Texts become platforms. Raises ValueError."""
    from .engine import Platform

    if namespace.platform and (namespace.engine == "service" or _hands_over(namespace)):
        raise ValueError(
            "The import service imports all platforms of an image.",
            "Leave out --platform, or copy through this machine: --engine embedded.",
        )
    try:
        texts = [text for value in namespace.platform or () for text in value.split(",")]
        namespace.platform = list(dict.fromkeys(map(Platform.parse, texts)))
    except ValueError as error:
        raise ValueError(
            f"--platform: {error}.",
            "Write it as os/architecture[/variant], for example linux/amd64, linux/arm/v7 or windows/amd64:10.0.20348.",
        ) from None


def _validate_targets(cmd: Any, namespace: Any) -> None:
    from .engine import InvalidReference, parse_repository_tag
    from .registries.typed import in_target

    targets, repositories = [], []
    try:
        for text in namespace.target_tags or ():
            repository, tag, digest = parse_repository_tag(
                in_target(cmd.cli_ctx, namespace.registry_name, "--image", text)
            )
            if digest:
                raise InvalidReference(text, "a target has a tag, never a digest")
            targets.append((repository, tag))
        for text in namespace.repository or ():
            repository, tag, digest = parse_repository_tag(
                in_target(cmd.cli_ctx, namespace.registry_name, "--repository", text)
            )
            if tag or digest:
                raise ValueError(
                    f"--repository takes a repository without a tag, not '{text}'.", f"For a tag: --image {text}"
                )
            repositories.append(repository)
    except InvalidReference as error:
        raise ValueError(error.message, "Write it as repository:tag, for example app/web:1.0.") from None
    namespace.target_tags = targets
    namespace.repository = repositories
