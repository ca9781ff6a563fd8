# SPDX-License-Identifier: MIT
"""What an engine error means to a person, and what to type next: one table, and what fills it in."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from azure.cli.core import azclierror
from azure.cli.core.util import SSLERROR_TEMPLATE

from .. import engine
from ..engine import EngineError
from ..progress.amounts import human_time
from . import refusals
from .problem import Problem
from .service_error import CLIENT, ServiceError, ServiceGoesOn
from .wording import Advice, answered, assignee, for_whom, is_acr, what, where

AGAIN = "Run the same command again."
# where something has been copied before it failed
SKIPPING = "Run the same command again: what was copied is skipped."

SIGN_IN_THERE = (
    "Or sign in for a larger limit: --username NAME --password @FILE, with an access token of Docker Hub in FILE."
)


def advice_for(error: EngineError, *, many: bool = False, moved: bool = False) -> Advice:
    """az's class, message and recommendation. ``many``: of ``az acr import-batch``, which has other options; ``moved``:
    something was copied before.

    An error of which the table knows no class is raised: a bug.
    """
    for kind in type(error).__mro__:
        if kind in ADVICE:
            told, message, recommendation = ADVICE[kind](error)
            if error.origin in ("source", "target") and error.origin not in message:
                message = f"{message.rstrip('.')} ({error.origin})."
            recommendation = _of_listing(error) or (many and _of_many(error)) or recommendation
            if error.closest:
                recommendation = f"The closest tags: {', '.join(error.closest)}. {recommendation}"
            return told, message, recommendation.replace(AGAIN, SKIPPING) if moved else recommendation
    raise error


def _of_many(error: EngineError) -> str:
    """Where options are meant that only one of the two commands has; empty for all else."""
    if isinstance(error, engine.NotFound) and "/manifests/" in error.path and not is_acr(error.host):
        return (
            "Check repository and tag. To see which tags there are, name the whole repository, and look first: "
            f"--source {error.host}/{error.repository} --dry-run"
        )
    if isinstance(error, engine.Unauthorized) and error.mode == "anonymous" and error.origin == "source":
        return (
            f"Sign in with docker login {error.subject}, or with registries in a batch file, or, if all sources are in "
            "this registry, with --username and --password. Many registries also answer so when there is no such "
            "repository: check its name."
        )
    return OF_MANY.get(error.code, "")


def _of_listing(error: EngineError) -> str:
    """What to do where a registry does not list what it has; empty for all else."""
    path = getattr(error, "path", "")
    refused = (engine.Unauthorized, engine.Denied, engine.NotFound, engine.Disallowed, engine.Rejected)
    if path.endswith("/_catalog") and isinstance(error, refused) and not isinstance(error, engine.Firewall):
        roles = ", or ask for the role Container Registry Repository Catalog Lister" if is_acr(error.subject) else ""
        return (
            f"Name the repositories instead, with --source {error.subject}/REPOSITORY or in a file with --file, since "
            f"this registry does not list them for you{roles}."
        )
    if path.endswith("/tags/list") and "sign in to page further" in getattr(error, "text", ""):
        return (
            "Sign in with --username and --password: without, Docker Hub lists only the first tags of a repository. Or "
            "name single tags with --tags."
        )
    return ""


def _not_found(error: Any) -> Advice:
    repository, _, identifier = error.path.removeprefix("/v2/").partition("/manifests/")
    if not identifier:
        place = f"{error.host}/{error.repository} ({error.origin}) does not exist" if error.repository else where(error)
        place += "" if error.repository else ": not found"
        return azclierror.ResourceNotFoundError, f"{place}.{answered(error)}", "Check the name."
    separator = "@" if ":" in identifier else ":"
    message = f"{error.host}/{repository}{separator}{identifier} ({error.origin}) does not exist.{answered(error)}"
    if is_acr(error.host):
        advice = (
            f"See which tags there are: az acr repository show-tags --name {error.host.split('.')[0]} "
            f"--repository {repository}"
        )
    else:
        other = "digest" if separator == "@" else "tag, or name the image by its digest"
        advice = f"Check repository and {other}."
        if identifier == "latest":
            advice += " An image without a tag in --source means the tag latest."
    return azclierror.ResourceNotFoundError, message, advice


def _rate_limited(error: Any) -> Advice:
    if error.window:
        return _quota(error, f"{_whose(error)} limit of pulls at {where(error)} is used up.{answered(error)}")
    wait = f"; it asks to wait {human_time(error.retry_after)}" if error.retry_after else ""
    advice = f"{AGAIN} If it limits again, ask more slowly: --jobs 1"
    if error.host == "docker.io" and error.mode in ("", "anonymous"):
        advice += f". {SIGN_IN_THERE}"
    return azclierror.AzureResponseError, f"{where(error)} limits requests{wait}.{answered(error)}", advice


def _quota(error: Any, message: str) -> Advice:
    """Docker Hub's, of hours. https://docs.docker.com/docker-hub/usage/pulls/"""
    ends = time.strftime("%H:%M", time.localtime(time.time() + error.window))
    when = (
        f"Its window is {human_time(error.window)}, so the limit ends at {ends} at the latest; run the same command "
        "again then."
    )
    return (
        azclierror.AzureResponseError,
        message,
        f"{when} {SIGN_IN_THERE}" if error.mode in ("", "anonymous") else when,
    )


