# SPDX-License-Identifier: MIT
"""What was measured as a table (Markdown) and as a chart (SVG)."""

from __future__ import annotations

from html import escape
from statistics import median
from typing import TYPE_CHECKING

from .rows import ROWS

if TYPE_CHECKING:
    from .compare import Measured

OURS = "acrimport"
# the engine of another checkout, and ours with what an earlier run has learned: no peers
ALSO_OURS = ("before", "learned")
COLOURS = {OURS: "#0a66c2", "skopeo": "#8a8f98", "skopeo sync": "#b3b7be"}
OTHER = "#9aa5a0"

NAMES, BARS, WIDTH = 150, 460, 760
LINE, GAP = 18, 34


def table(results: dict[str, list[Measured]]) -> str:
    """A row for each tool in each row. ``ratio``: ours to the best peer, by the medians."""
    lines = [
        "| Row | Tool | min s | median s | CPU s | peak MB | requests | ratio |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in results.items():
        for measured in row:
            first = f"{ROWS[name].title} (`{name}`)" if measured is row[0] else ""
            lines.append(f"| {first} | {measured.tool} | {_cells(measured, row)} |")
    return "\n".join(lines) + "\n"


def _cells(measured: Measured, row: list[Measured]) -> str:
    if measured.failure:
        return f"failed: {measured.failure} | | | | |"
    ratio = best_ratio(row) if measured.tool == OURS else None
    return " | ".join(
        [
            f"{min(measured.seconds):.2f}",
            f"{median(measured.seconds):.2f}",
            f"{median(measured.processor):.2f}",
            f"{max(measured.memory) / 1e6:.0f}",
            f"{median(measured.requests):.0f}",
            f"**{ratio:.2f}**" if ratio else "",
        ]
    )


def best_ratio(row: list[Measured]) -> float | None:
    """Our median to that of the fastest peer; None when one of the two is missing."""
    own = [median(m.seconds) for m in row if m.tool == OURS and not m.failure]
    peers = [median(m.seconds) for m in row if m.tool not in (OURS, *ALSO_OURS) and not m.failure]
    return own[0] / min(peers) if own and peers else None


def svg(results: dict[str, list[Measured]]) -> str:
    """Bars of median seconds; in each row the slowest one has the full width."""
    parts: list[str] = []
    y = 44
    for name, row in results.items():
        good = [measured for measured in row if not measured.failure]
        if not good:
            continue
        longest = max(median(measured.seconds) for measured in good)
        ratio = best_ratio(row)
        parts.append(f'<text x="20" y="{y}" class="row">{escape(ROWS[name].title)}</text>')
        if ratio:
            parts.append(f'<text x="{WIDTH - 20}" y="{y}" class="ratio">{ratio:.2f} of the best peer</text>')
        for measured in good:
            y += LINE
            parts.append(_bar(measured, longest, y))
        y += GAP
    style = (
        "text{font:13px system-ui,sans-serif;fill:#24292f}.row{font-weight:600}.head{font-size:15px;font-weight:600}"
        ".tool{text-anchor:end}.ratio{text-anchor:end;fill:#57606a}"
    )
    head = '<text x="20" y="20" class="head">Seconds to copy (median; shorter is better)</text>'
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    back = f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">', f"<style>{style}</style>", back, head]
    return "\n".join([*lines, *parts, "</svg>"]) + "\n"


def _bar(measured: Measured, longest: float, y: int) -> str:
    seconds = median(measured.seconds)
    width = max(2.0, BARS * seconds / longest)
    colour = COLOURS.get(measured.tool, OTHER)
    return (
        f'<text x="{NAMES - 8}" y="{y}" class="tool">{escape(measured.tool)}</text>'
        f'<rect x="{NAMES}" y="{y - 11}" width="{width:.0f}" height="13" rx="2" fill="{colour}"/>'
        f'<text x="{NAMES + width + 6:.0f}" y="{y}">{seconds:.2f} s</text>'
    )
