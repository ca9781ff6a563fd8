# SPDX-License-Identifier: MIT
"""Equal parts of a batch, the same in every process that has seen the same listing: for jobs beside one another."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .targets import Item

__all__ = ["part_of", "parse_shard"]

SHARD = re.compile(r"(\d{1,5})/(\d{1,5})")


def parse_shard(text: str) -> tuple[int, int]:
    """``I/N``, I from 1 to N. Raises ValueError."""
    match = SHARD.fullmatch(text.strip())
    part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= parts:
        raise ValueError(f"'{text}' is not I/N with I from 1 to N, such as 2/5")
    return part, parts


def part_of(items: Sequence[Item], part: int, parts: int) -> list[Item]:
    """The items of that part, in their order. Every item is in exactly one.

    A source repository stays whole, since its images share blobs; one that is larger than a part is split by its tags.
    The largest are dealt out first, each to the part that has least.
    """
    most = -(-len(items) // parts)
    groups: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        groups.setdefault(item.source_repository, []).append(number)
    pieces = [
        (name, numbers[start : start + most])
        for name, numbers in groups.items()
        for start in range(0, len(numbers), most)
    ]
    filled: list[list[int]] = [[] for _ in range(parts)]
    for _, numbers in sorted(pieces, key=lambda piece: (-len(piece[1]), piece[0], piece[1])):
        min(filled, key=len).extend(numbers)
    return [items[number] for number in sorted(filled[part - 1])]
