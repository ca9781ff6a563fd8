# SPDX-License-Identifier: MIT
"""What a token is asked for. https://distribution.github.io/distribution/spec/auth/scope/"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Scope"]


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """What a token is asked for: actions on one repository, or on a registry's catalog.

    https://distribution.github.io/distribution/spec/auth/scope/
    """

    repository: str
    actions: tuple[str, ...]
    kind: str = "repository"

    @classmethod
    def catalog(cls) -> Scope:
        """List all repositories."""
        return cls("catalog", ("*",), "registry")

    @classmethod
    def pull(cls, repository: str) -> Scope:
        """Read one repository."""
        return cls(repository, ("pull",))

    @classmethod
    def push(cls, repository: str) -> Scope:
        """Read and write one repository."""
        return cls(repository, ("pull", "push"))

    @classmethod
    def parse_all(cls, text: str) -> tuple[Scope, ...]:
        """The repository scopes of a blank-separated scope parameter; other kinds of scope are left out."""
        scopes = []
        for word in text.split():
            kind, _, rest = word.partition(":")
            repository, _, actions = rest.rpartition(":")
            if kind == "repository" and repository and actions:
                scopes.append(cls(repository, tuple(sorted(set(actions.split(","))))))
        return tuple(scopes)

    @staticmethod
    def merged(scopes: Iterable[Scope]) -> tuple[Scope, ...]:
        """One scope a repository, with all actions that were asked for; the order of first mention is kept."""
        actions: dict[tuple[str, str], set[str]] = {}
        for scope in scopes:
            actions.setdefault((scope.repository, scope.kind), set()).update(scope.actions)
        return tuple(Scope(name, tuple(sorted(wanted)), kind) for (name, kind), wanted in actions.items())

    @staticmethod
    def common(asked: Iterable[Scope], wanted: Iterable[Scope]) -> tuple[Scope, ...]:
        """Of what somebody else asks for, what is wanted as well; in the other's order."""
        ours = {scope.repository: set(scope.actions) for scope in Scope.merged(wanted)}
        both = (Scope(s.repository, tuple(a for a in s.actions if a in ours.get(s.repository, ()))) for s in asked)
        return tuple(scope for scope in both if scope.actions)

    def __str__(self) -> str:
        return f"{self.kind}:{self.repository}:{','.join(self.actions)}"
