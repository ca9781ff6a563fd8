# SPDX-License-Identifier: MIT
"""``--output table``: one row a target, within 100 columns. Loaded with every command."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from ..progress.amounts import clipped, columns, counted, fitted, human_bytes
from ..progress.plan import hub_words

# Of a whole table, with two blanks between its columns; the names get what the others leave.
COLUMNS = 100
GAP = 2
# az's table has at least so many blanks more in a column than its title is long.
BESIDE_TITLE = 2
SHORT_DIGEST = len("sha256:") + 12
LONGEST_CODE = 24
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
            row["ERROR"] = fitted(code if code != item["status"] else "", LONGEST_CODE)
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
            CHANGE=fitted(error["code"], LONGEST_CODE) if error else change,
            **amounts,
        )
        amounts = dict.fromkeys(ways, "-")


def _plan_lines(result: dict[str, Any]) -> list[Row]:
    """Of one image, to be read from top to bottom."""

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
    room = COLUMNS - GAP - max(len(title) for title, _ in said)
    return [OrderedDict([("PLAN", title), ("DETAIL", clipped(text, room))]) for title, text in said]


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

    titles = list(OrderedDict.fromkeys(title for row in rows for title in row))
    titles = [title for title in titles if any(row.get(title) for row in rows)]
    whole = [OrderedDict((title, row.get(title) or "-") for title in titles) for row in rows]
    wide = {title: max(len(title) + BESIDE_TITLE, *(columns(row[title]) for row in whole)) for title in titles}
    room = COLUMNS - GAP * (len(titles) - 1) - sum(width for title, width in wide.items() if title != "TARGET")
    front = within if within and len(within) + wide["TARGET"] <= room else ""
    for row in whole:
        row["TARGET"] = fitted(f"{front}{row['TARGET']}", room)
    return whole


def _short(digest: str | None) -> str:
    return (digest or "-")[:SHORT_DIGEST]


def _operation_id(url: str) -> str:
    """Its last part, which the service's own texts name, too; the whole address is in the result."""
    return url.partition("?")[0].partition("#")[0].rpartition("/")[2]
