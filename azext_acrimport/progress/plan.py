# SPDX-License-Identifier: MIT
"""What would be done, and what is left of Docker Hub's quota for it, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .amounts import counted, human_bytes, human_time

if TYPE_CHECKING:
    from ..engine import ItemResult

WAYS = {"copied": "to copy", "mounted": "to mount", "existing": "there already"}
MORE_PULLS = "With --username and --password there are more."


def moved_words(amounts: Mapping[str, int], *, planned: bool) -> str:
    """Of bytes by the way they go; empty where there are none."""
    words = {way: WAYS[way] if planned or way == "existing" else way for way in amounts}
    return ", ".join(f"{human_bytes(amount)} {words[way]}" for way, amount in amounts.items() if amount)


def pulls_of(item: ItemResult) -> dict[str, int] | None:
    """Of an image that is only planned, where its source counts pulls: each manifest that has to be read is one."""
    if item.status != "planned" or item.quota is None:
        return None
    return {"needed": max(1, item.manifests), "left": item.quota.left, "window": item.quota.window}


def hub_words(hub: Mapping[str, int]) -> str:
    """Docker Hub's quota, beside what is left to do."""
    window = human_time(hub["window"])
    left = f"{counted(hub['left'], 'pull')} left in its window of {window}"
    if not hub["needed"]:
        return f"Docker Hub: {left}."
    needed = f"Docker Hub: at least {counted(hub['needed'], 'pull')} needed, {left}."
    return needed if hub["needed"] <= hub["left"] else f"{needed} {MORE_PULLS}"
