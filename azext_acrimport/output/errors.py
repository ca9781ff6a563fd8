# SPDX-License-Identifier: MIT
"""az's errors: for what the engine raises, and for what goes wrong before any engine is asked."""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeAlias
from urllib.parse import urlsplit

from azure.cli.core import azclierror

from .. import engine
from ..engine import EngineError
from . import catalogue
from .advice import advice_for

AzCLIError: TypeAlias = azclierror.AzCLIError

# at the end of each of our messages
CODE = re.compile(r"\[([a-z]+(?:-[a-z]+)*)\]$")


def to_azclierror(error: EngineError) -> azclierror.AzCLIError:
    """The az exception for it: message with the stable code, and recommendation."""
    kind, message, recommendation = advice_for(error)
    return kind(f"{message} [{error.code}]", recommendation=recommendation)


def to_json(error: EngineError) -> dict[str, str | None]:
    """The member ``error`` of a result."""
    _, message, recommendation = advice_for(error)
    return {
        "code": error.code,
        "side": error.origin,
        "message": message,
        "recommendation": recommendation,
        "correlationId": getattr(error, "request_id", "") or None,
    }


def coded(error: azclierror.AzCLIError) -> dict[str, str | None] | None:
    """The member ``error`` of a result, for what went wrong before any engine was asked; None for what is az's own."""
    match = CODE.search(str(error.error_msg))
    if not match:
        return None
    side = match[1].partition("-")[0]
    return {
        "code": match[1],
        "side": side if side in ("source", "target", "arm") else "local",
        "message": str(error.error_msg)[: match.start()].rstrip(),
        "recommendation": " ".join(error.recommendations) or None,
        "correlationId": None,
    }


@contextmanager
def explained() -> Iterator[None]:
    """Where az ends without a word (Ctrl-C) or with a traceback (Entra ID out of reach), say what has become.

    SIGTERM is Ctrl-C by another hand: pipelines send it when a job is cancelled.
    """
    from requests.exceptions import RequestException, SSLError

    try:
        with _terminated_as_interrupted():
            yield
    except KeyboardInterrupt:
        raise to_azclierror(interrupted()) from None
    except EngineError as error:
        raise to_azclierror(error) from error
    except SSLError:
        raise  # az has good words for it
    except RequestException as error:
        raise azure_unreachable(error) from error


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what becomes of signals
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def raise_after_output(cli_ctx: Any, error: azclierror.AzCLIError) -> None:
    """az prints a result or an error, not both, unless the error comes when the result is out."""
    from knack.events import EVENT_CLI_SUCCESSFUL_EXECUTE

    def fail(*_: Any, **__: Any) -> None:
        cli_ctx.unregister_event(EVENT_CLI_SUCCESSFUL_EXECUTE, fail)
        raise error

    cli_ctx.register_event(EVENT_CLI_SUCCESSFUL_EXECUTE, fail)


def exit_for_usage(message: str, recommendation: str) -> NoReturn:
    """End as az's own parser does when the command line is wrong: exit code 2."""
    error = azclierror.InvalidArgumentValueError(message, recommendation=recommendation)
    error.print_error()
    error.send_telemetry()
    sys.exit(2)


def registry_not_found(cli_ctx: Any, name: str, side: str, subscription: dict[str, Any]) -> azclierror.AzCLIError:
    """A bare name that no registry of the subscription has."""
    return azclierror.ResourceNotFoundError(
        f"The {side} registry '{name}' was not found in subscription '{subscription['name']}' ({subscription['id']}). "
        f"[{side}-registry-not-found]",
        recommendation=[
            "See which registries there are: az acr list --output table",
            "If it is in another subscription, or you may not list registries, give its login server: "
            f"{name}{cli_ctx.cloud.suffixes.acr_login_server_endpoint}",
        ],
    )


def arm_error(error: Any, name: str, side: str) -> azclierror.AzCLIError:
    """ARM would not show one registry."""
    status = getattr(error, "status_code", None)
    text = getattr(getattr(error, "error", None), "message", None) or str(error)
    if status == 404:
        return azclierror.ResourceNotFoundError(
            f"The {side} registry '{name}' was not found: {text} [{side}-registry-not-found]",
            recommendation='Check the resource ID or resource group: az acr list --query "[].id" --output tsv',
        )
    kind = azclierror.ForbiddenError if status == 403 else azclierror.AzureResponseError
    return kind(
        f"Azure Resource Manager did not show the {side} registry '{name}': {text} [arm-denied]",
        recommendation="Give the registry's login server instead: nothing is asked of Azure Resource Manager for it.",
    )


def azure_unreachable(error: Exception) -> azclierror.AzCLIError:
    """Entra ID or Azure Resource Manager did not answer; az itself shows a traceback for some of these."""
    request = getattr(error, "request", None)
    host = urlsplit(getattr(request, "url", None) or "").netloc or "Azure"
    return azclierror.AzureConnectionError(
        f"{host} (arm) could not be reached: {type(error).__name__}. [arm-unreachable]",
        recommendation="Check the network, VPN and proxy (HTTPS_PROXY, NO_PROXY), then run the same command again.",
    )


def is_refused_by_entra(error: Exception) -> bool:
    """Entra ID gave no token: the audience is unknown there, or the person may not have one."""
    return isinstance(error, azclierror.AuthenticationError)


def export_disabled(host: str) -> azclierror.AzCLIError:
    """The source's owner has forbidden what we are asked to do."""
    return azclierror.ForbiddenError(
        f"{host} (source) does not let its images out: its export policy is disabled. [source-export-disabled]",
        recommendation=f"Its owner can change that: az acr update --name {host.split('.')[0]} --allow-exports true",
    )


def user_name_needed(host: str) -> azclierror.AzCLIError:
    """A password alone is an Entra token, which only an Azure container registry can use."""
    return azclierror.RequiredArgumentMissingError(
        f"{host} (source) is not an Azure container registry, so a password needs a user name. [invalid-credentials]",
        recommendation="Add --username.",
    )


def interrupted(item: engine.ItemResult | None = None) -> engine.Cancelled:
    """Ctrl-C: what is complete, what is not."""
    written = item.written if item else ()
    left = [target for target in item.targets if target not in written] if item else []
    blobs = item.blobs.copied + item.blobs.mounted if item else 0
    state = (
        f"Complete: {', '.join(written)}. Not written: {', '.join(left)}"
        if written
        else "No tag was written or changed"
    )
    return engine.Cancelled(f"Interrupted. {state}; {blobs} blob(s) were copied.")


def clearer(first: EngineError, second: EngineError) -> EngineError:
    """Of two engines' failures the one that a person can act on: a right that lacks for both is the first one's."""
    unable = isinstance(second, catalogue.ServiceError) and second.known.slug in (
        "role-missing",
        "registry-not-found",
    )
    return first if unable else second


def not_for_service(host: str) -> azclierror.AzCLIError:
    """The service was named, and cannot know this target."""
    return azclierror.InvalidArgumentValueError(
        f"The import service imports into Azure container registries, and {host} is none. [target-not-azure]",
        recommendation="Copy through this machine: --engine embedded.",
    )


def unmanaged(host: str) -> azclierror.AzCLIError:
    """As core says it."""
    return azclierror.InvalidArgumentValueError(
        f"Imports are only supported for managed registries, and {host} is a classic one. [target-sku]",
        recommendation="Copy through this machine: --engine embedded.",
    )
