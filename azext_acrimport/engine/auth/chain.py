# SPDX-License-Identifier: MIT
"""Whom we speak for at one registry: one credential after the other, until one of them is let in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ..errors import RegistryError, Unauthorized
from ..waiting import SingleFlight
from .credential import Credential, CredentialProvider
from .scope import Scope

__all__ = ["CredentialChain"]


class CredentialChain:
    """Of one registry host and side. What several threads find out at once takes one step along the chain."""

    def __init__(self, provide: CredentialProvider, flights: SingleFlight) -> None:
        self._provide = provide
        self._flights = flights
        self._credential: Credential | None = None
        # who we were going to be before the registry has asked
        self._early: Credential | None = None
        # of the first credential, when another one has taken its place: that is what a person can mend
        self._first_refusal: Callable[[], Unauthorized] | None = None
        # who we are for single repositories, where the registry let the first one in, but not there
        self._instead: dict[tuple[str, ...], Credential] = {}

    @property
    def credential(self) -> Credential | None:
        """Whom we speak for where no repository has one of its own; None until the registry has asked."""
        return self._credential

    def who(self, scopes: Iterable[Scope]) -> Credential | None:
        """Whom a request with these scopes speaks for; None until the registry has asked."""
        if not self._instead:  # each request asks
            return self._credential
        return self._instead.get(_repositories(Scope.merged(scopes)), self._credential)

    def speaker(self, wanted: tuple[Scope, ...]) -> Credential:
        """The same; the first of the chain where nobody has been asked for yet. Raises what the provider raises."""

        def provided() -> Credential:
            credential = self._early or self._provide()
            self._credential, self._early = credential, None
            return credential

        credential: Credential = self._credential or self._flights.do("who", lambda: self._credential, provided)
        return self._instead.get(_repositories(wanted), credential)

    def unasked(self) -> None:
        """The registry has not asked after all; who we were going to be is kept until it does."""
        self._early, self._credential = self._credential, None

    def renew(self) -> None:
        """The same person once more: what we had has run out."""
        self._credential = self._provide()

    def go_on(
        self,
        refused: Credential,
        wanted: tuple[Scope, ...],
        refusal: Callable[[], Unauthorized],
        withdrawn: Callable[[], None],
        *,
        again: bool,
    ) -> bool:
        """True when there is another credential than the one that the token service has refused, now.

        ``refusal``: told in the end, of the first. ``withdrawn``: called when another one takes the place for all
        repositories. ``again``: the provider is asked once more before the next of the chain.
        """
        instead, repositories = refused is not self._credential, _repositories(wanted)

        def replacement() -> Credential | None:
            if again:
                another: Credential | None = self._provide()
            else:
                another = _following(refused)
                self._first_refusal = self._first_refusal or (None if instead else refusal)
            if another and instead:
                self._instead[repositories] = another
            elif another:
                withdrawn()
                self._credential = another
            return another

        known = self._other_than(refused, wanted)
        return known() is not None or bool(self._flights.do(id(refused), known, replacement))

    def go_on_here(self, refused: Credential | None, wanted: tuple[Scope, ...]) -> bool:
        """The same for these repositories only: the registry has let the refused one in, and refused it there.

        An Entra token is no other than the one before: the same person may do no more with it.
        """

        def replacement() -> Credential | None:
            following = _following(refused) if refused else None
            while following and following.entra_token:
                following = _following(following)
            if following:
                self._instead[_repositories(wanted)] = following
            return following

        flight = id(refused), _repositories(wanted)
        return self._flights.do(flight, self._other_than(refused, wanted), replacement) is not None

    def end(self, refusal: RegistryError, wanted: tuple[Scope, ...], tried: str) -> RegistryError:
        """Nobody is left: the first refusal, with all that was tried. The next request begins anew."""
        told = self._first_refusal() if self._first_refusal else refusal
        told.mode = tried
        self._instead.pop(_repositories(wanted), None)
        return told

    def _other_than(self, refused: Credential | None, wanted: tuple[Scope, ...]) -> Callable[[], Credential | None]:
        def known() -> Credential | None:
            now = self.who(wanted)
            return now if now is not refused else None

        return known


def _following(refused: Credential) -> Credential | None:
    """The next of the chain; it says what was tried before it."""
    following = refused.otherwise() if refused.otherwise else None
    if following is None or following.mode == refused.mode:  # the same person with another token
        return following
    return replace(following, mode=f"{refused.mode}, then {following.mode}")


def _repositories(scopes: tuple[Scope, ...]) -> tuple[str, ...]:
    return tuple(scope.repository for scope in scopes)
