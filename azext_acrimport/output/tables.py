# SPDX-License-Identifier: MIT
"""``--output table``: one row a target, within 100 columns, or a terminal's. Loaded with every command."""

from __future__ import annotations

import sys
import textwrap
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from ..progress.amounts import columns, counted, fitted, human_bytes
from ..progress.plan import hub_words
from ..progress.screen import size_of

# Of a whole table, with two blanks between its columns; the names get what the others leave.
COLUMNS = 100
GAP = 2
# Names that would be cut shorter than this on a narrow terminal get the place of the digests, which the result has.
SHORTEST_NAME = 24
# az's table has at least so many blanks more in a column than its title is long.
BESIDE_TITLE = 2
SHORT_DIGEST = len("sha256:") + 12
CHANGES = {"create": "make", "move": "move from {}", "none": "none", None: "not known"}

Row = OrderedDict[str, str]


def result_rows(result: dict[str, Any]) -> list[Row]:
    """Of ``az acr import`` and ``az acr import-wait``; of a dry run all that would happen, line by line."""
    if result["status"] == "planned":
        return _plan_lines(result)
    rows = list(_rows(result))
    host = result["registry"]
    return _table(rows, within=f"{host}/" if host and result["targets"] else "")


def batch_rows(report: dict[str, Any]) -> list[Row]:
    """Of ``az acr import-batch``."""
    items = report["items"]
    rows = _plan_rows if any(item["status"] == "planned" for item in items) else _rows
    return _table([row for item in items for row in rows(item)])


def _rows(item: dict[str, Any]) -> Iterator[Row]:
    """An image's bytes and seconds are told once, whatever number of targets it has."""

    moved = human_bytes(item["bytes"]["copied"]) if item["bytes"] else "-"
    seconds = f"{item['seconds']:.1f}"
    for name in _names(item):
        row = OrderedDict(TARGET=name, STATUS=item["status"])
        if operation := item.get("operation"):
            row["OPERATION"] = _operation_id(operation)
        else:
            row |= OrderedDict(DIGEST=_short(item["digest"]), MOVED=moved, SECONDS=seconds)
            code = (item["error"] or {}).get("code") or ""
            row["ERROR"] = code if code != item["status"] else ""
        yield row
        moved = seconds = "-"


def _plan_rows(item: dict[str, Any]) -> Iterator[Row]:
    """What would be done to each target; where nothing can be, the reason."""

    known = {change["target"]: change for change in item["changes"]}
    ways = {"TO COPY": "copied", "TO MOUNT": "mounted", "THERE": "existing"}
    amounts = {title: human_bytes(item["bytes"][way]) if item["bytes"] else "-" for title, way in ways.items()}
    for name in _names(item):
        change = _change(known.get(name, {"action": None}), digits=SHORT_DIGEST)
        error = item["error"]
        yield OrderedDict(
            TARGET=name,
            STATUS=item["status"],
            CHANGE=error["code"] if error else change,
            **amounts,
        )
        amounts = dict.fromkeys(ways, "-")


def _plan_lines(result: dict[str, Any]) -> list[Row]:
    """Of one image, to be read from top to bottom; what is too long goes on in the next row."""

    said = [("Source", result["source"]), ("Target registry", result["registry"])]
    said += [("Digest", result["digest"] or "not known")]
    said += [("Engine", f"{result['engine']}: {result['engineReason']}")]
    if result["blobs"]:
        for title, way in (("To copy", "copied"), ("To mount", "mounted"), ("There already", "existing")):
            blobs, size = result["blobs"][way], result["bytes"][way]
            said.append((title, f"{human_bytes(size)} ({counted(blobs, 'blob')})" if blobs else "nothing"))
    for change in result["changes"]:
        said.append(("Tag" if ":" in change["target"] else "By digest", _to_do(change)))
    if hub := result.get("hub"):
        said.append(("Docker Hub", hub_words(hub).removeprefix("Docker Hub: ").rstrip(".")))
    room = _width() - GAP - max(len(title) for title, _ in said)
    lines: list[Row] = []
    for title, text in said:
        if title == "Digest" and len(text) > room:
            text = _short(text)
        for line in textwrap.wrap(text, room, break_on_hyphens=False):
            lines.append(OrderedDict(PLAN=title, DETAIL=line))
            title = ""
    return lines


def _width() -> int:
    """The same in every file and pipe; no wider than a terminal."""
    return min(COLUMNS, size_of(sys.stdout).columns) if sys.stdout.isatty() else COLUMNS


def _change(change: dict[str, Any], digits: int | None = None) -> str:
    return CHANGES[change["action"]].format((change.get("before") or "")[:digits])


def _to_do(change: dict[str, Any]) -> str:
    """As a sentence begins."""
    what, _, before = _change(change, digits=SHORT_DIGEST).partition(" from ")
    return f"{what} {change['target']}{f' from {before}' if before else ''}"


def _names(item: dict[str, Any]) -> list[str]:
    """What could not be looked at has no target, and its source stands there."""
    return item["targets"] or [item["source"] or "-"]


def _table(rows: list[Row], within: str = "") -> list[Row]:
    """The same columns in every row, none of them empty, the names as wide as there is room.

    ``within``: what stands before all names if it fits.
    """

    if not rows:
        return []
    titles = list(OrderedDict.fromkeys(title for row in rows for title in row))
    titles = [title for title in titles if any(row.get(title) for row in rows)]
    whole = [OrderedDict((title, row.get(title) or "-") for title in titles) for row in rows]
    wide = {title: max(len(title) + BESIDE_TITLE, *(columns(row[title]) for row in whole)) for title in titles}
    width, least = _width(), min(wide["TARGET"], SHORTEST_NAME)
    room = _room(wide, width)
    if room < least and width < COLUMNS:
        wide.pop("DIGEST", None)
        whole = [OrderedDict((title, row[title]) for title in wide) for row in whole]
        room = max(_room(wide, width), least)
    front = within if len(within) + max(columns(row["TARGET"]) for row in whole) <= room else ""
    for row in whole:
        row["TARGET"] = fitted(f"{front}{row['TARGET']}", room)
    return whole


def _room(wide: dict[str, int], width: int) -> int:
    """For the names."""
    return width - GAP * (len(wide) - 1) - sum(taken for title, taken in wide.items() if title != "TARGET")


def _short(digest: str | None) -> str:
    return (digest or "-")[:SHORT_DIGEST]


def _operation_id(url: str) -> str:
    """Its last part, which the service's own texts name, too; the whole address is in the result."""
    return url.partition("?")[0].partition("#")[0].rpartition("/")[2]
