# SPDX-License-Identifier: MIT
"""WWW-Authenticate, read as RFC 9110 section 11.6.1 writes it: several challenges, quoted texts, bare tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Challenge", "Scope"]

# Longer than any honest header; a registry that sends more is not going to be understood better.
MAX_HEADER = 32 * 1024

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(rf"[\s,]*({_WORD})(?:\s+|(?=,)|$)")
_PARAMETER = re.compile(rf'[\s,]*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))\s*(?=,|$)', re.DOTALL)
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*\s*(?=,|$)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to sign in that a server offers. Scheme and parameter names are lower-case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse_all(cls, header: str) -> tuple[Challenge, ...]:
        """All challenges of the header (several header lines joined by commas). What is malformed is left out."""
        found: list[Challenge] = []
        position, end = 0, min(len(header), MAX_HEADER)
        while position < end:
            scheme = _SCHEME.match(header, position, end)
            if not scheme:
                break
            position, parameters = _parameters(header, scheme.end(), end)
            found.append(cls(scheme[1].lower(), parameters))
        return tuple(found)


def _parameters(header: str, position: int, end: int) -> tuple[int, dict[str, str]]:
    parameters: dict[str, str] = {}
    while match := _PARAMETER.match(header, position, end):
        name, quoted, bare = match.groups()
        parameters.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare)
        position = match.end()
    if not parameters and (token68 := _TOKEN68.match(header, position, end)):
        position = token68.end()
    return position, parameters


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """What a token is asked for: actions on one repository.

    https://distribution.github.io/distribution/spec/auth/scope/
    """

    repository: str
    actions: tuple[str, ...]

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
        actions: dict[str, set[str]] = {}
        for scope in scopes:
            actions.setdefault(scope.repository, set()).update(scope.actions)
        return tuple(Scope(repository, tuple(sorted(wanted))) for repository, wanted in actions.items())

    def __str__(self) -> str:
        return f"repository:{self.repository}:{','.join(self.actions)}"
