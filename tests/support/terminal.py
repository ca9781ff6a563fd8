# SPDX-License-Identifier: MIT
"""A terminal that is only numbers, and a clock that goes when it is told to: what people see, without waiting."""

from __future__ import annotations

import os
import types
from typing import Any

import pyte


class Terminal:
    """A stream that says it is a terminal. ``seen``: its lines, without empty ones at the end."""

    encoding = "utf-8"

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self.raw = ""
        self._start(columns, lines)

    def _start(self, columns: int, lines: int) -> None:
        self._told = os.terminal_size((columns, lines))
        self.screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._input = pyte.Stream(self.screen)

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.raw += text
        self.type(text)
        return len(text)

    def type(self, text: str) -> None:
        """What the terminal shows by itself, such as ``^C``."""
        self._input.feed(text.replace("\n", "\r\n"))

    def flush(self) -> None:
        """All is there at once."""

    def size(self) -> os.terminal_size:
        return self._told

    @property
    def seen(self) -> list[str]:
        above = ["".join(row[x].data for x in range(self.screen.columns)) for row in self.screen.history.top]
        lines = [line.rstrip() for line in (*above, *self.screen.display)]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def resize(self, columns: int, *, late: bool = False) -> None:
        """As most terminals do it: what is too long for a line goes on in the next one. ``late``: and not told yet."""
        told = self._told
        lines = self.seen
        rows = [line[at : at + columns] for line in lines for at in range(0, max(1, len(line)), columns)]
        below = self.screen.cursor.y >= len(lines)
        self._start(columns, self.screen.lines)
        self.type("\n".join(rows) + ("\n" if below else ""))
        if late:
            self._told = told

    def tell_size(self) -> None:
        """Now it is."""
        self._told = os.terminal_size((self.screen.columns, self.screen.lines))


class Clock:
    """Seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def context(*, only_errors: bool = False, no_bar: bool = False, colour: bool = True) -> Any:
    """As much of az's context as progress needs."""
    config = types.SimpleNamespace(getboolean=lambda section, name, fallback: no_bar)
    return types.SimpleNamespace(only_show_errors=only_errors, config=config, enable_color=colour)
