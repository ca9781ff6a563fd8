# SPDX-License-Identifier: MIT
"""What an engine error means to a person, and what to type next: one table, and what fills it in."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import Any

from azure.cli.core import azclierror
from azure.cli.core.util import SSLERROR_TEMPLATE

from .. import engine
from ..engine import EngineError, RegistryError
from ..progress.amounts import human_time
from . import catalogue
from .problem import Problem

AGAIN = "Run the same command again."
# where something has been copied before it failed
SKIPPING = "Run the same command again: what was copied is skipped."

SIGN_IN_THERE = (
    "Or sign in for a larger limit: --username NAME --password @FILE, with an access token of Docker Hub in FILE."
)
# another az login would lose the identity that the target wants
FOREIGN_SIGN_IN = (
    "az account get-access-token --tenant TENANT --resource https://containerregistry.azure.net --query accessToken "
    "--output tsv > token.txt, then the same command with --password @token.txt"
)

Advice = tuple[type[azclierror.AzCLIError], str, str]

# As credentials are told of (registries.credentials); what Azure takes as an assignee is an id or a user's name.
SIGNED_IN = re.compile(r"the az login identity (\S+) of tenant")
ASSIGNEE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\S+@\S+", re.IGNORECASE)


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
    if isinstance(error, engine.NotFound) and "/manifests/" in error.path and not _is_acr(error.host):
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
        roles = ", or ask for the role Container Registry Repository Catalog Lister" if _is_acr(error.subject) else ""
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


def _where(error: Any) -> str:
    return f"{error.host} ({error.origin})"


def _for_whom(error: EngineError) -> str:
    """Repository and sign-in, after an error that is about neither."""
    parts = [f"repository {error.repository}"] if error.repository else []
    parts += [_signed_in(error.mode)] if error.mode else []
    return f" This was about {', '.join(parts)}." if error.repository else ""


def _signed_in(mode: str) -> str:
    """Or, of a chain of ways, all that were tried."""
    if mode == "anonymous":
        return "without a sign-in"
    return f"signed in with {mode.replace(', then anonymous', ', then without a sign-in')}"


def _what(error: RegistryError) -> str:
    return f" repository {error.repository}" if error.repository else ""


def _said(error: RegistryError) -> str:
    said = " ".join(filter(None, (" ".join(error.codes), error.text))).rstrip(".")
    request = f" Request id {error.request_id}." if error.request_id else ""
    return (f" The registry's answer: {said}." if said else "") + request


def _is_acr(host: str) -> bool:
    return ".azurecr." in host


def _login(error: EngineError) -> str:
    if error.origin == "target" and "az login identity" not in error.mode:
        return f"Sign in to it first: docker login {error.subject}"
    if error.mode.endswith("from the batch file"):
        return (
            f"Check what registries in the batch file gives for {error.subject}: username, passwordEnv, passwordFile. "
            "Many registries also answer so when there is no such repository: check its name."
        )
    if "az login identity" in error.mode and error.origin == "source":
        return f"If the registry is in another tenant, import with a token of it: {FOREIGN_SIGN_IN}"
    if "az login identity" in error.mode:
        return "Sign in again: az login. If the registry is in another tenant: az login --tenant TENANT"
    if "Entra token" in error.mode:
        return f"Get a new one, of the registry's tenant: {FOREIGN_SIGN_IN}"
    if "credential" in error.mode:
        return "Sign in again with docker login, or pass --username and --password."
    if error.mode == "anonymous":
        first = "Sign in: az login. Or pass" if _is_acr(error.host) else "Pass"
        return (
            f"{first} --username and --password. Many registries also answer so when there is no such repository: "
            "check its name."
        )
    return (
        "Check --username and --password. Many registries also answer so when there is no such repository: check its "
        "name."
    )


def _unauthorized(error: Any) -> Advice:
    if error.mode == "anonymous":
        message = f"{_where(error)} asks for a sign-in for{_what(error) or ' this registry'}, and none was given."
    else:
        tried = error.mode.replace(", then anonymous", ", and then anonymous access,")
        about = f" for{_what(error)}" if _what(error) else ""
        message = f"{_where(error)} refused the sign-in with {f'{tried}{about}'.rstrip(',')}."
    return azclierror.UnauthorizedError, message + _said(error), _login(error)


def _denied(error: Any) -> Advice:
    pull = error.origin == "source"
    message = f"{_where(error)} denied {'pull from' if pull else 'push to'}{_what(error) or ' the registry'}"
    message += f"{' ' if error.mode == 'anonymous' else '; '}{_signed_in(error.mode)}."
    if error.mode == "anonymous":
        advice = _login(error)
    elif not _is_acr(error.host):
        advice = f"The account needs the right to {'pull' if pull else 'push'}. " + _login(error)
    else:
        advice = _role(error, *(("AcrPull", "Reader") if pull else ("AcrPush", "Writer")))
    return azclierror.ForbiddenError, message + _said(error), advice


def _role(error: Any, role: str, abac: str) -> str:
    """Which role to ask for. A registry that grants rights by repository does not heed the classic ones."""
    by_repository = f"Container Registry Repository {abac}"
    if error.by_repository:
        grant = f"The registry uses ABAC, where {role} does not count. Grant the identity the role {by_repository}"
        role = by_repository
    elif error.by_repository is None:
        grant = f"Grant the identity the role {role}, or {by_repository} if the registry uses ABAC"
    else:
        grant = f"Grant the identity the role {role}"
    return (
        f'{grant}: az role assignment create --role "{role}" --assignee {_assignee(error.mode)} '
        f"--scope $(az acr show --name {error.host.split('.')[0]} --query id --output tsv)"
    )


def _assignee(mode: str) -> str:
    """Who has signed in; a managed identity has no name that could be given."""
    signed_in = SIGNED_IN.search(mode)
    return signed_in[1] if signed_in and ASSIGNEE.fullmatch(signed_in[1]) else "IDENTITY"


def _firewall(error: Any) -> Advice:
    name = error.host.split(".")[0]
    return (
        azclierror.ForbiddenError,
        f"{_where(error)} does not let this machine's address in.{_said(error)}{_for_whom(error)}",
        f"Run from a network that it allows. Its rules: az acr show --name {name} --query "
        '"{public:publicNetworkAccess,rules:networkRuleSet}"',
    )


def _not_found(error: Any) -> Advice:
    repository, _, identifier = error.path.removeprefix("/v2/").partition("/manifests/")
    if not identifier:
        place = (
            f"{error.host}/{error.repository} ({error.origin}) does not exist" if error.repository else _where(error)
        )
        place += "" if error.repository else ": not found"
        return azclierror.ResourceNotFoundError, f"{place}.{_said(error)}", "Check the name."
    separator = "@" if ":" in identifier else ":"
    message = f"{error.host}/{repository}{separator}{identifier} ({error.origin}) does not exist.{_said(error)}"
    if _is_acr(error.host):
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


def _disallowed(error: Any) -> Advice:
    if "IMAGE_QUARANTINED" in error.codes:
        message = f"{_where(error)} keeps the image in quarantine, and you may not see it.{_said(error)}"
        return azclierror.ForbiddenError, message, catalogue.QUARANTINED.advice
    name, repository = error.host.split(".")[0], error.repository
    if not _is_acr(error.host):
        message = f"{_where(error)} does not allow this in{_what(error)}.{_said(error)}"
        return azclierror.ForbiddenError, message, "Check whether it is read-only, or a proxy or mirror of another one."
    image = f"{repository}:{error.path.rpartition('/_tags/')[2]}"
    known = {
        "repository locked": f"Unlock it: az acr repository update --name {name} --repository {repository} "
        "--write-enabled true",
        "tag locked": f"Unlock it: az acr repository update --name {name} --image {image} --write-enabled true",
        "manifest deleted": f"Bring it back: az acr manifest restore --registry {name} --name {repository} "
        f"--digest {error.path.rpartition('/_manifests/')[2]}",
    }
    if error.why:
        return (
            azclierror.ForbiddenError,
            f"{_where(error)} would refuse it: {error.text}.{_for_whom(error)} Nothing was changed.",
            known[error.why],
        )
    return (
        azclierror.ForbiddenError,
        f"{_where(error)} does not allow this in{_what(error)}: it is locked, read-only or quarantined.{_said(error)}",
        f"See what is locked: az acr repository show --name {name} --repository {repository} "
        "--query changeableAttributes",
    )


def _rate_limited(error: Any) -> Advice:
    if error.window:
        return _quota(error, f"{_whose(error)} limit of pulls at {_where(error)} is used up.{_said(error)}")
    wait = f"; it asks to wait {human_time(error.retry_after)}" if error.retry_after else ""
    advice = f"{AGAIN} If it limits again, ask more slowly: --jobs 1"
    if error.host == "docker.io" and error.mode in ("", "anonymous"):
        advice += f". {SIGN_IN_THERE}"
    return azclierror.AzureResponseError, f"{_where(error)} limits requests{wait}.{_said(error)}", advice


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
        f"{_where(error)} refused a part of the image as too large.{_said(error)}",
        "If a proxy stands before the registry, raise its limit for request bodies.",
    )


def _server_error(error: Any) -> Advice:
    kind = azclierror.AzureInternalError if _is_acr(error.host) else azclierror.AzureResponseError
    support = " If it stays, open a support request with the request id." if _is_acr(error.host) else ""
    return kind, f"{_where(error)} answered {error.status}{_what(error)}.{_said(error)}", AGAIN + support


def _registry_error(error: Any) -> Advice:
    message = f"{_where(error)} answered {error.status} to {error.method}{_what(error)}.{_said(error)}"
    if not error.status:  # found out here: its status was as it should be
        message = f"{_where(error)}: {error.text}.{_for_whom(error)}"
    return azclierror.AzureResponseError, message, f"{AGAIN} With --debug you see each request."


def _layout_error(error: Any) -> Advice:
    kind = azclierror.ResourceNotFoundError if error.missing else azclierror.FileOperationError
    advice = "Write it as oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:REPOSITORY:TAG]."
    if not os.path.exists(error.path):
        advice = f"Check the path{'' if os.path.isabs(error.path) else f'; it begins in {os.getcwd()}'}."
    elif os.path.isfile(error.path):
        advice += f" To see what is in the archive: tar --list --file {_word(error.path)}"
    return kind, error.message, advice


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
    return azclierror.AzureConnectionError, error.message + _for_whom(error), advice


def _tls_error(error: Any) -> Advice:
    advice = (
        "If its certificate is from a private authority, set REQUESTS_CA_BUNDLE to a file that holds it, or put it "
        f"into ~/.config/containers/certs.d/{error.host}/ca.crt. {SSLERROR_TEMPLATE}"
    )
    return azclierror.AzureConnectionError, error.message + _for_whom(error), advice


def _credential_error(error: Any) -> Advice:
    host = f"{error.subject} ({error.origin}): " if error.subject else ""
    other = "pass --username and --password" if error.origin == "source" else "sign in with docker login"
    advice = f"Correct it, or {other}. The variable DOCKER_CONFIG names another folder with a config.json."
    return azclierror.AuthenticationError, f"{host}{error.message}{_for_whom(error)}", advice


def _auth_error(error: Any) -> Advice:
    advice = "Check that the host is a container registry, and that no proxy answers in its place."
    return azclierror.AuthenticationError, error.message + _for_whom(error), advice


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
        "name": error.registry.partition(".")[0] if _is_acr(error.registry) else "NAME",
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
    client = catalogue.CLIENT.search(words)
    named = (client[2] or client[1]) if client else ""
    return named if ASSIGNEE.fullmatch(named) else "IDENTITY"


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
    engine.Unauthorized: _unauthorized,
    engine.Denied: _denied,
    engine.Firewall: _firewall,
    engine.NotFound: _not_found,
    engine.Disallowed: _disallowed,
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
    catalogue.ServiceError: _service_error,
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
    catalogue.ServiceGoesOn: lambda error: (
        azclierror.ManualInterrupt,
        error.message,
        f"To wait for its end: az acr import-wait --operation '{error.operation}'",
    ),
}
