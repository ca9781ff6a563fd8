# SPDX-License-Identifier: MIT
"""A terminal of 80 columns, recorded, as a picture that moves: SVG, with no script, and nothing from the net."""

from __future__ import annotations

import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from fcntl import ioctl
from html import escape
from typing import NamedTuple

import pyte

COLUMNS = 80
# units of the picture: a character of 15 px is so wide, a line so high, and its letters stand so far down in it
CELL, LINE, BASE, MARGIN = 9.03, 20, 14, 14
FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
# seconds between two looks at the screen: often enough to look alive, seldom enough for a small file
STEP = 0.25

COLOURS = {"red": "#cf222e", "green": "#1a7f37", "brown": "#9a6700", "yellow": "#9a6700", "blue": "#0969da"}
COLOURS |= {"magenta": "#8250df", "cyan": "#1b7c83"}

Row = tuple[tuple[str, str, bool], ...]  # pieces: text, colour, bold


class Frame(NamedTuple):
    """What was on the screen, and for how many seconds."""

    seconds: float
    rows: tuple[Row, ...]

    def cropped(self) -> Frame:
        """Without the empty lines at the end."""
        used = max(number for number, row in enumerate(self.rows, 1) if row)
        return Frame(self.seconds, self.rows[:used])


class Terminal:
    """A screen, and all that was on it."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._screen = pyte.Screen(COLUMNS, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.frames: list[Frame] = []

    def type(self, command: str) -> None:
        """As a person would, some letters at once."""
        self._stream.feed(b"\x1b[1;32m$\x1b[0m ")
        for start in range(0, len(command), 6):
            self._stream.feed(command[start : start + 6].replace("\n", "\r\n").encode())
            self.keep(0.08)
        self.keep(0.5)
        self._stream.feed(b"\r\n")

    def run(self, words: Sequence[str], environment: Mapping[str, str], folder: str) -> int:
        """The exit code of a program that takes this for its terminal."""
        ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, COLUMNS, 0, 0))
        process = subprocess.Popen(words, env=environment, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = time.monotonic()
        while self._read(ours, shown + STEP - time.monotonic()):
            if (now := time.monotonic()) - shown >= STEP:
                self.keep(now - shown)
                shown = now
        self.keep(STEP)
        os.close(ours)
        return process.wait()

    def _read(self, stream: int, seconds: float) -> bool:
        """What comes within these seconds goes to the screen; False at the end."""
        if not select.select([stream], [], [], max(0.0, seconds))[0]:
            return True
        try:
            block = os.read(stream, 65536)
        except OSError:  # EIO: Linux's end of a terminal
            return False
        self._stream.feed(block)
        return bool(block)

    def keep(self, seconds: float) -> None:
        """The screen as it is, for so long."""
        rows = tuple(self._row(number) for number in range(self.rows))
        if self.frames and self.frames[-1].rows == rows:
            seconds += self.frames.pop().seconds
        self.frames.append(Frame(seconds, rows))

    def _row(self, number: int) -> Row:
        pieces: list[tuple[str, str, bool]] = []
        line = self._screen.buffer[number]
        for column in range(COLUMNS):
            cell = line[column]
            style = (COLOURS.get(cell.fg.removeprefix("bright"), ""), cell.bold)
            if pieces and pieces[-1][1:] == style:
                pieces[-1] = (pieces[-1][0] + cell.data, *style)
            else:
                pieces.append((cell.data, *style))
        if pieces[-1][1:] == ("", False):
            pieces[-1] = (pieces[-1][0].rstrip(), "", False)
        return tuple(piece for piece in pieces if piece[0])


def svg(frames: Sequence[Frame], still: int, title: str) -> str:
    """The frames one below the other, and a window that moves along them. ``still``: what it shows at rest.

    Each line that was ever on the screen is written once, and used where it stood.
    """
    width, height = COLUMNS * CELL + 2 * MARGIN, len(frames[0].rows) * LINE + 2 * MARGIN
    known: dict[Row, str] = {}
    film = []
    for number, frame in enumerate(frames):
        for line, row in enumerate(frame.rows):
            name = known.setdefault(row, f"r{len(known)}")
            film.append(f'<use href="#{name}" y="{number * height + MARGIN + LINE * line + BASE:g}"/>' if row else "")
    rows = [
        f'<text id="{name}" x="{MARGIN}" xml:space="preserve">{"".join(map(_piece, row))}</text>'
        for row, name in known.items()
    ]
    parts = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img"',
        f'  aria-label="{escape(title)}">',
        f"<style>{_motion(frames, still, height)}</style>",
        f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#f6f8fa" stroke="#d0d7de"/>',
        f"<defs>{''.join(rows)}</defs>",
        f'<g class="film" font-family="{FONT}" font-size="15" fill="#1f2328">{"".join(film)}</g></svg>',
    )
    return "\n".join(parts) + "\n"


def _piece(piece: tuple[str, str, bool]) -> str:
    text, colour, bold = piece
    style = (f' fill="{colour}"' if colour else "") + (' font-weight="600"' if bold else "")
    return f"<tspan{style}>{escape(text)}</tspan>" if style else escape(text)


def _motion(frames: Sequence[Frame], still: int, height: float) -> str:
    place = f".film{{transform:translateY({-still * height:g}px)}}"
    if len(frames) == 1:
        return place
    whole = sum(frame.seconds for frame in frames)
    passed, stops = 0.0, []
    for number, frame in enumerate(frames):
        stops.append(f"{100 * passed / whole:.3f}%{{transform:translateY({-number * height:g}px)}}")
        passed += frame.seconds
    moving = f"@media(prefers-reduced-motion:no-preference){{.film{{animation:film {whole:.1f}s step-end infinite}}}}"
    return f"{place}{moving}@keyframes film{{{''.join(stops)}}}"
