# SPDX-License-Identifier: MIT
"""What goes wrong beside the engines: registries are looked up, az signs in, Azure is asked. One class a code."""

from __future__ import annotations

from typing import Any, ClassVar

from azure.cli.core import azclierror

from ..engine import EngineError
from ..progress.amounts import counted

NETWORK = "Check the network, VPN and proxy (HTTPS_PROXY, NO_PROXY), then run the same command again."


class Problem(EngineError):
    """Base. ``side``: source, target, arm or local; ``kind``: az's class, ``advice``: what to type next."""

    kind: type[azclierror.AzCLIError] = azclierror.AzureResponseError
    side: ClassVar[str] = "arm"

    def __init__(self, message: str, advice: str, *, side: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.origin = side or self.side  # type: ignore[assignment]  # the engine has no side called arm
        self.advice = advice
        self.request_id = request_id


class RegistryNotFound(Problem):
    """No registry has this name, login server or resource ID (exit code 3)."""

    slug = "registry-not-found"
    side = "SIDE"
    kind = azclierror.ResourceNotFoundError


class ExportDisabled(Problem):
    """The source's owner has forbidden that its images leave."""

    slug = "export-disabled"
    side = "source"
    kind = azclierror.ForbiddenError


class ArmDenied(Problem):
    """Azure Resource Manager does not show the registry."""

    slug = "denied"
    kind = azclierror.ForbiddenError


class AzureUnreachable(Problem):
    """Entra ID or Azure Resource Manager did not answer, or answered that it is in trouble itself."""

    slug = "unreachable"
    kind = azclierror.AzureConnectionError


class AzureThrottled(Problem):
    """Azure Resource Manager limits requests."""

    slug = "throttled"


class SignedOut(Problem):
    """az is not signed in, or not to that subscription, or Entra ID gave no token."""

    slug = "sign-in"
    kind = azclierror.UnauthorizedError


class UserNameNeeded(Problem):
    """A password without a user name is an Entra token, which only a container registry takes."""

    slug = "invalid-credentials"
    side = "local"
    kind = azclierror.RequiredArgumentMissingError


class NotAzure(Problem):
    """The service imports into Azure container registries only."""

    slug = "not-azure"
    side = "target"
    kind = azclierror.InvalidArgumentValueError


class ClassicRegistry(Problem):
    """The service does not import into a classic registry."""

    slug = "sku"
    side = "target"
    kind = azclierror.InvalidArgumentValueError


class BatchIncomplete(Problem):
    """Some images of a batch are not where they should be; the report says which, and why."""

    slug = "batch-incomplete"
    side = "local"


class NothingSelected(Problem):
    """No image is what a batch asks for."""

    slug = "nothing-selected"
    side = "local"


class ReportNotWritten(Problem):
    """The file that --report names could not be written in the end."""

    slug = "report-not-written"
    side = "local"
    kind = azclierror.FileOperationError


def batch_incomplete(failed: int, count: int, *, dry_run: bool) -> BatchIncomplete:
    """So many of so many."""
    if dry_run:
        of = f"{failed} of {counted(count, 'image')}"
        return BatchIncomplete(f"{of} would not be imported.", "The result says why, and what to do first.")
    return BatchIncomplete(
        f"{failed} of {counted(count, 'image')} {'was' if failed == 1 else 'were'} not imported.",
        "The result says why. Run the same command again: it does only what is missing.",
    )


def nothing_selected() -> NothingSelected:
    """The patterns, the registries or the exclusions leave nothing."""
    return NothingSelected(
        "No image was selected.", "Check --source, --tags and --exclude; without --tags all tags are meant."
    )


def report_not_written(said: str) -> ReportNotWritten:
    """Everything else is done."""
    return ReportNotWritten(f"The report was not written: {said}.", "The result on standard output has all of it.")


def registry_not_found(name: str, side: str, looked_in: str, login_server: str) -> RegistryNotFound:
    """``looked_in``: the subscriptions, in words; ``login_server``: what it would have, or empty."""
    elsewhere = f", give its login server: {login_server}" if login_server else ", give its login server"
    return RegistryNotFound(
        f"The {side} registry '{name}' was not found in {looked_in}.",
        "See which registries there are: az acr list --output table. If it is in another subscription, or you may not "
        f"list registries{elsewhere}.",
        side=side,
    )


def arm_refused(what: str, side: str, *, status: int, said: str, request_id: str, is_page: bool = False) -> Problem:
    """ARM would not show ``what``, one registry or several. ``said``: its words, in which it names the subscription.

    ``is_page``: what came is for a browser.
    """
    ids: dict[str, Any] = {"request_id": request_id}
    if status == 401:
        return SignedOut(f"Azure Resource Manager did not accept the sign-in: {said}", "Sign in: az login", **ids)
    if status == 404:
        return RegistryNotFound(
            f"{what[0].upper()}{what[1:]} could not be found: {said}",
            'Check the resource ID or resource group: az acr list --query "[].id" --output tsv',
            side=side,
            **ids,
        )
    if status == 429:
        return AzureThrottled(
            f"Azure Resource Manager limits requests: {said}",
            "Run the same command again in some minutes.",
            **ids,
        )
    if status >= 500:
        return unreachable("Azure Resource Manager", f"it answered {status}", request_id)
    if status < 400 or status == 407 or is_page:  # a proxy's page has come in its place
        return unreachable("Azure Resource Manager", "something else answered in its place", request_id)
    return ArmDenied(
        f"Azure Resource Manager did not show {what}: {said}",
        "Give the registry's login server instead: the registry itself is asked then.",
        **ids,
    )


def unreachable(host: str, why: str, request_id: str = "") -> AzureUnreachable:
    """Entra ID or ARM; az itself shows a traceback for some of these."""
    return AzureUnreachable(f"{host} could not be reached: {why}.", NETWORK, request_id=request_id)


def export_disabled(host: str) -> ExportDisabled:
    """The source's owner has forbidden what we are asked to do."""
    return ExportDisabled(
        f"{host} (source) does not let its images out: its export policy is disabled.",
        f"Its owner can change that: az acr update --name {host.split('.')[0]} --allow-exports true",
    )


def user_name_needed(host: str) -> UserNameNeeded:
    """A password alone is an Entra token."""
    return UserNameNeeded(
        f"{host} (source) is not an Azure container registry, so a password needs a user name.", "Add --username."
    )


def not_azure(host: str) -> NotAzure:
    """The service was named, and cannot know this target."""
    return NotAzure(
        f"The import service imports into Azure container registries, and {host} is none.",
        "Copy through this machine: --engine embedded, and no --no-wait.",
    )


def classic_registry(host: str) -> ClassicRegistry:
    """As core says it."""
    return ClassicRegistry(
        f"Imports are only supported for managed registries, and {host} is a classic one.",
        "Copy through this machine: --engine embedded.",
    )