def _whose(error: Any) -> str:
    return "The anonymous" if error.mode in ("", "anonymous") else "The"


def _too_large(error: Any) -> Advice:
    return (
        azclierror.AzureResponseError,
        f"{where(error)} refused a part of the image as too large.{answered(error)}",
        "If a proxy stands before the registry, raise its limit for request bodies.",
    )


def _server_error(error: Any) -> Advice:
    kind = azclierror.AzureInternalError if is_acr(error.host) else azclierror.AzureResponseError
    support = " If it stays, open a support request with the request id."
    support = support if is_acr(error.host) and error.request_id else ""
    message = f"{where(error)} answered {error.status} to {error.method}{what(error)}.{answered(error)}"
    return kind, message, AGAIN + support


def _registry_error(error: Any) -> Advice:
    message = f"{where(error)} answered {error.status} to {error.method}{what(error)}.{answered(error)}"
    if not error.status:  # found out here: its status was as it should be
        message = f"{where(error)}: {error.text}.{for_whom(error)}"
    return azclierror.AzureResponseError, message, f"{AGAIN} With --debug you see each request."


def _layout_error(error: Any) -> Advice:
    kind = azclierror.ResourceNotFoundError if error.missing else azclierror.FileOperationError
    advice = "Write it as oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:REPOSITORY:TAG]."
    if error.denied:
        listing = "icacls" if os.name == "nt" else "ls -ld"
        advice = f"Have it made readable for you, or copy it. To see who may read it: {listing} {_word(error.path)}"
    elif not os.path.exists(error.path):
        advice = f"Check the path{'' if os.path.isabs(error.path) else _begin()}."
    elif os.path.isfile(error.path):
        advice += f" To see what is in the archive: tar --list --file {_word(error.path)}"
    return kind, error.message, advice


def _begin() -> str:
    """Where relative paths begin; the folder may have been removed under the shell that is in it."""
    try:
        return f"; it begins in {os.getcwd()}"
    except OSError:
        return "; it begins in a folder that has been removed"


def _word(path: str) -> str:
    """One word to every shell; blanks are what names have."""
    return f'"{path}"' if " " in path else path


def _network_error(error: Any) -> Advice:
    advice = {
        "dns": "Check the name, VPN and DNS.",
        "proxy": "Check HTTPS_PROXY and NO_PROXY, and whether the proxy lets this host through.",
        "redirect": "The registry sends its clients where acrimport does not follow. Only its administrator can change "
        "that.",
    }.get(error.reason, f"Check the name, the port, VPN and proxy (HTTPS_PROXY, NO_PROXY). {AGAIN}")
    return azclierror.AzureConnectionError, error.message + for_whom(error), advice


def _tls_error(error: Any) -> Advice:
    advice = (
        "If its certificate is from a private authority, set REQUESTS_CA_BUNDLE to a file that holds it, or put it "
        f"into ~/.config/containers/certs.d/{error.host}/ca.crt. {SSLERROR_TEMPLATE}"
    )
    return azclierror.AzureConnectionError, error.message + for_whom(error), advice


def _credential_error(error: Any) -> Advice:
    host = f"{error.subject} ({error.origin}): " if error.subject else ""
    other = "pass --username and --password" if error.origin == "source" else "sign in with docker login"
    advice = f"Correct it, or {other}. The variable DOCKER_CONFIG names another folder with a config.json."
    return azclierror.AuthenticationError, f"{host}{error.message}{for_whom(error)}", advice


def _auth_error(error: Any) -> Advice:
    advice = "Check that the host is a container registry, and that no proxy answers in its place."
    return azclierror.AuthenticationError, error.message + for_whom(error), advice


def _tag_conflict(error: Any) -> Advice:
    return (
        azclierror.InvalidArgumentValueError,
        f"The tag {error.subject} (target) names another image: {error.existing}. The source's is {error.wanted}. "
        "Nothing was changed.",
        "Add --force to move the tag, or choose another one with --image.",
    )


