# SPDX-License-Identifier: MIT
"""Which tags of a repository are wanted: by name, pattern and range, without some, the newest."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..engine import InvalidReference, parse_repository_tag
from .regexes import Found, compiled
from .versions import age, parse_range, version_of

__all__ = ["Pattern", "Selection"]

# The longest tag has 128 characters; a range of several alternatives may be longer.
MAX_LENGTH = 1000
RANGE_BEGINS = ("<", ">", "=", "^", "~", "!=")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One of ``--tags`` or ``--exclude``. ``expression``: of a regex, what is between its strokes."""

    text: str
    kind: Literal["exact", "glob", "regex", "range"]
    expression: str = ""

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises ValueError, which says what is wrong with it."""
        text = text.strip()
        if not text or len(text) > MAX_LENGTH:
            raise ValueError(f"a pattern has from 1 to {MAX_LENGTH} characters")
        if len(text) > 2 and text.startswith("/") and text.endswith("/"):
            return cls(text, "regex", compiled(text[1:-1]))
        if text.startswith(RANGE_BEGINS):
            parse_range(text)
            return cls(text, "range")
        if "*" in text or "?" in text:
            return cls(text, "glob")
        try:
            repository, tag, digest = parse_repository_tag(f"a:{text}")
        except InvalidReference:
            repository, tag, digest = "", None, None
        if repository != "a" or tag != text or digest:
            raise ValueError(f"'{text}' is neither a tag, a glob (3.*), a regex (/^3/) nor a range (>=3.18 <4)")
        return cls(text, "exact")

    def question(self, found: Found) -> Callable[[str], bool]:
        """Whether it matches a tag. ``found``: what ``search_all`` has told of regular expressions."""
        if self.kind == "regex":
            return found.get(self.expression, frozenset()).__contains__
        if self.kind == "glob":
            matches = re.compile(fnmatch.translate(self.text)).match
            return lambda tag: matches(tag) is not None
        if self.kind == "range":
            holds = parse_range(self.text)
            return lambda tag: (version := version_of(tag)) is not None and holds(version)
        return self.text.__eq__


@dataclass(frozen=True, slots=True)
class Selection:
    """Several ``tags`` are alternatives, none means every tag; ``exclude`` takes away; ``newest`` comes last."""

    tags: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()
    newest: int | None = None

    @property
    def needs_listing(self) -> bool:
        """Whether anything but names of single tags was given."""
        return not self.tags or bool(self.newest) or any(pattern.kind != "exact" for pattern in self.tags)

    @property
    def regexes(self) -> frozenset[str]:
        """All regular expressions in it."""
        return frozenset(p.expression for p in (*self.tags, *self.exclude) if p.kind == "regex")

    def of(self, listed: Sequence[str], found: Found) -> list[str]:
        """The tags that are wanted, in the order of the listing; after them what was named but is not listed.

        That is missing, however many of the others are the newest.
        """
        wanted = _any(self.tags, found) if self.tags else (lambda tag: True)
        excluded, known = _any(self.exclude, found), frozenset(listed)
        missing = dict.fromkeys(p.text for p in self.tags if p.kind == "exact" and p.text not in known)
        chosen = [tag for tag in dict.fromkeys(listed) if wanted(tag) and not excluded(tag)]
        if self.newest is not None:
            newest = set(sorted(chosen, key=age, reverse=True)[: self.newest])
            chosen = [tag for tag in chosen if tag in newest]
        return [*chosen, *(tag for tag in missing if not excluded(tag))]

    def unmatched(self, listed: Iterable[str], found: Found) -> list[Pattern]:
        """Patterns that match nothing of the listing; a tag that is named is not one of them."""
        listed = tuple(listed)
        return [p for p in self.tags if p.kind != "exact" and not any(map(p.question(found), listed))]


def _any(patterns: Iterable[Pattern], found: Found) -> Callable[[str], bool]:
    questions = [pattern.question(found) for pattern in patterns]
    return lambda tag: any(question(tag) for question in questions)
