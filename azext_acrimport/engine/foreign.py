# SPDX-License-Identifier: MIT
"""The one door for text that is not ours: what a registry, an archive or a file says, made fit to be shown.

Whatever an error holds has passed it (``errors``), and so has every URL that is shown (``transport.redaction``).
"""

from __future__ import annotations

import re

__all__ = ["foreign_text"]

# The longest that is said of one thing; a list of names that is longer helps nobody.
MAX_CHARACTERS = 1000
# Printable to Python, and seen by nobody: what hides one text in another beside the format controls (category Cf).
# https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]")
# "##vso[" and "##[error]" are orders to a pipeline's agent, wherever in a line they stand.
ORDER = re.compile(r"#(?=#\w*\[)", re.ASCII)


def foreign_text(said: object, most: int = MAX_CHARACTERS) -> str:
    """One line of printable characters, at most ``most`` of them, that no terminal and no pipeline's agent obeys."""
    text = str(said)
    if len(text) <= most and text.isascii() and text.isprintable() and "##" not in text:
        return text
    text = text[: 4 * most]  # before any pattern runs over it
    seen = "".join(character if character.isprintable() else " " for character in UNSEEN.sub(" ", text))
    line = ORDER.sub("# ", " ".join(seen.split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"
