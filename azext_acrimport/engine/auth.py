# SPDX-License-Identifier: MIT
"""Authorization for one registry: from its challenge and our credential to the header of the next request.

Bearer tokens: https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/
The exchange of an Entra token: https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterable, Sequence
from urllib.parse import urlencode, urljoin, urlsplit

from . import network
from .bearer import Token
from .challenge import Challenge, Scope
from .credential import Credential, CredentialProvider
from .errors import AuthError, Denied, Firewall, NetworkError, Rejected, Unauthorized
from .transport import Transport

__all__ = ["TokenProvider"]

CLIENT_ID = "acrimport"


class TokenProvider:
    """One a registry host and side. Each set of scopes is asked for once, however many threads want it."""

    def __init__(self, registry: str, transport: Transport, provide: CredentialProvider) -> None:
        self._registry = registry
        self._transport = transport
        self._provide = provide
        self._credential: Credential | None = None
        self._challenge: Challenge | None = None
        self._realm = ""
        self._tokens: dict[tuple[Scope, ...], Token] = {}
        self._refresh: Token | None = None
        self._lock = threading.RLock()

    @property
    def mode(self) -> str:
        """How we sign in here, in words; "anonymous" until a registry has asked."""
        return self._credential.mode if self._credential else "anonymous"

    @property
    def asked(self) -> bool:
        """True when the registry has asked who we are."""
        return self._credential is not None

    @property
    def by_repository(self) -> bool | None:
        """As in ``Denied``: True when the registry's refresh token tells so, else what the credential knows."""
        if self._refresh and self._refresh.by_repository:
            return True
        return self._credential.by_repository if self._credential else None

    def lacks(self, scopes: Iterable[Scope]) -> tuple[Scope, ...]:
        """What of this the registry has told, in a token that it gave for it, that we may not do. Asks for nothing."""
        wanted = Scope.merged(scopes)
        with self._lock:
            token = self._usable(wanted)
        if token is None or token.granted is None:
            return ()
        missing = [
            Scope(
                scope.repository, tuple(sorted(set(scope.actions) - token.granted.get(scope.repository, frozenset())))
            )
            for scope in wanted
        ]
        return tuple(scope for scope in missing if scope.actions)

    def authorization(self, scopes: Iterable[Scope]) -> str | None:
        """The header's value, or None while the registry has not asked for any. Raises what fetching raises."""
        with self._lock:
            return self._header(Scope.merged(scopes), ()) if self._challenge else None

    def challenged(
        self, challenges: Sequence[Challenge], url: str, scopes: Iterable[Scope], rejected: str | None
    ) -> str | None:
        """After a 401 at ``url``: another value than ``rejected``, or None when there is nothing else to try."""
        wanted = Scope.merged(scopes)
        with self._lock:
            self._learn(challenges, url)
            self._tokens = {scopes: token for scopes, token in self._tokens.items() if token.header != rejected}
            asked = Scope.parse_all(self._challenge.parameters.get("scope", "")) if self._challenge else ()
            header = self._header(wanted, asked)
            return header if header != rejected else None

    def _learn(self, challenges: Sequence[Challenge], url: str) -> None:
        """Choose Bearer where it is offered. A 401 without any challenge keeps what was learned before."""
        usable = [c for c in challenges if c.scheme == "bearer" and c.parameters.get("realm")]
        usable += [c for c in challenges if c.scheme == "basic"]
        if not usable and self._challenge is None:
            offered = ", ".join(c.scheme for c in challenges) or "nothing"
            raise self._error(f"it wants a sign-in, but offers no way that is known here ({offered})")
        if usable:
            self._challenge = usable[0]
            self._realm = self._checked_realm(url) if usable[0].scheme == "bearer" else ""

    def _checked_realm(self, url: str) -> str:
        """Where tokens are fetched. A registry may name another host, but not a less safe place than itself."""
        assert self._challenge
        try:
            realm = network.join(url, self._challenge.parameters["realm"], self._transport.origin)
        except NetworkError:
            raise self._error("its token service has no usable address") from None
        own, parts = urlsplit(url), urlsplit(realm)
        if parts.scheme not in ("https", "http") or (parts.scheme == "http" and own.scheme == "https"):
            raise self._error(f"its token service is not at an https address ({parts.scheme}://{parts.netloc})")
        if parts.scheme == "http" and parts.hostname != own.hostname:
            raise self._error(f"its token service is at another host without TLS ({parts.netloc})")
        if network.is_private(parts.netloc) and not network.is_private(own.netloc):
            raise self._error(f"its token service is at a private address ({parts.netloc})")
        return realm

    def _header(self, wanted: tuple[Scope, ...], asked: tuple[Scope, ...]) -> str | None:
        if self._credential is None:
            self._credential = self._provide()
        if self._challenge is None or self._challenge.scheme == "basic":
            return _basic(self._credential) if self._credential.password else None
        token = self._usable(wanted)
        if token is None:
            # what the registry has just asked for comes first: some token services look at the first scope only
            token = self._fetch(Scope.merged((*asked, *wanted)))
            self._tokens[wanted] = token
        return token.header

    def _usable(self, wanted: tuple[Scope, ...]) -> Token | None:
        for scopes, token in list(self._tokens.items()):
            if token.expired:
                del self._tokens[scopes]
            elif _covers(scopes, wanted):
                return token
        return None

    def _fetch(self, scopes: tuple[Scope, ...]) -> Token:
        assert self._credential and self._challenge
        service = self._challenge.parameters.get("service", "")
        fields = [("service", service)] if service else []
        reused = self._refresh is not None
        try:
            if self._credential.entra_token:
                refresh_token = self._exchanged(service).value
            else:
                refresh_token = self._credential.refresh_token
            if refresh_token:
                fields += [("grant_type", "refresh_token"), ("client_id", CLIENT_ID)]
                fields += [("scope", " ".join(map(str, scopes))), ("refresh_token", refresh_token)]
                return self._post(self._realm, fields, "access_token", "token")
            return self._get(fields + [("scope", str(scope)) for scope in scopes])
        except Firewall:
            raise
        except (Unauthorized, Denied, Rejected) as error:
            if self._refresh and reused:  # it may have been withdrawn; a new one settles it
                self._refresh, self._credential = None, self._provide()
                return self._fetch(scopes)
            if self._credential.otherwise:
                self._refresh, self._credential = None, self._credential.otherwise()
                return self._fetch(scopes)
            refusal = Unauthorized(
                self._transport.names.get(self._registry, self._registry),
                origin=self._transport.origin,
                method=error.method,
                path=error.path,
                status=error.status,
                codes=error.codes,
                text=error.text or f"from {error.host}",
                request_id=error.request_id,
                mode=self._credential.mode,
            )
            raise refusal from None

    def _get(self, fields: list[tuple[str, str]]) -> Token:
        assert self._credential
        headers = {"Authorization": _basic(self._credential)} if self._credential.password else {}
        separator = "&" if urlsplit(self._realm).query else "?"
        url = f"{self._realm}{separator}{urlencode(fields)}"
        response = self._transport.send("GET", url, accept={200}, headers=headers, mode=self.mode)
        return Token.from_response(response, "token", "access_token", host=self._registry)

    def _post(self, url: str, fields: list[tuple[str, str]], *members: str) -> Token:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(fields).encode()
        response = self._transport.send("POST", url, accept={200}, headers=headers, body=body, mode=self.mode)
        return Token.from_response(response, *members, host=self._registry)

    def _exchanged(self, service: str) -> Token:
        """The registry's refresh token for our Entra token; the provider is asked again when it has run out."""
        assert self._credential
        if self._refresh is None or self._refresh.expired:
            if self._refresh:
                self._credential = self._provide()
            realm = urlsplit(self._realm)
            allowed = {self._registry, self._credential.exchange}
            if realm.scheme != "https" or realm.netloc not in allowed:
                raise self._error(f"an Entra token is not sent to {realm.scheme}://{realm.netloc}")
            fields = [("grant_type", "access_token"), ("service", service)]
            fields += [("tenant", self._credential.tenant)] if self._credential.tenant else []
            fields += [("access_token", self._credential.entra_token)]
            self._refresh = self._post(urljoin(self._realm, "/oauth2/exchange"), fields, "refresh_token")
        return self._refresh

    def _error(self, reason: str) -> AuthError:
        name = self._transport.names.get(self._registry, self._registry)
        return AuthError(name, reason, origin=self._transport.origin)


def _basic(credential: Credential) -> str:
    pair = f"{credential.username}:{credential.password}".encode()
    return f"Basic {base64.b64encode(pair).decode('ascii')}"


def _covers(held: tuple[Scope, ...], wanted: tuple[Scope, ...]) -> bool:
    actions = {scope.repository: set(scope.actions) for scope in held}
    return bool(wanted or not held) and all(set(s.actions) <= actions.get(s.repository, set()) for s in wanted)
