# SPDX-License-Identifier: MIT
"""What people see of a batch: a last word on stderr, and one row an image."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from .progress import ProgressView, human_bytes

# More of them scroll the summary away; all are in the result.
SHOWN_FAILURES = 10
# Columns of a table, with two blanks between them; names get what the others leave.
COLUMNS = 100
ERROR_WIDTH = 24
ENDED_WELL = ("copied", "updated", "unchanged", "skipped", "planned")


class BatchView(ProgressView):
    """Progress as of one import, and the summary at the end."""

    def planned(self, count: int) -> None:
        """What is wanted is known now."""
        self._line(f"  {_images(count)}")

    def end_batch(self, report: dict[str, Any], *, dry_run: bool) -> None:
        """Counts, bytes, time; the first failures with what to do; what a next run has to do."""
        if self._bar and self._drawn:
            self._stream.write("\n")
        totals, items = report["summary"], report["items"]
        counts = [
            f"{totals[state]} {state}" for state in (*ENDED_WELL, "failed", "blocked", "cancelled") if totals[state]
        ]
        words = {"copied": "to copy", "mounted": "to mount"} if dry_run else {}
        moved = [f"{human_bytes(n)} {words.get(way, way)}" for way, n in (totals["bytes"] or {}).items() if n]
        parts = [", ".join(counts) or "nothing to do", *([", ".join(moved)] if moved else [])]
        self._line(f"{_images(totals['items'])}: {'; '.join(parts)}; in {totals['seconds']:.1f} s.")
        failed = [item for item in items if item["status"] == "failed"]
        for item in failed[:SHOWN_FAILURES]:
            error = item["error"]
            self._line(
                f"  failed: {', '.join(item['targets']) or item['source']}: {error['message']} [{error['code']}]"
            )
            if error["recommendation"]:
                self._line(f"    {error['recommendation']}")
        if len(failed) > SHOWN_FAILURES:
            self._line(f"  and {len(failed) - SHOWN_FAILURES} more, which are in the result")
        if (hub := totals["hub"]) and hub["needed"]:
            self._line(
                f"  Docker Hub: what is left to do needs at least {hub['needed']} pulls, {hub['left']} are left in a "
                f"window of {hub['window'] / 3600:g} h."
            )
        if dry_run:
            self._line("Nothing was changed: this was a dry run.")
        elif any(totals[state] for state in ("failed", "blocked", "cancelled")):
            self._line("Run the same command again: it does only what is missing.")


def batch_rows(report: dict[str, Any]) -> list[OrderedDict[str, str]]:
    """For ``--output table``: one readable row an image, within 100 columns."""
    rows = [
        OrderedDict(
            SOURCE=item["source"].partition("@sha256:")[0],
            TARGET=", ".join(item["targets"]) or "-",
            STATUS=item["status"],
            SIZE=human_bytes(item["bytes"]["copied"]) if item["bytes"] else "-",
            ERROR=_fitting((item["error"] or {}).get("code") or "-", ERROR_WIDTH),
        )
        for item in report["items"]
    ]
    wide = {name: max([len(name), *(len(row[name]) for row in rows)]) for name in rows[0]} if rows else {}
    for row in rows:
        left = COLUMNS - 2 * (len(wide) - 1) - sum(wide[name] for name in ("STATUS", "SIZE", "ERROR"))
        source = min(wide["SOURCE"], max(left // 2, left - wide["TARGET"]))
        row["SOURCE"] = _fitting(row["SOURCE"], source)
        row["TARGET"] = _fitting(row["TARGET"], left - source)
    return rows


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _fitting(text: str, width: int) -> str:
    """The end of a name tells more than its begin."""
    return text if len(text) <= width else f"…{text[1 - width :]}"
