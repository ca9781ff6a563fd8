# SPDX-License-Identifier: MIT
"""Bytes, rates, times and numbers of things, as people read them."""

from __future__ import annotations

import unicodedata

UNITS = ("B", "KB", "MB", "GB", "TB")
MINUTE, HOUR = 60, 3600


def human_bytes(amount: float) -> str:
    """In powers of 1000, as registries and disks count."""
    amount, unit = _scaled(amount)
    return f"{amount:.1f} {UNITS[unit]}" if unit else f"{amount:.0f} B"


def human_part(done: float, total: float) -> str:
    """``12.3/66.1 MB``: both in the unit of the whole, so that one number runs towards the other."""
    whole, unit = _scaled(total)
    part = done / 1000**unit
    return f"{part:.1f}/{whole:.1f} {UNITS[unit]}" if unit else f"{part:.0f}/{whole:.0f} B"


def human_rate(bytes_a_second: float) -> str:
    """At most nine characters."""
    amount, unit = _scaled(bytes_a_second)
    digits = 1 if unit and amount < 99.95 else 0
    return f"{amount:.{digits}f} {UNITS[unit]}/s"


def human_time(seconds: float) -> str:
    """In words, for a sentence: the two largest units at most."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return " ".join(filter(None, (f"{whole // MINUTE} min", f"{whole % MINUTE} s" if whole % MINUTE else "")))
    hours, minutes = divmod(round(seconds / MINUTE), MINUTE)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def running_time(seconds: float) -> str:
    """For a clock that runs: ``0:04``, ``12:05``; hours alone where minutes do not count."""
    whole = max(0, int(seconds))
    if whole >= 10 * HOUR:
        return f"{whole // HOUR} h"
    if whole >= HOUR:
        return f"{whole // HOUR}:{whole % HOUR // MINUTE:02}:{whole % MINUTE:02}"
    return f"{whole // MINUTE}:{whole % MINUTE:02}"


def counted(count: int, noun: str) -> str:
    """``1 image``, ``2 images``; nouns whose plural is regular."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def columns(text: str) -> int:
    """How many cells of a terminal it takes. https://www.unicode.org/reports/tr11/"""
    return sum(_cells(character) for character in text)


def fitted(text: str, width: int) -> str:
    """Not wider than that. What is cut off is the begin: the end of a name tells more."""
    if columns(text) <= width:
        return text
    kept: list[str] = []
    room = width - 1
    for character in reversed(text):
        room -= _cells(character)
        if room < 0:
            break
        kept.append(character)
    return "…" + "".join(reversed(kept)) if width > 0 else ""


def clipped(text: str, width: int) -> str:
    """Not wider than that; of a sentence the end is cut off."""
    if columns(text) <= width:
        return text
    return fitted(text[::-1], width)[::-1]


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "FW" else 1


def _scaled(amount: float) -> tuple[float, int]:
    unit = 0
    while amount >= 999.95 and unit < len(UNITS) - 1:
        amount /= 1000
        unit += 1
    return amount, unit
