# SPDX-License-Identifier: MIT
"""Authorization for one registry: from its challenge and our credential to the header of the next request."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from ..errors import AuthError, Denied, Firewall, RegistryError, Rejected, Unauthorized
from ..transport import addresses
from ..transport.transport import Transport
from ..waiting import SingleFlight
from .cache import TokenCache
from .chain import CredentialChain
from .challenge import Challenge
from .credential import Credential, CredentialProvider
from .realm import Realm
from .remembered import RegistryHints, is_worth_remembering
from .scope import Scope
from .service import TokenService, basic
from .token import Token

__all__ = ["TokenProvider"]


class TokenProvider:
    """One a registry host and side. Each set of scopes is asked for once, however many threads want it.

    Different sets are fetched at the same time, and a token that is here waits for none of them.
    """

    def __init__(
        self,
        registry: str,
        transport: Transport,
        provide: CredentialProvider,
        hints: RegistryHints,
        *,
        acr: bool = False,
    ) -> None:
        """``hints``: told where tokens are fetched. ``acr``: an Azure container registry, its own token service."""
        self._registry = registry
        self._acr = acr
        self._transport = transport
        self._hints = hints
        self._service = TokenService(registry, transport)
        # whether the registry wants to know who we are; a realm without that is only presumed
        self._wants = False
        # None where it wants user name and password with each request
        self._realm: Realm | None = None
        # the registry's own hosts: itself, and where those of the chain say that it is at home
        self._homes = {registry}
        self._tokens = TokenCache()
        self._refresh: Token | None = None
        self._lock = threading.Lock()
        self._flights = SingleFlight(transport.cancellation)
        self._chain = CredentialChain(provide, self._flights)

    @property
    def mode(self) -> str:
        """How we sign in here, in words; "anonymous" until a registry has asked."""
        credential = self._chain.credential
        return credential.mode if credential else "anonymous"

    def mode_for(self, scopes: Iterable[Scope]) -> str:
        """The same, for these repositories."""
        who = self.who(scopes)
        return who.mode if who else "anonymous"

    @property
    def asked(self) -> bool:
        """True when the registry has asked who we are."""
        return self._chain.credential is not None

    @property
    def by_repository(self) -> bool | None:
        """As in ``Denied``: True when the registry's refresh token tells so, else what the credential knows."""
        if self._refresh and self._refresh.by_repository:
            return True
        credential = self._chain.credential
        return credential.by_repository if credential else None

    def lacks(self, scopes: Iterable[Scope]) -> tuple[Scope, ...]:
        """What of this the registry has told, in a token that it gave for it, that we may not do. Asks for nothing."""
        wanted = Scope.merged(scopes)
        token = self._tokens.usable(wanted)
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
        return self._tokens.allows(scope)

    def authorization(self, scopes: Iterable[Scope]) -> str | None:
        """The header's value, or None while the registry has not asked for any. Raises what fetching raises."""
        return self._header(Scope.merged(scopes), ()) if self._wants else None

    def presumed(self, realm: Realm, scopes: Iterable[Scope]) -> str | None:
        """The header's value before the registry has asked for any, if this realm is still its own.

        Raises what fetching raises; nobody but the first of the chain is spoken for, and nothing is tried again.
        """
        if not self._wants and self._realm is None:
            self._realm = realm
        return self._header(Scope.merged(scopes), ()) if self._realm else None

    def believe(self) -> None:
        """The registry has let us in with a header that was ``presumed``."""
        if self._realm and not self._wants:
            self._realm, self._wants = replace(self._realm, presumed=False), True

    def forget_presumed(self) -> None:
        """It has not, or there was none: all is as before."""
        if self._wants or self._realm is None:
            return
        self._hints.forget_token_service(self._registry)
        with self._lock:
            self._realm = self._refresh = None
            self._tokens.clear()
            self._chain.unasked()

    def learn(self, challenges: Sequence[Challenge], url: str) -> Challenge | None:
        """After a 401 at ``url``: how to sign in. Bearer where it is offered; None, and nothing new, without any.

        Raises AuthError.
        """
        usable = [c for c in challenges if c.scheme == "bearer" and c.parameters.get("realm")]
        usable += [c for c in challenges if c.scheme == "basic"]
        if not usable and not self._wants:
            offered = ", ".join(c.scheme for c in challenges) or "nothing"
            raise self._error(f"it asks for a sign-in, but in no way that acrimport knows ({offered})")
        if usable:
            self._realm, self._wants = self._named(usable[0], url), True
        return usable[0] if usable else None

    def _named(self, challenge: Challenge, url: str) -> Realm | None:
        if challenge.scheme != "bearer":
            return None
        named, service = challenge.parameters["realm"], challenge.parameters.get("service", "")
        try:
            realm = Realm.checked(named, service, url, self._transport.origin)
        except ValueError as error:
            raise self._error(str(error)) from None
        if not self._acr and addresses.parted(realm.url)[:2] != addresses.parted(url)[:2]:
            self._transport.open_ahead(realm.url, 1, sent_by=url)
        if is_worth_remembering(realm.url, service):
            self._hints.learned_token_service(self._registry, realm.url, service)
        return realm

    def renewed(self, challenge: Challenge | None, scopes: Iterable[Scope], rejected: str | None) -> str | None:
        """After ``learn``: another header than the rejected one, or None when there is nothing else to try."""
        wanted = Scope.merged(scopes)
        while (token := self._tokens.usable(wanted)) is not None and token.header == rejected:
            self._tokens.forget(token)
        asked = Scope.parse_all(challenge.parameters.get("scope", "")) if challenge else ()
        header = self._header(wanted, Scope.common(asked, wanted))
        return header if header != rejected else None

    def who(self, scopes: Iterable[Scope]) -> Credential | None:
        """Whom a request with these scopes speaks for; None until a registry has asked."""
        return self._chain.who(scopes)

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
        if self._chain.go_on_here(refused, wanted):
            try:
                header = self.renewed(challenge, wanted, rejected)
            except Unauthorized as error:
                raise self._chain.end(refusal, wanted, error.mode) from None
            if header is not None:
                return header
        raise self._chain.end(refusal, wanted, self.mode_for(wanted))

    def _header(self, wanted: tuple[Scope, ...], asked: tuple[Scope, ...]) -> str | None:
        credential, realm = self._chain.speaker(wanted), self._realm
        if realm is None:
            return basic(credential) if credential.password else None

        def fetched() -> Token:
            # what the registry has just asked for comes first: some token services look at the first scope only
            token = self._fetch(realm, Scope.merged((*asked, *wanted)), wanted)
            with self._lock:
                if not realm.presumed or realm is self._realm:  # else the registry has said meanwhile who is right
                    self._tokens.put(wanted, token)
            return token

        # nobody waits for a service that was only presumed when the registry has named another one
        flight = wanted, realm.url, realm.service
        usable = partial(self._tokens.usable, wanted)
        token: Token = usable() or self._flights.do(flight, usable, fetched)
        return token.header

    def _fetch(self, realm: Realm, scopes: tuple[Scope, ...], wanted: tuple[Scope, ...]) -> Token:
        """For ``scopes``, speaking for whom ``wanted`` says. Raises Unauthorized when nobody is left to speak for."""
        credential, reused = self._chain.speaker(wanted), self._refresh
        self._check_own(credential, realm)  # each time: another challenge may have named another realm meanwhile
        try:
            if credential.entra_token:
                refresh_token = self._exchanged(realm).value
            else:
                refresh_token = credential.refresh_token
            if refresh_token:
                return self._service.renewed(realm, credential, refresh_token, scopes)
            return self._service.token(realm, credential, scopes)
        except Firewall:
            raise
        except (Unauthorized, Denied, Rejected) as error:
            if realm.presumed:
                raise
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
            # a refresh token that was used before may have been withdrawn, which a new one settles
            again = bool(reused and credential.entra_token)
            if self._chain.go_on(credential, wanted, refusal, self._forget_refresh, again=again):
                return self._fetch(realm, scopes, wanted)
            raise self._chain.end(refusal(), wanted, credential.mode) from None

    def _forget_refresh(self) -> None:
        self._refresh = None

    def _check_own(self, credential: Credential, realm: Realm) -> None:
        """Raises AuthError for a realm that must not be shown the credential."""
        self._homes.add(credential.exchange)
        if reason := realm.keeps_out(credential, self._homes, acr=self._acr):
            raise self._error(reason)

    def _exchanged(self, realm: Realm) -> Token:
        """The registry's refresh token for our Entra token; the provider is asked again when it has run out."""

        def known() -> Token | None:
            return self._refresh if self._refresh and not self._refresh.expired else None

        token: Token = self._flights.do(("exchange", realm.url), known, lambda: self._exchange(realm))
        return token

    def _exchange(self, realm: Realm) -> Token:
        if self._refresh:
            self._chain.renew()
        credential = self._chain.speaker(())
        self._check_own(credential, realm)
        token = self._service.exchanged(realm, credential)
        if not realm.presumed or realm is self._realm:
            self._refresh = token
        return token

    def _error(self, reason: str) -> AuthError:
        name = self._transport.names.get(self._registry, self._registry)
        return AuthError(name, reason, origin=self._transport.origin)