def _service_error(error: Any) -> Advice:
    kind = azclierror.ResourceNotFoundError if error.known.missing else azclierror.AzureResponseError
    ids = f" Correlation id {error.request_id}." if error.request_id else ""
    asked = error.operation.startswith("https:")  # an address, which the next step holds; else the id in a text
    ids += f" Operation {error.operation}." if error.operation and not asked else ""
    said = f" {error.words}"
    if error.quoted:
        said = f" Azure's answer: {' '.join(filter(None, (error.arm_code, error.words)))}." if error.words else ""
    sure = f" ({error.sure})" if error.sure else ""
    facts = {
        "name": error.registry.partition(".")[0] if is_acr(error.registry) else "NAME",
        "repository": error.repository or "REPOSITORY",
        "operation": f"'{error.operation}'",
        "identity": _client(error.words),
    }
    meaning = f"{error.known.meaning.rstrip('.')}{sure}."
    advice = error.known.advice.format(**facts)
    if asked and "{operation}" not in error.known.advice:
        advice += f" What has begun can be waited for: az acr import-wait --operation '{error.operation}'"
    return kind, f"{meaning}{said.replace('..', '.').rstrip()}{ids}", advice


def _client(words: str) -> str:
    """Whom Azure names as the one who lacks a right; a word in capitals is to be filled in."""
    client = CLIENT.search(words)
    named = (client[2] or client[1]) if client else ""
    return assignee(named)


def _plain(kind: type[azclierror.AzCLIError], recommendation: str) -> Callable[[Any], Advice]:
    return lambda error: (kind, error.message, recommendation)


OF_MANY = {
    "target-tag-conflict": "Move the tag with --on-conflict overwrite, or leave it as it is with --on-conflict skip. "
    "For another name: --prefix, or a target of its own in --file.",
    "source-no-matching-platform": "Choose among these with --platform, or with platforms in --file.",
}

_DAMAGED = f"No tag was written. {AGAIN} If it fails again, the source is damaged, or a proxy changes what passes."

ADVICE: dict[type[EngineError], Callable[[Any], Advice]] = {
    engine.InvalidReference: _plain(
        azclierror.InvalidArgumentValueError,
        "Write it as registry/repository:tag, for example myregistry.azurecr.io/app:1.0.",
    ),
    engine.LayoutError: _layout_error,
    engine.NetworkError: _network_error,
    engine.TlsError: _tls_error,
    engine.RegistryError: _registry_error,
    engine.Unauthorized: refusals.unauthorized,
    engine.Denied: refusals.denied,
    engine.Firewall: refusals.firewall,
    engine.NotFound: _not_found,
    engine.Disallowed: refusals.disallowed,
    engine.RateLimited: _rate_limited,
    engine.TooLarge: _too_large,
    engine.BlobUnknown: _registry_error,
    engine.UploadLost: _registry_error,
    engine.Rejected: _registry_error,
    engine.ServerError: _server_error,
    engine.CredentialError: _credential_error,
    engine.AuthError: _auth_error,
    engine.ContentError: _plain(azclierror.AzureResponseError, _DAMAGED),
    engine.DigestMismatch: _plain(azclierror.AzureResponseError, _DAMAGED),
    engine.Truncated: _plain(azclierror.AzureResponseError, _DAMAGED),
    engine.ManifestError: _plain(
        azclierror.ValidationError, "Check the image at its source: docker buildx imagetools inspect IMAGE"
    ),
    engine.UnsupportedManifest: _plain(
        azclierror.ValidationError, "Pull and push it once with a current Docker, then import it."
    ),
    engine.TagConflict: _tag_conflict,
    engine.TimedOut: _plain(
        azclierror.AzureResponseError, f"{AGAIN} Give it more time with --timeout, or more connections with --jobs."
    ),
    ServiceError: _service_error,
    Problem: lambda error: (error.kind, error.message, error.advice),
    engine.NoMatchingPlatform: _plain(
        azclierror.InvalidArgumentValueError, "Choose among these with --platform, or leave it out to import all."
    ),
    engine.ListingError: _plain(
        azclierror.AzureResponseError, "Name single tags with --tags, or repositories with --source or --file."
    ),
    engine.Blocked: _plain(azclierror.AzureResponseError, f"See why the other image failed. {AGAIN}"),
    engine.QuotaSpent: lambda error: _quota(error, error.message),
    engine.Cancelled: _plain(azclierror.ManualInterrupt, AGAIN),
    ServiceGoesOn: lambda error: (
        azclierror.ManualInterrupt,
        error.message,
        f"To wait for its end: az acr import-wait --operation '{error.operation}'",
    ),
}
