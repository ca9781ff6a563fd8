# SPDX-License-Identifier: MIT
"""What stands on a terminal while images move: lines made of numbers, for any width. Nothing is written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .amounts import clipped, columns, counted, human_part, human_rate, running_time

# More transfers than these are a crowd in which nobody sees anything; the whole counts them all.
SHOWN = 4
# Columns of each line: a digest's begin (or "total 100%"), the bar, "999.9/999.9 MB", "99.9 MB/s", "59:59 left".
LABEL, AMOUNTS, RATE, LEFT = 12, 14, 9, 10
GAP = "  "
# A longer bar tells no more, a shorter one nothing.
LONGEST_BAR, SHORTEST_BAR = 40, 5
SPINNER = 0.2


@dataclass(frozen=True, slots=True)
class Style:
    """What the terminal can show: characters beyond ASCII, colours."""

    unicode: bool = True
    colour: bool = True

    def bar(self, share: float, width: int) -> str:
        """Filled by its share."""
        full, empty = ("━", "─") if self.unicode else ("#", ".")
        filled = int(max(0.0, min(1.0, share)) * width)
        return self._in("36", full * filled) + self._in("90", empty * (width - filled))

    def turn(self, now: float) -> str:
        """One character that moves, where there is nothing to measure."""
        characters = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" if self.unicode else "|/-\\"
        return self._in("36", characters[int(now / SPINNER) % len(characters)])

    def alarm(self, text: str) -> str:
        """What has gone wrong already."""
        return self._in("31", text)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text


@dataclass(frozen=True, slots=True)
class Flow:
    """Bytes on their way: of one transfer, or of all. ``rate`` in bytes a second, ``left`` in seconds.

    ``share``: how far it is, from 0 to 1; of a batch also by what is not planned yet.
    """

    label: str
    done: int
    total: int
    rate: float
    share: float
    left: float | None = None


@dataclass(frozen=True, slots=True)
class Images:
    """Of a batch. What neither runs nor has ended waits."""

    total: int
    done: int
    running: int
    failed: int

    def __str__(self) -> str:
        parts = [f"{self.done} of {counted(self.total, 'image')} done"]
        parts += [f"{number} {what}" for number, what in ((self.running, "running"), (self.failed, "failed")) if number]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Scene:
    """All that is to be seen at a moment. ``doing``: in words, where no bytes are counted; ``now``: of a clock."""

    title: str
    now: float
    transfers: Sequence[Flow] = ()
    whole: Flow | None = None
    images: Images | None = None
    doing: Sequence[str] = ()


def drawn(scene: Scene, width: int, height: int, style: Style) -> list[str]:
    """Its lines, none wider than ``width`` and no more than ``height``; the last ones matter most."""
    lines = [clipped(scene.title, width)]
    lines += [_flow_line(flow, width, style) for flow in scene.transfers[:SHOWN]]
    if scene.whole:
        lines.append(_flow_line(scene.whole, width, style))
    for doing in scene.doing:
        lines.append(f"{style.turn(scene.now)} {clipped(doing, width - 2)}")
    if scene.images:
        text = clipped(str(scene.images), width)
        lines.append(style.alarm(text) if scene.images.failed else text)
    return lines[-height:] if height > 0 else []


def _flow_line(flow: Flow, width: int, style: Style) -> str:
    """Label, bar, bytes, rate and time left: what fits, the bar last of all."""
    fields = [human_part(flow.done, flow.total).rjust(AMOUNTS), human_rate(flow.rate).rjust(RATE)]
    fields.append((f"{running_time(flow.left)} left" if flow.left is not None else "").rjust(LEFT))
    label = flow.label.ljust(LABEL)
    room = width - LABEL - sum(len(GAP) + columns(field) for field in fields) - len(GAP)
    if room >= SHORTEST_BAR:
        return GAP.join([label, style.bar(flow.share, min(room, LONGEST_BAR)), *fields]).rstrip()
    told = [flow.label, *(field.strip() for field in fields if field.strip())]
    while len(told) > 1 and columns(GAP.join(told)) > width:
        told.pop()
    return clipped(GAP.join(told), width)
