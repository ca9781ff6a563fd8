# SPDX-License-Identifier: MIT
"""What is said when an import has ended well: one line."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from .amounts import columns, counted, human_bytes, human_time
from .plan import hub_words, moved_words, pulls_of

if TYPE_CHECKING:
    from ..engine import ItemResult

SHORT = len("sha256:") + 12


def last_word(item: ItemResult, engine: str, operation: str = "", width: int | None = None) -> str:
    """Empty for what has failed: the error says it. ``width``: of a terminal, on which one line is to stay one."""
    names = ", ".join(item.targets)
    digest = str(item.digest) if item.digest else ""
    digest = digest if width is None else digest[:SHORT]
    if item.status == "unchanged":
        return f"Unchanged: {names} is {digest} already." if digest else f"Unchanged: {names}."
    if item.status == "accepted":
        wait = f" To wait for its end: az acr import-wait --operation '{operation}'" if operation else ""
        return f"The import service goes on by itself.{wait}"
    if item.status == "planned":
        moving = moved_words(asdict(item.bytes), planned=True)
        hub = pulls_of(item)
        words = [f"{moving[0].upper()}{moving[1:]}." if moving else "", hub_words(hub) if hub else ""]
        return " ".join(filter(None, (*words, "Nothing was changed: this was a dry run.")))
    if item.status not in ("copied", "updated"):
        return ""
    said = f"Imported{names and f' {names}'}{f' as {digest}' if digest else ''}"
    if engine == "service":
        return f"{said}, by the import service in {_lasting(item.seconds)}."
    return _as_fits(f"{said}: ", list(_facts(item)), f" in {_lasting(item.seconds)}.", width)


def _facts(item: ItemResult) -> list[str]:
    """The most interesting first."""
    blobs, amounts = item.blobs, item.bytes
    facts = [f"{human_bytes(amounts.copied)} copied" if blobs.copied else ""]
    facts.append(f"{human_bytes(amounts.mounted)} mounted" if blobs.mounted else "")
    facts.append(counted(item.referrers, "referrer") if item.referrers else "")
    facts.append(f"{human_bytes(amounts.existing)} there already" if blobs.existing else "")
    return [fact for fact in facts if fact] or ["no blob had to move,"]


def _as_fits(head: str, facts: list[str], tail: str, width: int | None) -> str:
    """With as many facts as there is room for, and one in any case."""
    while width is not None and len(facts) > 1 and columns(f"{head}{', '.join(facts)}{tail}") >= width:
        facts.pop()
    return f"{head}{', '.join(facts)}{tail}"


def _lasting(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else human_time(seconds)
