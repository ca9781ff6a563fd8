# SPDX-License-Identifier: MIT
"""To be let in without having been refused: with what an earlier run has learned the first request has its token.

Or with what the registry has said to nobody in particular, while it was not known yet whether there is anything to ask.

What is remembered is a hint. A secret goes to no other host than the registry's own before the registry has named it;
what such a service does not give within seconds is not waited for; and whatever a registry does not like about the
header, it is asked again without, and says itself who its token service is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import TypeVar

from ..errors import AuthError, Cancelled, Denied, EngineError, NotFound, Rejected, TimedOut, Unauthorized
from ..transport import addresses
from ..transport.response import Answer
from ..transport.transport import Transport
from ..waiting import Ahead
from .challenge import Challenge
from .provider import TokenProvider
from .remembered import RegistryHints, remembered_realm
from .scope import Scope

__all__ = ["CONNECTIONS", "Foresight", "Greeting", "greet"]

T = TypeVar("T")
# What a registry has said; None where that is not to be had at once.
Greeting = Ahead["Answer | None"]

# Three round trips around the world, twice. A service that is slower costs this once: it is forgotten.
PATIENCE = 5.0
# To a registry with its first answer, or sooner where it lets us in with that: an image's blobs may be asked for with
# the next question, when it would be too late to begin them.
CONNECTIONS = 6


def greet(host: str, transport: Transport) -> Greeting:
    """Begin to ask a registry how it lets people in, by https and for nobody. Of its answer the head tells.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#determining-support
    """

    def asked() -> Answer | None:
        with contextlib.suppress(EngineError):
            return transport.fetch("HEAD", f"https://{host}/v2/", accept={200, 401}, retry=False)
        return None

    return Ahead(asked)


class Foresight:
    """Of one registry, until it has answered for the first time."""

    def __init__(
        self,
        registry: str,
        transport: Transport,
        tokens: TokenProvider,
        hints: RegistryHints,
        begins: Callable[[str], None] = lambda base: None,
        greeting: Greeting | None = None,
    ) -> None:
        """``greeting``: what it has said, or is about to.

        ``begins``: told of the registry's ``https://host`` when it is taken to be as it always was.
        """
        self._registry = registry
        self._transport = transport
        self._tokens = tokens
        self._hints = hints
        self._begins = begins
        self._greeting = greeting
        self._is_over = False

    def header(self, base: str, scopes: Iterable[Scope]) -> str | None:
        """The value for the first request with these scopes; None where the registry must be asked. Raises Cancelled.

        ``base``: ``https://host``. Connections are begun meanwhile: to the registry, and to its token service, also
        where nothing is asked of it yet.
        """
        if self._is_over:
            return None
        realm = remembered_realm(self._hints, self._registry, base, self._transport.origin)
        if realm is None:
            return None
        transport, scopes = self._transport, tuple(scopes)
        transport.open_ahead(f"{base}/v2/", CONNECTIONS)
        transport.open_ahead(realm.url, 1, sent_by=realm.asked_at)
        self._begins(base)
        try:
            return self._soon(Ahead(lambda: self._tokens.presumed(realm, scopes)))
        except Cancelled:
            raise
        except EngineError:
            self._was_wrong()
            return None

    def _soon(self, ahead: Ahead[T]) -> T:
        """What comes of it, if that is not long in coming. Raises TimedOut, and what it raises."""
        cancellation = self._transport.cancellation
        until = cancellation.now() + PATIENCE

        def check() -> None:
            cancellation.check()
            if cancellation.now() >= until:
                raise TimedOut(PATIENCE)

        return ahead.result(check)

    def _as_greeted(self, base: str, scopes: Iterable[Scope]) -> str | None:
        """The value, by what the registry has said; None where it has said nothing. Raises what fetching raises."""
        greeting, self._greeting = self._greeting, None
        said = None
        if greeting:
            with contextlib.suppress(TimedOut):
                said = self._soon(greeting)
        if said is None or said.status != 401 or addresses.parted(said.url)[:2] != addresses.parted(base)[:2]:
            return None
        with contextlib.suppress(AuthError):  # of its own request it may ask something else
            self._tokens.learn(Challenge.parse_all(said.headers.get("WWW-Authenticate", "")), said.url)
        return self._tokens.authorization(scopes)

    def first(self, ask: Callable[[str | None], T], base: str, scopes: Iterable[Scope]) -> tuple[str | None, T]:
        """The first request: what ``ask`` returns of the header that the registry took, or else of none.

        Raises what ``ask`` raises, and what fetching a token raises where the registry has said how it is fetched.
        """
        scopes = tuple(scopes)
        if (header := self.header(base, scopes)) is None:
            header = self._as_greeted(base, scopes)
            return header, ask(header)
        try:
            answer = ask(header)
        except NotFound:
            self._was_right()
            raise
        except (AuthError, Denied, Rejected, Unauthorized):
            self._was_wrong()
            return None, ask(None)
        self._was_right()
        return header, answer

    def _was_right(self) -> None:
        """The registry has let us in, or has said itself how it does."""
        self._is_over = True
        self._tokens.believe()

    def _was_wrong(self) -> None:
        self._is_over = True
        self._tokens.forget_presumed()
