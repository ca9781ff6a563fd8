# SPDX-License-Identifier: MIT
"""Who we are at a registry. Asked for late, by host, and asked again when a token has run out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["ANONYMOUS", "Credential", "CredentialProvider"]


@dataclass(frozen=True, slots=True)
class Credential:
    """One of: user name and password, a registry's refresh token, an Entra access token; or nothing of these.

    ``mode`` is how people know it ("az login identity"); it is the only member that is ever shown.
    ``entra_token`` is exchanged at the registry that it is given for, or at ``exchange`` (the login server of a
    registry that is asked at a regional endpoint), and sent nowhere else. ``otherwise``: who to be when the registry
    refuses this one, or None at the end of the chain. ``by_repository``: as in ``Denied``, where it is known before.
    """

    mode: str = "anonymous"
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    entra_token: str = field(default="", repr=False)
    tenant: str = ""
    exchange: str = ""
    otherwise: Callable[[], Credential | None] | None = field(default=None, repr=False, compare=False)
    by_repository: bool | None = None


ANONYMOUS = Credential()


class CredentialProvider(Protocol):
    """Called when a registry asks, in the thread that needs the answer. May be slow; must be safe in any thread."""

    def __call__(self) -> Credential:
        """The credential, valid now."""
