# SPDX-License-Identifier: MIT
"""WWW-Authenticate, read as RFC 9110 section 11.6.1 writes it: several challenges, quoted texts, bare tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Challenge"]

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
