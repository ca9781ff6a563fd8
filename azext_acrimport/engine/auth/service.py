# SPDX-License-Identifier: MIT
"""What is asked of a token service. Who may be named there is decided before, by ``realm``.

Bearer tokens: https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/
The exchange of an Entra token: https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import urlencode, urljoin, urlsplit

from ..transport.response import Answer
from ..transport.transport import Transport
from .credential import Credential
from .realm import Realm
from .scope import Scope
from .token import MAX_TOKEN_BYTES, Token

__all__ = ["TokenService", "basic"]

CLIENT_ID = "acrimport"


class TokenService:
    """That of one registry. All raise what ``Transport.fetch`` raises, and AuthError for an answer without a token."""

    def __init__(self, registry: str, transport: Transport) -> None:
        self._registry = registry
        self._transport = transport

    def token(self, realm: Realm, credential: Credential, scopes: Iterable[Scope]) -> Token:
        """An access token, by user name and password, or for nobody."""
        headers = {"Authorization": basic(credential)} if credential.password else {}
        separator = "&" if urlsplit(realm.url).query else "?"
        fields = [*_named(realm), *(("scope", str(scope)) for scope in scopes)]
        answer = self._ask(realm, "GET", f"{realm.url}{separator}{urlencode(fields)}", credential, headers)
        return Token.from_answer(answer, "token", "access_token", host=self._registry)

    def renewed(self, realm: Realm, credential: Credential, refresh_token: str, scopes: Iterable[Scope]) -> Token:
        """An access token, by a refresh token."""
        fields = [*_named(realm), ("grant_type", "refresh_token"), ("client_id", CLIENT_ID)]
        fields += [("scope", " ".join(map(str, scopes))), ("refresh_token", refresh_token)]
        return self._post(realm, realm.url, fields, credential, "access_token", "token")

    def exchanged(self, realm: Realm, credential: Credential) -> Token:
        """The registry's refresh token for an Entra token."""
        fields = [("grant_type", "access_token"), ("service", realm.service)]
        fields += [("tenant", credential.tenant)] if credential.tenant else []
        fields += [("access_token", credential.entra_token)]
        return self._post(realm, urljoin(realm.url, "/oauth2/exchange"), fields, credential, "refresh_token")

    def _post(
        self, realm: Realm, url: str, fields: list[tuple[str, str]], credential: Credential, *members: str
    ) -> Token:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self._ask(realm, "POST", url, credential, headers, urlencode(fields, errors="replace").encode())
        return Token.from_answer(answer, *members, host=self._registry)

    def _ask(
        self,
        realm: Realm,
        method: str,
        url: str,
        credential: Credential,
        headers: dict[str, str],
        body: bytes | None = None,
    ) -> Answer:
        return self._transport.fetch(
            method,
            url,
            accept={200},
            limit=MAX_TOKEN_BYTES,
            headers=headers,
            body=body,
            retry=not realm.presumed,
            mode=credential.mode,
            sent_by=realm.asked_at,
        )


def basic(credential: Credential) -> str:
    """The value of an Authorization header."""
    pair = f"{credential.username}:{credential.password}".encode(errors="replace")
    return f"Basic {base64.b64encode(pair).decode('ascii')}"


def _named(realm: Realm) -> list[tuple[str, str]]:
    return [("service", realm.service)] if realm.service else []
