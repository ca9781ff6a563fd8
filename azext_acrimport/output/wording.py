# SPDX-License-Identifier: MIT
"""The parts of which messages are made: at which registry, about what, as whom, and what it answered."""

from __future__ import annotations

import re
from typing import Any

from azure.cli.core import azclierror

from ..engine import EngineError, RegistryError

Advice = tuple[type[azclierror.AzCLIError], str, str]

# What Azure takes for somebody who is to have a role.
ASSIGNEE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\S+@\S+", re.IGNORECASE)


def where(error: Any) -> str:
    """The host, and its side."""
    return f"{error.host} ({error.origin})"


def what(error: RegistryError) -> str:
    """The repository that it is about, with a blank in front; empty where none is known."""
    return f" repository {error.repository}" if error.repository else ""


def answered(error: RegistryError) -> str:
    """What the registry said of it, as sentences with a blank in front."""
    said = " ".join(filter(None, (" ".join(error.codes), error.text))).rstrip(".")
    request = f" Request id {error.request_id}." if error.request_id else ""
    return (f" The registry's answer: {said}." if said else "") + request


def signed_in(mode: str) -> str:
    """Or, of a chain of ways, all that were tried."""
    if mode == "anonymous":
        return "without a sign-in"
    return f"signed in with {mode.replace(', then anonymous', ', then without a sign-in')}"


def for_whom(error: EngineError) -> str:
    """Repository and sign-in, after an error that is about neither."""
    parts = [f"repository {error.repository}"] if error.repository else []
    parts += [signed_in(error.mode)] if error.mode else []
    return f" This was about {', '.join(parts)}." if error.repository else ""


def is_acr(host: str) -> bool:
    """Whether it is an Azure container registry, of whichever cloud."""
    return ".azurecr." in host


def assignee(named: str) -> str:
    """Whom a role can be given: an id or a user's name; a word in capitals, to be filled in, for all else."""
    return named if ASSIGNEE.fullmatch(named) else "IDENTITY"
