# SPDX-License-Identifier: MIT
"""Lines of a terminal that are drawn over, and who else writes there meanwhile.

The cursor always stands below the drawing: what the terminal itself echoes there (``^C``) goes with it. Whatever else
is written to the same stream, such as a warning, comes through ``Beside``: the drawing is taken away first, and drawn
again below it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .amounts import columns

# https://www.ecma-international.org/publications-and-standards/standards/ecma-48/
# All of a line is cleared before it is written: of one that was broken in two it is forgotten that it goes on.
UP, CLEAR_LINE, CLEAR_BELOW = "\x1b[{}A", "\x1b[2K", "\x1b[J"
# Lines that are too long end at the last column. https://vt100.net/docs/vt510-rm/DECAWM.html
NO_WRAP, WRAP = "\x1b[?7l", "\x1b[?7h"
# What a terminal has that does not say.
USUAL = os.terminal_size((80, 24))


def can_draw(stream: Any, environ: Mapping[str, str]) -> bool:
    """Whether it is a terminal on which the cursor can be moved."""
    if not stream.isatty():
        return False
    if sys.platform == "win32":
        return _windows_can(stream)
    return environ.get("TERM", "dumb") != "dumb"


def can_show(stream: Any, text: str) -> bool:
    """Whether these characters can be written there."""
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeError, LookupError, AttributeError):
        return False
    return True


def size_of(stream: Any) -> os.terminal_size:
    """As it is now: a window may have been resized a moment ago."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return USUAL
    return size if size.columns > 0 and size.lines > 0 else USUAL


class Screen:
    """``paint``: from columns and rows to the lines. ``size``: asked at each drawing. All may be called by any thread.

    A terminal that is gone is no reason to end: nothing is written there any longer.
    """

    def __init__(
        self,
        stream: Any,
        paint: Callable[[int, int], Sequence[str]],
        size: Callable[[], os.terminal_size],
    ) -> None:
        self._stream = stream
        self._paint = paint
        self._size = size
        self._lock = threading.RLock()
        self._drawn: list[int] = []
        self._inside_a_line = False
        self._gone = False
        self._beside = Beside(self, stream)
        self._taken: list[tuple[logging.StreamHandler[Any], Any]] = []

    def open(self) -> None:
        """From here on everybody else who writes to the stream does so beside the drawing."""
        for handler in {*logging.getLogger().handlers, *logging.getLogger("cli").handlers}:
            if isinstance(handler, logging.StreamHandler) and handler.stream is self._stream:
                handler.setStream(self._beside)
                self._taken.append((handler, self._stream))
        if sys.stderr is self._stream:
            sys.stderr = self._beside

    def draw(self) -> None:
        """What there is to be seen now, in the place of what was drawn before."""
        with self._lock:
            if self._inside_a_line:
                return  # somebody has asked for something there
            size = self._size()
            # one column and one row are left free: in the last ones terminals differ in when they scroll
            lines = self._paint(size.columns - 1, size.lines - 1)
            drawing = "".join(f"{CLEAR_LINE}{line}\n" for line in lines)
            self._write(f"{self._to_top(size.columns)}{NO_WRAP}{drawing}{WRAP}{CLEAR_BELOW}")
            self._drawn = [_visible(line) for line in lines]

    def write(self, text: str) -> None:
        """A text that stays; the drawing is taken away, and the next one comes below it."""
        with self._lock:
            self._write(self._taken_away() + text)
            self._inside_a_line = not text.endswith("\n") if text else self._inside_a_line

    def close(self) -> None:
        """Nothing of the drawing is left, and everybody writes as before."""
        with self._lock:
            self._write(self._taken_away())
        # not under the lock: who logs has the handler's, and wants ours
        for handler, stream in self._taken:
            if handler.stream is self._beside:
                handler.setStream(stream)
        self._taken.clear()
        if sys.stderr is self._beside:
            sys.stderr = self._stream

    def _taken_away(self) -> str:
        if not self._drawn:
            return ""
        text, self._drawn = self._to_top(self._size().columns) + CLEAR_BELOW, []
        return text

    def _to_top(self, width: int) -> str:
        """A narrower terminal has broken the lines into several rows each.

        Some are narrower for a moment before they say so. What is drawn in that moment goes up by too few rows, and
        leaves as many behind as this now goes up further, as long as it takes one row a line itself: hence NO_WRAP.
        """
        rows = sum(max(1, -(-length // width)) for length in self._drawn)
        return f"\r{UP.format(rows)}" if rows else ""

    def _write(self, text: str) -> None:
        if self._gone or not text:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # hung up, or closed
            self._gone = True


class Beside:
    """The stream as others see it while there is a drawing on it."""

    def __init__(self, screen: Screen, stream: Any) -> None:
        self._screen = screen
        self._stream = stream

    def write(self, text: str) -> int:
        """As a stream's."""
        self._screen.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _visible(line: str) -> int:
    """Columns of a line in which there may be colours."""
    plain = "".join(part if number == 0 else part.partition("m")[2] for number, part in enumerate(line.split("\x1b[")))
    return columns(plain)


def _windows_can(stream: Any) -> bool:
    """Since Windows 10 1511, once it is asked for. https://learn.microsoft.com/windows/console/setconsolemode"""
    if sys.platform != "win32":
        return False
    import ctypes
    import msvcrt

    try:
        handle = msvcrt.get_osfhandle(stream.fileno())
        mode = ctypes.c_uint32()
        kernel = ctypes.WinDLL("kernel32")
        if not kernel.GetConsoleMode(ctypes.c_void_p(handle), ctypes.byref(mode)):
            return False
        virtual_terminal = 0x0004
        return bool(kernel.SetConsoleMode(ctypes.c_void_p(handle), mode.value | virtual_terminal))
    except (OSError, AttributeError, ValueError):
        return False
