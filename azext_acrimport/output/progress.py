# SPDX-License-Identifier: MIT
"""What people see while an import runs, on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..engine import ItemResult, Progress

# In a pipeline: often enough to show life, seldom enough to keep the log readable.
LINE_INTERVAL = 10.0
UNITS = ("B", "KB", "MB", "GB", "TB")


def human_bytes(amount: float) -> str:
    """In powers of 1000, as registries and disks count."""
    unit = 0
    while amount >= 999.95 and unit < len(UNITS) - 1:
        amount /= 1000
        unit += 1
    return f"{amount:.1f} {UNITS[unit]}" if unit else f"{amount:.0f} B"


class ProgressView:
    """Progress on stderr: az's bar on a terminal, else a line at the start, one every ten seconds, one at the end."""

    def __init__(self, cli_ctx: Any, title: str, *, stream: Any = None) -> None:
        self._stream = stream or sys.stderr
        self._silent = cli_ctx.only_show_errors or cli_ctx.config.getboolean(
            "core", "disable_progress_bar", fallback=False
        )
        terminal = not self._silent and self._stream.isatty()
        self._bar = cli_ctx.get_progress_controller(det=True) if terminal else None
        self._drawn = False
        self._said: str | None = None
        self._last_line = time.monotonic()
        self._line(title)

    def __call__(self, progress: Progress) -> None:
        """Take in a moment of the run."""
        if self._bar:
            if progress.bytes_total:
                self._drawn = True
                value = min(progress.bytes_done, progress.bytes_total)
                self._bar.add(message=f"{_amounts(progress)} ", value=value, total_val=progress.bytes_total)
        elif time.monotonic() - self._last_line >= LINE_INTERVAL:
            self._last_line = time.monotonic()
            blobs = f"{progress.blobs_done} of {progress.blobs_total} blobs"
            self._line(f"  {_amounts(progress)}, {blobs}, {progress.seconds:.0f} s")

    def waiting(self, seconds: float, said: str) -> None:
        """The service is at work: how long, and what it last said; a line every ten seconds."""
        if self._said is None or time.monotonic() - self._last_line >= LINE_INTERVAL:
            self._said, self._last_line = said, time.monotonic()
            self._line(f"  The import service works since {seconds:.0f} s: {said}")

    def end(self, item: ItemResult, engine: str = "embedded") -> None:
        """The last word."""
        if self._bar and self._drawn:
            self._stream.write("\n")
        for notice in item.notices:
            self._line(f"  {notice}")
        if item.status in ("copied", "updated") and engine == "service":
            self._line(f"Imported {', '.join(item.targets)} as {item.digest or 'an image'}, by the import service.")
        elif item.status == "accepted":
            self._line("The import service has taken it over. To see how it ends: az acr import-wait --operation …")
        elif item.status in ("copied", "updated"):
            moved = f"{item.blobs.copied} blobs ({human_bytes(item.bytes.copied)}) copied"
            mounted = f", {item.blobs.mounted} mounted" if item.blobs.mounted else ""
            there = f", {item.blobs.existing} were there" if item.blobs.existing else ""
            there += f", {item.referrers} referrer(s) with it" if item.referrers else ""
            self._line(
                f"Imported {', '.join(item.targets)} as {item.digest}: {moved}{mounted}{there}, "
                f"in {item.seconds:.1f} s."
            )
        elif item.status == "unchanged":
            self._line(f"Unchanged: {', '.join(item.targets)} is {item.digest} already.")
        elif item.status == "planned":
            self._line("Nothing was changed: this was a dry run.")

    def _line(self, text: str) -> None:
        if not self._silent:
            self._stream.write(f"{text}\n")
            self._stream.flush()


def _amounts(progress: Progress) -> str:
    rate = progress.bytes_done / progress.seconds if progress.seconds > 0 else 0
    return f"{human_bytes(progress.bytes_done)} of {human_bytes(progress.bytes_total)}, {human_bytes(rate)}/s"
