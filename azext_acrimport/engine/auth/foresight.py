# SPDX-License-Identifier: MIT
"""To be let in without having been refused: with what an earlier run has learned the first request has its token.

What is remembered is a hint. A secret goes to no other host than the registry's own before the registry has named it;
what such a service does not give within seconds is not waited for; and whatever a registry does not like about the
header, it is asked again without, and says itself who its token service is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from ..errors import AuthError, Cancelled, Denied, EngineError, NotFound, Rejected, TimedOut, Unauthorized
from ..transport.transport import Transport
from ..waiting import Ahead
from .provider import TokenProvider
from .remembered import RegistryHints, remembered_realm
from .scope import Scope

__all__ = ["Foresight"]

T = TypeVar("T")

# Three round trips around the world, twice. A service that is slower costs this once: it is forgotten.
PATIENCE = 5.0
# To a registry that lets us in with its first answer: an image's blobs may be asked for with the next question, when it
# would be too late to begin them.
CONNECTIONS = 6


class Foresight:
    """Of one registry, until it has answered for the first time."""

    def __init__(
        self,
        registry: str,
        transport: Transport,
        tokens: TokenProvider,
        hints: RegistryHints,
        begins: Callable[[str], None] = lambda base: None,
    ) -> None:
        """``begins``: told of the registry's ``https://host`` when it is taken to be as it always was."""
        self._registry = registry
        self._transport = transport
        self._tokens = tokens
        self._hints = hints
        self._begins = begins
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
        ahead = Ahead(lambda: self._tokens.presumed(realm, scopes))
        until = transport.cancellation.now() + PATIENCE

        def check() -> None:
            transport.cancellation.check()
            if transport.cancellation.now() >= until:
                raise TimedOut(PATIENCE)

        try:
            return ahead.result(check)
        except Cancelled:
            raise
        except EngineError:
            self._was_wrong()
            return None

    def first(self, ask: Callable[[str | None], T], base: str, scopes: Iterable[Scope]) -> tuple[str | None, T]:
        """The first request: what ``ask`` returns of the header that the registry took, or else of none.

        Raises what ``ask`` raises.
        """
        scopes = tuple(scopes)
        if (header := self.header(base, scopes)) is None:
            return None, ask(None)
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
