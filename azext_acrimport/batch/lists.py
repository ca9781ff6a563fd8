# SPDX-License-Identifier: MIT
"""Plain lists: a line is ``source`` or ``source target``, with comments."""

from __future__ import annotations

import re

from ..engine import InvalidReference
from .targets import with_target
from .wanted import Mistakes, Wanted, WantedFile, shown

__all__ = ["read_list"]

COMMENT = re.compile(r"(?:^|\s)#.*")


def read_list(text: str, name: str, *, within: bool = False) -> WantedFile:
    """Raises Mistakes, all of them at once. ``within``: as in ``Wanted.of_file``."""
    found, mistakes = WantedFile(), []
    for number, line in enumerate(text.split("\n"), 1):
        words, where = COMMENT.sub("", line).split(), f"{name}:{number}"
        try:
            if len(words) > 2:
                raise ValueError(f"a line is 'source' or 'source target', not {len(words)} words")
            if words:
                wanted = Wanted.of_file(words[0], where, within=within)
                found.wanted.append(with_target(wanted, words[1]) if words[1:] else wanted)
        except InvalidReference as error:
            mistakes.append(f"{where}: {shown(error.text)}: {error.reason}")
        except ValueError as error:
            mistakes.append(f"{where}: {error}")
    if not found.wanted and not mistakes:
        mistakes.append(f"{name}:1: it names no source")
    if mistakes:
        raise Mistakes(mistakes)
    return found
