# SPDX-License-Identifier: MIT
"""What people see of a batch: how many images have come how far, and a summary at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from . import pipeline
from .amounts import counted, human_time
from .drawing import Images
from .plan import hub_words, moved_words
from .view import ProgressView

if TYPE_CHECKING:
    from ..engine import Progress

# More of them scroll the summary away; all are in the result.
SHOWN_FAILURES = 10
ENDED_WELL = ("copied", "updated", "unchanged", "skipped")
ENDED_BADLY = ("failed", "blocked", "cancelled")


class BatchView(ProgressView):
    """Progress as of one import, with the number of images, and the summary at the end."""

    _total = 0
    _in_group = False

    def planned(self, count: int, standing: Callable[[], Mapping[str, int]]) -> None:
        """What is wanted is known now. ``standing``: how many images have ended how, but for those of the moment."""
        self._total, self._standing = count, standing
        self.name = counted(count, "image")
        if self._in_pipeline:
            self._in_group = True
            self._line(pipeline.group(f"{self.title}: {self.name}"))
        elif not self._screen:
            self._line(f"  {self.name}")

    def forget(self) -> None:
        """The engine's part of it has ended, and stands in the outcomes."""
        with self._lock:
            self._progress = None

    def _images(self) -> Images | None:
        if not self._total:
            return None
        ended: Counter[str] = Counter(self._standing())
        running = len(self._operations)
        if progress := self._progress:
            ended.update(progress.ended)
            running += progress.running
        failed = sum(ended[state] for state in ENDED_BADLY)
        return Images(self._total, sum(ended[state] for state in ENDED_WELL), running, failed)

    def _expected(self, progress: Progress) -> float:
        """Images of which nothing is known yet are taken for as large as the others."""
        known = progress.running + sum(progress.ended.values())
        return progress.bytes_total * max(1.0, self._total / known) if known else progress.bytes_total

    def end_batch(self, report: dict[str, Any], *, dry_run: bool, names_failures: bool = True) -> None:
        """Counts, bytes, time; the first failures with what to do; what a next run has to do.

        ``names_failures``: False where the command itself ends with the only one.
        """
        self.close()
        totals, items = report["summary"], report["items"]
        if self._in_pipeline and self._in_group:
            self._line(pipeline.END_GROUP)
            self._line(pipeline.group("What has become of each image"))
            for item in items:
                self._line(f"{item['status']}: {', '.join(item['targets']) or item['source']}")
            self._line(pipeline.END_GROUP)
        uncounted = any(item["status"] == "planned" and item.get("bytes") is None for item in items)
        self._line(_summary(totals, dry_run=dry_run, uncounted=uncounted))
        failed = [item for item in items if item["status"] == "failed" and names_failures]
        for item in failed[:SHOWN_FAILURES]:
            self._tell_failure(item)
        if len(failed) > SHOWN_FAILURES:
            self._line(f"  and {len(failed) - SHOWN_FAILURES} more, which are in the result")
        if hub := totals["hub"]:
            self._line(f"  {hub_words(hub)}")
        if dry_run and names_failures:
            self._line("Nothing was changed: this was a dry run.")

    def _tell_failure(self, item: dict[str, Any]) -> None:
        error, name = item["error"], ", ".join(item["targets"]) or item["source"]
        if self._in_pipeline:
            said = f"{name}: {error['message']} {error['recommendation'] or ''}"
            self._line(pipeline.issue("error", said, error["code"]))
            return
        self._line(f"  failed: {name}: {error['message']} [{error['code']}]")
        if error["recommendation"]:
            self._line(f"    {error['recommendation']}")


def _summary(totals: Mapping[str, Any], *, dry_run: bool, uncounted: bool = False) -> str:
    """``uncounted``: of some images a dry run cannot tell how much would move, or only at the price of a pull."""
    states = (*ENDED_WELL, "planned", *ENDED_BADLY)
    counts = [f"{totals[state]} {state}" for state in states if totals[state]]
    moved = moved_words(totals["bytes"] or {}, planned=dry_run)
    if uncounted:
        moved = f"at least {moved}" if moved else "how much would move is not known"
    parts = [", ".join(counts) or "nothing to do", *([moved] if moved else [])]
    seconds = totals["seconds"]
    lasting = f"{seconds:.1f} s" if seconds < 60 else human_time(seconds)
    return f"{counted(totals['items'], 'image')}: {'; '.join(parts)}; in {lasting}."
