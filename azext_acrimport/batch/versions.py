# SPDX-License-Identifier: MIT
"""Tags as versions, and ranges of versions. https://semver.org, and the ranges that people know from npm and Helm.

``semver`` is the package that az brings, 2.13 in older ones and 3 in newer ones; what both have is the value that is
called VersionInfo, and how two of them compare.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

__all__ = ["age", "parse_range", "version_of"]

# a tag may have no plus sign, so Helm and others write the build after a low line
_SUFFIX = r"(?:-(?P<pre>[0-9A-Za-z.-]+))?(?:[+_](?P<build>[0-9A-Za-z._-]+))?"
VERSION = re.compile(rf"v?(?P<major>\d+)(?:\.(?P<minor>\d+))?(?:\.(?P<patch>\d+))?{_SUFFIX}")
DATE = re.compile(r"v?(?:\d{8}(?!\d)|\d{4}-\d{1,2}-\d{1,2}(?!\d))")
_PART = r"(\d+|[xX*])"
COMPARATOR = re.compile(rf"(>=|<=|==|!=|[<>=^~]?)\s*v?{_PART}(?:\.{_PART})?(?:\.{_PART})?{_SUFFIX}")
NUMBERS = re.compile(r"(\d+)")
# More alternatives, or more comparators in one, are no range that a person writes.
MAX_TERMS = 50

Holds = Callable[[Any], bool]


@lru_cache(maxsize=4096)
def version_of(tag: str) -> Any:
    """The tag as a version, or None. ``v3.18`` is 3.18.0; a date is no version, nor is what has four numbers."""
    match = None if DATE.match(tag) else VERSION.fullmatch(tag)
    if match is None:
        return None
    return _version(*(int(match[name] or 0) for name in ("major", "minor", "patch")), match["pre"], match["build"])


def age(tag: str) -> tuple[Any, ...]:
    """The key by which the newest is the greatest: versions after all else, by semver; the others by name."""
    version, name = version_of(tag), tuple(_natural(tag))
    # of two that are the same version (1.0, v1.0.0) the choice is only to be the same one every time
    return (1, _Ordered(version), name) if version is not None else (0, name)


class _Ordered:
    """A version as a sort key: ``==`` as ``<`` sees it, without the build."""

    def __init__(self, version: Any) -> None:
        self._version = version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Ordered) and self._version.compare(other._version) == 0

    def __lt__(self, other: _Ordered) -> bool:
        return bool(self._version.compare(other._version) < 0)


def _natural(text: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in NUMBERS.split(text) if part]


def parse_range(text: str) -> Holds:
    """A range as a question to a version: ``>=3.18 <4``, ``^1.2 || ~3.1``. Raises ValueError.

    In a bound with fewer numbers the others may be any, as in npm: ``<=3.19`` includes 3.19.7. Pre-releases are in it
    only where an alternative names one: ``>=1.0-rc.1 <2``.
    """
    alternatives = [_alternative(part) for part in text.split("||")]
    if len(alternatives) > MAX_TERMS:
        raise ValueError(f"more than {MAX_TERMS} alternatives")
    return lambda version: any(holds(version) for holds in alternatives)


def _alternative(text: str) -> Holds:
    position, found, names_pre = 0, [], False
    text = text.strip()
    while position < len(text):
        match = COMPARATOR.match(text, position)
        if not match or not re.match(r"[\s,]|$", text[match.end() :]):
            raise ValueError(f"'{text[position:]}' is not a comparison such as >=3.18 or ^1.2")
        found += _bounds(match)
        names_pre = names_pre or bool(match["pre"])
        position = match.end() + len(re.match(r"[\s,]*", text[match.end() :])[0])  # type: ignore[index]
    if not found or len(found) > MAX_TERMS:
        raise ValueError("a range needs a comparison such as >=3.18, and not more than people write")
    return lambda version: (names_pre or not version.prerelease) and all(holds(version) for holds in found)


def _bounds(match: re.Match[str]) -> list[Holds]:
    """One comparator as questions to a version."""
    operator = match[1] or "="
    numbers = [int(part) for part in match.groups()[1:4] if part and part.isdecimal()]
    whole = len(numbers) == 3 or bool(match["pre"])
    low = _version(*numbers, *[0] * (3 - len(numbers)), match["pre"])
    if operator == "^":
        fixed = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
        return [_at_least(low), _below(_next(numbers, fixed))]
    if operator == "~":
        return [_at_least(low), _below(_next(numbers, min(1, len(numbers) - 1)))]
    if whole:
        return [_compared(operator, low)]
    after = _next(numbers, len(numbers) - 1)
    inside = [_at_least(low), _below(after)]
    return {
        ">=": [_at_least(low)],
        "<": [_below(low)],
        ">": [] if after is None else [_at_least(after)],
        "<=": [_below(after)],
        "!=": [lambda version: not all(holds(version) for holds in inside)],
    }.get(operator, inside)


def _next(numbers: list[int], place: int) -> Any:
    """The first version whose number at that place is greater; None where all may be anything."""
    if place < 0:
        return None
    return _version(*numbers[:place], numbers[place] + 1, *[0] * (2 - place))


def _at_least(bound: Any) -> Holds:
    return lambda version: version.compare(bound) >= 0


def _below(bound: Any) -> Holds:
    """A pre-release of the bound is not below it to anybody who writes <4."""
    if bound is None:
        return lambda version: True
    first = bound if bound.prerelease else _version(bound.major, bound.minor, bound.patch, "0")
    return lambda version: version.compare(first) < 0


def _compared(operator: str, bound: Any) -> Holds:
    if operator == "<":
        return _below(bound)
    return {
        ">=": lambda version: version.compare(bound) >= 0,
        ">": lambda version: version.compare(bound) > 0,
        "<=": lambda version: version.compare(bound) <= 0,
        "!=": lambda version: version.compare(bound) != 0,
    }.get(operator, lambda version: version.compare(bound) == 0)


def _version(major: int, minor: int, patch: int, pre: str | None = None, build: str | None = None) -> Any:
    """Made of its parts: a text would have to be as strict as no tag is (3.18-01, 22.04)."""
    from semver import VersionInfo

    return VersionInfo(major, minor, patch, pre, build)
