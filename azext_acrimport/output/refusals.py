# SPDX-License-Identifier: MIT
"""What it means when a registry says no, and what to type then: sign in, ask for a role, unlock."""

from __future__ import annotations

import re
from typing import Any

from azure.cli.core import azclierror

from . import catalogue
from .wording import Advice, answered, assignee, for_whom, is_acr, signed_in, what, where

# another az login would lose the identity that the target wants
FOREIGN_SIGN_IN = (
    "az account get-access-token --tenant TENANT --resource https://containerregistry.azure.net --query accessToken "
    "--output tsv > token.txt, then the same command with --password @token.txt"
)

# As credentials are told of (registries.credentials).
SIGNED_IN = re.compile(r"the az login identity (\S+) of tenant")


def unauthorized(error: Any) -> Advice:
    """A sign-in is missing, or was refused."""
    if error.mode == "anonymous":
        message = f"{where(error)} asks for a sign-in for{what(error) or ' this registry'}, and none was given."
    else:
        tried = error.mode.replace(", then anonymous", ", and then anonymous access,")
        about = f" for{what(error)}" if what(error) else ""
        message = f"{where(error)} refused the sign-in with {f'{tried}{about}'.rstrip(',')}."
    return azclierror.UnauthorizedError, message + answered(error), _login(error)


def denied(error: Any) -> Advice:
    """Whoever we are may not do this there."""
    pull = error.origin == "source"
    message = f"{where(error)} denied {'pull from' if pull else 'push to'}{what(error) or ' the registry'}"
    message += f"{' ' if error.mode == 'anonymous' else '; '}{signed_in(error.mode)}."
    if error.mode == "anonymous":
        advice = _login(error)
    elif not is_acr(error.host):
        advice = f"The account needs the right to {'pull' if pull else 'push'}. " + _login(error)
    else:
        advice = _role(error, *(("AcrPull", "Reader") if pull else ("AcrPush", "Writer")))
    return azclierror.ForbiddenError, message + answered(error), advice


def _login(error: Any) -> str:
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
        first = "Sign in: az login. Or pass" if is_acr(error.host) else "Pass"
        return (
            f"{first} --username and --password. Many registries also answer so when there is no such repository: "
            "check its name."
        )
    return (
        "Check --username and --password. Many registries also answer so when there is no such repository: check its "
        "name."
    )


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
        f'{grant}: az role assignment create --role "{role}" --assignee {_who(error.mode)} '
        f"--scope $(az acr show --name {error.host.split('.')[0]} --query id --output tsv)"
    )


def _who(mode: str) -> str:
    """Who has signed in, as a role takes it; a managed identity has no name that could be given."""
    found = SIGNED_IN.search(mode)
    return assignee(found[1] if found else "")


def firewall(error: Any) -> Advice:
    """Rules of the network stand in the way."""
    name = error.host.split(".")[0]
    return (
        azclierror.ForbiddenError,
        f"{where(error)} does not let this machine's address in.{answered(error)}{for_whom(error)}",
        f"Run from a network that it allows. Its rules: az acr show --name {name} --query "
        '"{public:publicNetworkAccess,rules:networkRuleSet}"',
    )


def disallowed(error: Any) -> Advice:
    """What is there is locked, read-only or in quarantine."""
    if "IMAGE_QUARANTINED" in error.codes:
        message = f"{where(error)} keeps the image in quarantine, and you may not see it.{answered(error)}"
        return azclierror.ForbiddenError, message, catalogue.QUARANTINED.advice
    name, repository = error.host.split(".")[0], error.repository
    if not is_acr(error.host):
        message = f"{where(error)} does not allow this in{what(error)}.{answered(error)}"
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
            f"{where(error)} would refuse it: {error.text}.{for_whom(error)} Nothing was changed.",
            known[error.why],
        )
    return (
        azclierror.ForbiddenError,
        f"{where(error)} does not allow this in{what(error)}: it is locked, read-only or quarantined.{answered(error)}",
        f"See what is locked: az acr repository show --name {name} --repository {repository} "
        "--query changeableAttributes",
    )
