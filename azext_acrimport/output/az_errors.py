# SPDX-License-Identifier: MIT
"""What az itself and the libraries below it raise while they sign in or ask Azure, as problems."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from azure.cli.core import azclierror
from azure.cli.core.util import SSLERROR_TEMPLATE
from knack.util import CLIError

from ..engine import EngineError, TlsError, foreign_text, network_error
from .problem import AzureUnreachable, Problem, SignedOut, unreachable

# az's words for one that is none, or none of those that were there at the sign-in
NO_SUBSCRIPTION = re.compile(r"Subscription ('.*') not found")
# what comes of reading an answer that is none of Azure's
MISREAD = (AttributeError, KeyError, TypeError, IndexError)
WRONG_PROXY = "HTTPS_PROXY is not the address of a proxy"


def no_answer(host: str, error: Exception) -> AzureUnreachable:
    """``error``: whatever requests, or the SDK above it, has raised."""
    failure = network_error(error, host, "local")
    problem = unreachable(host, WRONG_PROXY if _is_no_address(error) else failure.detail)
    problem.advice = SSLERROR_TEMPLATE if isinstance(failure, TlsError) else problem.advice
    return problem


@contextmanager
def az_errors() -> Iterator[None]:
    """Around whatever may ask az or Azure something."""
    from requests.exceptions import RequestException

    try:
        yield
    except RequestException as error:
        raise no_answer(_host(error), error) from error
    except CLIError as error:  # the base of az's own errors, too
        said = " ".join(str(getattr(error, "error_msg", "") or error).split()).rstrip(".")
        advice = " ".join(getattr(error, "recommendations", ())) or "Sign in: az login"
        problem = SignedOut(f"az could not sign in: {said}.", advice)
        if named := NO_SUBSCRIPTION.match(said):
            problem = SignedOut(
                f"az knows no subscription {foreign_text(named[1])}.",
                "See which there are: az account list --output table. One that is new is known after: az login",
            )
        if isinstance(error, azclierror.AzCLIError):
            problem.kind = type(error)
        raise problem from error


@contextmanager
def asked_of_azure() -> Iterator[None]:
    """As ``az_errors``, around nothing but what az and its libraries do: a page in the place of Entra ID or ARM, or a
    proxy or a file that is none, is a ValueError or an OSError there, and JSON of another form a TypeError or the like.
    Their words may hold a password: they end here.
    """
    try:
        with az_errors():
            yield
    except EngineError:
        raise
    except Exception as error:
        if not isinstance(error, (ValueError, OSError, *MISREAD)) and not _is_msals(error):
            raise
        raise _misled(error) from None


def _misled(error: Exception) -> Problem:
    if _is_no_address(error):
        return no_answer("Azure", error)
    # msal has one sentence for whatever keeps it from Entra ID
    failure = next((cause for cause in _causes(error) if isinstance(cause, OSError)), None)
    if failure is None or isinstance(failure, ValueError):
        return unreachable("Azure", "something else answered in the place of Entra ID or Azure Resource Manager")
    if not failure.filename:
        return no_answer("Azure", failure)
    return SignedOut(
        f"az could not sign in: it may not use its file {failure.filename} ({failure.strerror}).",
        "Make it yours again, or sign in anew: az login",
    )


def _is_no_address(error: Exception) -> bool:
    """Of a proxy: Azure's own addresses are well."""
    from requests.exceptions import InvalidURL
    from urllib3.exceptions import LocationValueError

    return any(isinstance(cause, (InvalidURL, LocationValueError)) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_msals(error: Exception) -> bool:
    from msal.exceptions import MsalError  # whoever has raised one has loaded it

    return isinstance(error, MsalError)


def _host(error: Any) -> str:
    return urlsplit(getattr(getattr(error, "request", None), "url", None) or "").netloc or "Azure"
