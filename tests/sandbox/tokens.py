# SPDX-License-Identifier: MIT
"""The sandbox's tokens: JWTs that only the sandbox needs to believe, so a keyed hash signs them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any

KEY = secrets.token_bytes(32)


def issue(kind: str, lifetime: float, **claims: Any) -> str:
    """A token that lives so many seconds. ``kind``: entra, entra-refresh, acr-refresh, acr or hub."""
    # real ones have whole seconds; a part of a second lets tests have tokens that end soon
    issued = time.time()
    payload = {"kind": kind, "iat": issued, "nbf": issued, "exp": issued + lifetime, "jti": secrets.token_hex(8)}
    head = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = _encode(json.dumps(payload | claims).encode())
    return f"{head}.{body}.{_signature(head, body)}"


def check(token: str, *kinds: str) -> dict[str, Any] | None:
    """The claims of a token of these kinds that is ours and has not ended; else None."""
    head, _, rest = token.partition(".")
    body, _, signature = rest.partition(".")
    if not hmac.compare_digest(signature, _signature(head, body)):
        return None
    claims = claims_of(token)
    return claims if claims.get("kind") in kinds and claims["exp"] > time.time() else None


def claims_of(token: str) -> dict[str, Any]:
    """What the token says, believed or not."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def id_token(**claims: Any) -> str:
    """Unsigned, as MSAL is content to read it."""
    return f"{_encode(json.dumps({'alg': 'none'}).encode())}.{_encode(json.dumps(claims).encode())}."


def _signature(head: str, body: str) -> str:
    return _encode(hmac.new(KEY, f"{head}.{body}".encode(), hashlib.sha256).digest())


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
