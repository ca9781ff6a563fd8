# SPDX-License-Identifier: MIT
"""A token and how long it lasts, counted from the moment it came: clocks of registries are not ours."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..errors import AuthError
from ..transport.response import Answer

__all__ = ["MAX_TOKEN_BYTES", "Token"]

# Headers are limited to 8 to 32 KiB by the servers that would have to read the token again; four times that is room
# for the JSON around it and for services that send it under both names.
MAX_TOKEN_BYTES = 128 * 1024
# "For compatibility with older clients, a token should never be returned with less than 60 seconds to live", and 60 is
# the default where expires_in is absent. https://distribution.github.io/distribution/spec/auth/token/
DEFAULT_LIFETIME = 60.0
# Renew before the end: a request that is on its way must still find the token valid.
MARGIN = 0.15
MAX_MARGIN = 60.0
# Seconds; the year 33658. JSON knows larger numbers, and clocks do not.
MAX_TIME = 1e12


@dataclass(frozen=True, slots=True)
class Token:
    """``expires_at`` is on the clock given, in seconds. ``granted``: actions by repository, where the token tells.

    A registry may give a token with fewer rights than were asked for (ACR does); None means that it does not tell.
    ``by_repository``: the claim ``aad_identity``, by which a refresh token of ACR shows that rights are granted for
    single repositories; https://github.com/Azure/acr-cli/blob/main/internal/api/acrsdk.go
    """

    value: str = field(repr=False)
    expires_at: float
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    granted: Mapping[str, frozenset[str]] | None = field(default=None, repr=False)
    by_repository: bool = False

    @property
    def header(self) -> str:
        """The value of an Authorization header."""
        return f"Bearer {self.value}"

    @property
    def expired(self) -> bool:
        """True a little before the end of its life."""
        return self.clock() >= self.expires_at

    @classmethod
    def from_answer(
        cls, answer: Answer, *members: str, host: str, clock: Callable[[], float] = time.monotonic
    ) -> Token:
        """The first of these members of a JSON answer that is a text. Raises AuthError when there is none."""
        try:
            body = json.loads(answer.body)
        except (ValueError, RecursionError):
            body = None
        body = body if isinstance(body, dict) else {}
        value = next((body[m] for m in members if isinstance(body.get(m), str) and body[m]), None)
        if value is None or any(not 32 < ord(character) < 127 for character in value):
            where = urlsplit(answer.url).netloc
            raise AuthError(host, f"its token service at {where} answered without a token", origin=answer.origin)
        claims = _claims(value)
        lifetime = _lifetime(body, claims)
        expires_at = clock() + lifetime - min(MAX_MARGIN, MARGIN * lifetime)
        return cls(value, expires_at, clock, _granted(claims), bool(claims.get("aad_identity")))


def _granted(claims: dict[str, Any]) -> Mapping[str, frozenset[str]] | None:
    """The claim ``access`` of https://distribution.github.io/distribution/spec/auth/jwt/"""
    access = claims.get("access")
    if not isinstance(access, list) or not all(isinstance(entry, dict) for entry in access):
        return None
    repositories = [e for e in access if e.get("type") == "repository" and isinstance(e.get("name"), str)]
    return {entry["name"]: _actions(entry.get("actions")) for entry in repositories}


def _actions(value: Any) -> frozenset[str]:
    return frozenset(action for action in value if isinstance(action, str)) if isinstance(value, list) else frozenset()


def _lifetime(body: dict[str, Any], claims: dict[str, Any]) -> float:
    """Seconds: from expires_in, else from the claims of a JWT (ACR sends no expires_in), else the default."""
    stated = _seconds(body.get("expires_in"))
    if stated is not None:
        return max(stated, 0.0)
    issued, expires = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
    if expires is None:
        return DEFAULT_LIFETIME
    return max(expires - (time.time() if issued is None else issued), 0.0)


def _seconds(value: Any) -> float | None:
    """A JSON number that can be a time: no truth value, no NaN, nothing beyond MAX_TIME."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and abs(value) <= MAX_TIME else None


def _claims(value: str) -> dict[str, Any]:
    """The payload of a JWT, unverified: it is ours to read, not to trust. Empty for an opaque token."""
    try:
        payload = value.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
