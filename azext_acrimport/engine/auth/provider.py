# SPDX-License-Identifier: MIT
"""Authorization for one registry: from its challenge and our credential to the header of the next request.

Bearer tokens: https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/
The exchange of an Entra token: https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import urlencode, urljoin, urlsplit

from ..errors import AuthError, Denied, Firewall, NetworkError, RegistryError, Rejected, Unauthorized
from ..transport import addresses
from ..transport.response import Answer
from ..transport.transport import Transport
from ..waiting import SingleFlight
from .challenge import Challenge
from .credential import Credential, CredentialProvider
from .scope import Scope
from .token import MAX_TOKEN_BYTES, Token

__all__ = ["TokenProvider"]

CLIENT_ID = "acrimport"


class TokenProvider:
    """One a registry host and side. Each set of scopes is asked for once, however many threads want it.

    Different sets are fetched at the same time, and a token that is here waits for none of them.
    """

    def __init__(self, registry: str, transport: Transport, provide: CredentialProvider, *, acr: bool = False) -> None:
        """``acr``: an Azure container registry, which is its own token service."""
        self._registry = registry
        self._acr = acr
        self._transport = transport
        self._provide = provide
        self._credential: Credential | None = None
        # of the first credential, when another one has taken its place: that is what a person can mend
        self._first_refusal: Callable[[], Unauthorized] | None = None
        # who we are for single repositories, where the registry let the first one in, but not there
        self._instead: dict[tuple[str, ...], Credential] = {}
        self._challenge: Challenge | None = None
        self._realm = ""
        # the registry's own hosts: itself, and where those of the chain say that it is at home
        self._homes = {registry}
        # the URL of the request that was answered with the challenge
        self._asked_at = ""
        self._tokens: dict[tuple[Scope, ...], Token] = {}
        # which sets of scopes have a token that says something of a repository
        self._covering: dict[str, set[tuple[Scope, ...]]] = {}
        self._refresh: Token | None = None
        self._lock = threading.Lock()
        self._flights = SingleFlight(transport.cancellation)

    @property
    def mode(self) -> str:
        """How we sign in here, in words; "anonymous" until a registry has asked."""
        return self._credential.mode if self._credential else "anonymous"

    def mode_for(self, scopes: Iterable[Scope]) -> str:
        """The same, for these repositories."""
        who = self.who(scopes)
        return who.mode if who else "anonymous"

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

    def allow(self, scope: Scope) -> bool:
        """Whether a token that is here says that it is good for this. Asks for nothing."""
        with self._lock:
            known = [self._tokens[scopes] for scopes in self._covering.get(scope.repository, ())]
        granted = [(token.granted or {}).get(scope.repository, frozenset()) for token in known if not token.expired]
        return any(actions.issuperset(scope.actions) for actions in granted)

    def authorization(self, scopes: Iterable[Scope]) -> str | None:
        """The header's value, or None while the registry has not asked for any. Raises what fetching raises."""
        return self._header(Scope.merged(scopes), ()) if self._challenge else None

    def learn(self, challenges: Sequence[Challenge], url: str) -> Challenge | None:
        """After a 401 at ``url``: how to sign in. Bearer where it is offered; None, and nothing new, without any.

        Raises AuthError.
        """
        usable = [c for c in challenges if c.scheme == "bearer" and c.parameters.get("realm")]
        usable += [c for c in challenges if c.scheme == "basic"]
        if not usable and self._challenge is None:
            offered = ", ".join(c.scheme for c in challenges) or "nothing"
            raise self._error(f"it asks for a sign-in, but in no way that acrimport knows ({offered})")
        if usable:
            realm = self._checked_realm(usable[0], url) if usable[0].scheme == "bearer" else ""
            self._realm, self._asked_at, self._challenge = realm, url, usable[0]
        return usable[0] if usable else None

    def renewed(self, challenge: Challenge | None, scopes: Iterable[Scope], rejected: str | None) -> str | None:
        """After ``learn``: another header than the rejected one, or None when there is nothing else to try."""
        wanted = Scope.merged(scopes)
        while (token := self._usable(wanted)) is not None and token.header == rejected:
            self._forget(token)
        asked = Scope.parse_all(challenge.parameters.get("scope", "")) if challenge else ()
        header = self._header(wanted, Scope.common(asked, wanted))
        return header if header != rejected else None

    def who(self, scopes: Iterable[Scope]) -> Credential | None:
        """Whom a request with these scopes speaks for; None until a registry has asked."""
        if not self._instead:  # each request asks
            return self._credential
        return self._instead.get(_repositories(Scope.merged(scopes)), self._credential)

    def another(
        self,
        refused: Credential | None,
        challenge: Challenge | None,
        scopes: Iterable[Scope],
        rejected: str | None,
        refusal: RegistryError,
    ) -> str:
        """After ``renewed`` did not help: the header for the next credential of the chain, for these repositories only.

        Raises ``refusal`` when nobody is left; then it says who was tried. An Entra token is no other than the one
        before: the same person may do no more with it.
        """
        wanted = Scope.merged(scopes)

        def replacement() -> Credential | None:
            following = _following(refused) if refused else None
            while following and following.entra_token:
                following = _following(following)
            if following:
                self._instead[_repositories(wanted)] = following
            return following

        def known() -> Credential | None:
            now = self.who(wanted)
            return now if now is not refused else None

        if self._flights.do((id(refused), _repositories(wanted)), known, replacement) is not None:
            try:
                header = self.renewed(challenge, wanted, rejected)
            except Unauthorized as error:
                raise self._told(refusal, wanted, error.mode) from None
            if header is not None:
                return header
        raise self._told(refusal, wanted, self.mode_for(wanted))

    def _told(self, refusal: RegistryError, wanted: tuple[Scope, ...], tried: str) -> RegistryError:
        """The end of a chain: the first refusal, with all that was tried. The next request begins anew."""
        told = self._first_refusal() if self._first_refusal else refusal
        told.mode = tried
        self._instead.pop(_repositories(wanted), None)
        return told

    def _checked_realm(self, challenge: Challenge, url: str) -> str:
        """Where tokens are fetched. A registry may name another host, but not a less safe place than itself."""
        try:
            realm = addresses.join(url, challenge.parameters["realm"], self._transport.origin)
        except NetworkError:
            raise self._error("its token service has no usable address") from None
        own, parts = urlsplit(url), urlsplit(realm)
        if parts.scheme not in ("https", "http") or (parts.scheme == "http" and own.scheme == "https"):
            raise self._error(f"its token service is not at an https address ({parts.scheme}://{parts.netloc})")
        if parts.scheme == "http" and parts.hostname != own.hostname:
            raise self._error(f"its token service is at another host without TLS ({parts.netloc})")
        if addresses.is_private(parts.netloc) and not addresses.is_private(own.netloc):
            raise self._error(f"its token service is at a private address ({parts.netloc})")
        return realm

    def _header(self, wanted: tuple[Scope, ...], asked: tuple[Scope, ...]) -> str | None:
        credential = self._signed_in(wanted)
        if self._challenge is None or self._challenge.scheme == "basic":
            return _basic(credential) if credential.password else None

        def fetched() -> Token:
            # what the registry has just asked for comes first: some token services look at the first scope only
            token = self._fetch(Scope.merged((*asked, *wanted)), wanted)
            with self._lock:
                self._tokens[wanted] = token
                for scope in wanted:
                    self._covering.setdefault(scope.repository, set()).add(wanted)
            return token

        token: Token = self._usable(wanted) or self._flights.do(wanted, lambda: self._usable(wanted), fetched)
        return token.header

    def _signed_in(self, scopes: tuple[Scope, ...]) -> Credential:
        def provided() -> Credential:
            self._credential = self._provide()
            return self._credential

        credential: Credential = self._credential or self._flights.do("who", lambda: self._credential, provided)
        return self._instead.get(_repositories(scopes), credential)

    def _usable(self, wanted: tuple[Scope, ...]) -> Token | None:
        """A token that covers all of it. Those that have expired are forgotten on the way."""
        with self._lock:
            token = self._tokens.get(wanted)
            if token is not None and not token.expired:
                return token
            for scopes in tuple(self._covering.get(wanted[0].repository, ())) if wanted else ():
                token = self._tokens.get(scopes)
                if token is None or token.expired:
                    self._drop(scopes)
                elif _covers(scopes, wanted):
                    return token
        return None

    def _forget(self, token: Token) -> None:
        with self._lock:
            for scopes in [scopes for scopes, known in self._tokens.items() if known is token]:
                self._drop(scopes)

    def _drop(self, scopes: tuple[Scope, ...]) -> None:
        self._tokens.pop(scopes, None)
        for scope in scopes:
            self._covering.get(scope.repository, set()).discard(scopes)

    def _fetch(self, scopes: tuple[Scope, ...], wanted: tuple[Scope, ...]) -> Token:
        """For ``scopes``, speaking for whom ``wanted`` says. Raises Unauthorized when nobody is left to speak for."""
        assert self._challenge
        service, realm = self._challenge.parameters.get("service", ""), self._realm
        fields = [("service", service)] if service else []
        credential, reused = self._signed_in(wanted), self._refresh
        self._check_own(credential, realm)  # each time: another challenge may have named another realm meanwhile
        try:
            if credential.entra_token:
                refresh_token = self._exchanged(service, realm).value
            else:
                refresh_token = credential.refresh_token
            if refresh_token:
                fields += [("grant_type", "refresh_token"), ("client_id", CLIENT_ID)]
                fields += [("scope", " ".join(map(str, scopes))), ("refresh_token", refresh_token)]
                return self._post(realm, fields, "access_token", "token")
            return self._get(credential, realm, fields + [("scope", str(scope)) for scope in scopes])
        except Firewall:
            raise
        except (Unauthorized, Denied, Rejected) as error:
            refusal = partial(
                Unauthorized,
                self._transport.names.get(self._registry, self._registry),
                origin=self._transport.origin,
                method=error.method,
                path=error.path,
                status=error.status,
                codes=error.codes,
                text=error.text,
                request_id=error.request_id,
                mode=credential.mode,
            )
            if self._replaced(credential, reused, wanted, refusal):
                return self._fetch(scopes, wanted)
            raise self._told(refusal(), wanted, credential.mode) from None

    def _replaced(
        self, refused: Credential, reused: Token | None, wanted: tuple[Scope, ...], refusal: Callable[[], Unauthorized]
    ) -> bool:
        """True when there is another credential than the refused one, now. Several threads may find the same out.

        A refresh token that was used before may have been withdrawn, which a new one settles.
        """
        instead, repositories = refused is not self._credential, _repositories(wanted)

        def replacement() -> Credential | None:
            if reused and refused.entra_token:
                another: Credential | None = self._provide()
            else:
                another = _following(refused)
                self._first_refusal = self._first_refusal or (None if instead else refusal)
            if another and instead:
                self._instead[repositories] = another
            elif another:
                self._refresh, self._credential = None, another
            return another

        def known() -> Credential | None:
            now = self.who(wanted)
            return now if now is not refused else None

        return known() is not None or bool(self._flights.do(id(refused), known, replacement))

    def _check_own(self, credential: Credential, realm: str) -> None:
        """An Azure container registry's credentials are for itself: no realm elsewhere is shown one of them.

        Raises AuthError.
        """
        parts = urlsplit(realm)
        if credential.entra_token:
            kept, safe = "an Entra token", parts.scheme == "https"
        elif self._acr and (credential.password or credential.refresh_token):
            kept, safe = "a credential of an Azure container registry", True
        else:
            return
        self._homes.add(credential.exchange)
        if not safe or parts.netloc not in self._homes:
            raise self._error(f"{kept} is not sent to {parts.scheme}://{parts.netloc}")

    def _get(self, credential: Credential, realm: str, fields: list[tuple[str, str]]) -> Token:
        headers = {"Authorization": _basic(credential)} if credential.password else {}
        separator = "&" if urlsplit(realm).query else "?"
        answer = self._ask("GET", f"{realm}{separator}{urlencode(fields)}", headers)
        return Token.from_answer(answer, "token", "access_token", host=self._registry)

    def _post(self, url: str, fields: list[tuple[str, str]], *members: str) -> Token:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self._ask("POST", url, headers, urlencode(fields).encode())
        return Token.from_answer(answer, *members, host=self._registry)

    def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        return self._transport.fetch(
            method,
            url,
            accept={200},
            limit=MAX_TOKEN_BYTES,
            headers=headers,
            body=body,
            mode=self.mode,
            sent_by=self._asked_at,
        )

    def _exchanged(self, service: str, realm: str) -> Token:
        """The registry's refresh token for our Entra token; the provider is asked again when it has run out."""

        def known() -> Token | None:
            return self._refresh if self._refresh and not self._refresh.expired else None

        token: Token = self._flights.do("exchange", known, lambda: self._exchange(service, realm))
        return token

    def _exchange(self, service: str, realm: str) -> Token:
        if self._refresh:
            self._credential = self._provide()
        credential = self._signed_in(())
        self._check_own(credential, realm)
        fields = [("grant_type", "access_token"), ("service", service)]
        fields += [("tenant", credential.tenant)] if credential.tenant else []
        fields += [("access_token", credential.entra_token)]
        self._refresh = self._post(urljoin(realm, "/oauth2/exchange"), fields, "refresh_token")
        return self._refresh

    def _error(self, reason: str) -> AuthError:
        name = self._transport.names.get(self._registry, self._registry)
        return AuthError(name, reason, origin=self._transport.origin)


def _basic(credential: Credential) -> str:
    pair = f"{credential.username}:{credential.password}".encode()
    return f"Basic {base64.b64encode(pair).decode('ascii')}"


def _following(refused: Credential) -> Credential | None:
    """The next of the chain; it says what was tried before it."""
    following = refused.otherwise() if refused.otherwise else None
    if following is None or following.mode == refused.mode:  # the same person with another token
        return following
    return replace(following, mode=f"{refused.mode}, then {following.mode}")


def _repositories(scopes: tuple[Scope, ...]) -> tuple[str, ...]:
    return tuple(scope.repository for scope in scopes)


def _covers(held: tuple[Scope, ...], wanted: tuple[Scope, ...]) -> bool:
    actions = {scope.repository: set(scope.actions) for scope in held}
    return bool(wanted or not held) and all(set(s.actions) <= actions.get(s.repository, set()) for s in wanted)
