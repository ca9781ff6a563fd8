# SPDX-License-Identifier: MIT
"""The tokens of one registry that are here, by what they are for."""

from __future__ import annotations

import threading

from .scope import Scope
from .token import Token

__all__ = ["TokenCache"]


class TokenCache:
    """By merged scopes. Safe in any thread; a token that has expired is forgotten when somebody comes by."""

    def __init__(self) -> None:
        self._tokens: dict[tuple[Scope, ...], Token] = {}
        # which sets of scopes have a token that says something of a repository
        self._covering: dict[str, set[tuple[Scope, ...]]] = {}
        self._lock = threading.Lock()

    def put(self, scopes: tuple[Scope, ...], token: Token) -> None:
        """In place of any other one for these scopes."""
        with self._lock:
            self._tokens[scopes] = token
            for scope in scopes:
                self._covering.setdefault(scope.repository, set()).add(scopes)

    def usable(self, wanted: tuple[Scope, ...]) -> Token | None:
        """One that covers all of it."""
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

    def allows(self, scope: Scope) -> bool:
        """Whether one says that it is good for this."""
        with self._lock:
            known = [self._tokens[scopes] for scopes in self._covering.get(scope.repository, ())]
        granted = [(token.granted or {}).get(scope.repository, frozenset()) for token in known if not token.expired]
        return any(actions.issuperset(scope.actions) for actions in granted)

    def forget(self, token: Token) -> None:
        """Whatever it was for."""
        with self._lock:
            for scopes in [scopes for scopes, known in self._tokens.items() if known is token]:
                self._drop(scopes)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._tokens.clear()
            self._covering.clear()

    def _drop(self, scopes: tuple[Scope, ...]) -> None:
        self._tokens.pop(scopes, None)
        for scope in scopes:
            self._covering.get(scope.repository, set()).discard(scopes)


def _covers(held: tuple[Scope, ...], wanted: tuple[Scope, ...]) -> bool:
    actions = {scope.repository: set(scope.actions) for scope in held}
    return bool(wanted or not held) and all(set(s.actions) <= actions.get(s.repository, set()) for s in wanted)
