# SPDX-License-Identifier: MIT
"""What waited for what: from the log of ``road`` to the critical path of a run, and to a picture of it (SVG).

All times are as the client sees them, in round trips from the start of its process.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path

# As ``link`` delays each direction, in seconds.
DELAY = 0.025
ROUND_TRIP = 2 * DELAY
# What begins within such a part of a round trip after an end may have waited for it.
SLACK = 0.16

NAMES, UNIT, LINE, TOP = 90, 44, 15, 60
COLOURS = {"connection": "#c7ccd1", "request": "#0a66c2", "refused": "#d9822b"}


@dataclass(frozen=True)
class Step:
    """A connection that is opened, or a request and its answer."""

    host: str
    connection: str
    said: str
    kind: str
    begun: float
    ended: float


def steps(log: Path, started: float, delay: float = DELAY) -> list[Step]:
    """Of one run whose process was started at that time, by their beginning; all times in seconds of ``DELAY``."""
    scale = DELAY / delay  # a longer way, on which less is lost to a busy machine, is told as the usual one
    found = []
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        begun, ended = (scale * (entry[at] - started) for at in ("begun", "ended"))
        if entry["kind"] == "connection":
            # accepted as soon as it is asked for; the server hears of the last greeting half a round trip later
            step = Step(entry["host"], entry["connection"], "connect", "connection", begun, ended - DELAY)
        else:
            kind = "refused" if entry["status"] == 401 else "request"
            said = f"{entry['method']} {_short(entry['path'])} {entry['status']}"
            step = Step(entry["host"], entry["connection"], said, kind, begun - DELAY, ended + DELAY)
        found.append(step)
    return sorted(found, key=lambda step: step.begun)


def critical(found: list[Step]) -> list[Step]:
    """The chain from the first step to the last: each began when the one before it had ended."""
    if not found:
        return []
    chain = [max(found, key=lambda step: step.ended)]
    while True:
        before = [
            step for step in found if step.ended <= chain[0].begun + SLACK * ROUND_TRIP and step.begun < chain[0].begun
        ]
        if not before:
            return chain
        chain.insert(0, max(before, key=lambda step: (step.ended, step.connection == chain[0].connection)))


def trips(chain: list[Step]) -> int:
    """Round trips that stand in a row."""
    return sum(max(1, round((step.ended - step.begun) / ROUND_TRIP)) for step in chain)


def told(chain: list[Step]) -> str:
    """The critical path as text, a line a step."""
    lines, last = [], 0.0
    for step in chain:
        waited = step.begun - last
        lines.append(
            f"{step.begun:6.3f} s  +{waited * 1000:4.0f} ms  {step.host:8} {step.said}"
            f"  {(step.ended - step.begun) * 1000:.0f} ms"
        )
        last = step.ended
    return "\n".join([*lines, f"{trips(chain)} round trips in a row, {last:.3f} s"])


def svg(found: list[Step], title: str) -> str:
    """A line for each connection, by host; the critical path has a frame."""
    chain = critical(found)
    lanes = sorted({(step.host, step.connection) for step in found}, key=lambda lane: _first(found, lane))
    lanes.sort(key=lambda lane: ("hub", "auth", "storage", "acr").index(lane[0]))
    end = max(step.ended for step in found) / ROUND_TRIP
    width, height = NAMES + UNIT * (end + 1), TOP + LINE * len(lanes) + 20
    parts = []
    for trip in range(int(end) + 1):
        x = NAMES + UNIT * trip
        parts.append(f'<line x1="{x}" y1="{TOP - 16}" x2="{x}" y2="{height - 20}" stroke="#eaeef2"/>')
        parts.append(f'<text x="{x}" y="{TOP - 20}" class="small">{trip}</text>')
    last = ""
    for number, lane in enumerate(lanes):
        y = TOP + LINE * number
        if lane[0] != last:
            parts.append(f'<text x="10" y="{y + 10}">{lane[0]}</text>')
            last = lane[0]
        parts += [_bar(step, y, step in chain) for step in found if (step.host, step.connection) == lane]
    said = f"{title}: {trips(chain)} round trips in a row (framed); unit: one round trip of 50 ms"
    style = "text{font:12px system-ui,sans-serif;fill:#24292f}.small{font-size:10px;fill:#57606a}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" role="img">'
        f'<style>{style}</style><rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="10" y="20" font-weight="600">{escape(said)}</text>{"".join(parts)}</svg>\n'
    )


def _first(found: list[Step], lane: tuple[str, str]) -> float:
    return min(step.begun for step in found if (step.host, step.connection) == lane)


def _bar(step: Step, y: int, framed: bool) -> str:
    x = NAMES + UNIT * step.begun / ROUND_TRIP
    width = max(2.0, UNIT * (step.ended - step.begun) / ROUND_TRIP - 1)
    frame = ' stroke="#cf222e" stroke-width="2"' if framed else ""
    return (
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{LINE - 4}" fill="{COLOURS[step.kind]}"{frame}>'
        f"<title>{escape(step.said)}</title></rect>"
    )


def _short(path: str) -> str:
    """Digests are long, and say little."""
    head, _, tail = path.partition("?")
    parts = ["sha256:" + part[7:11] if part.startswith("sha256:") else part for part in head.split("/")]
    return "/".join(parts[-2:]) + ("?" + tail.partition("=")[0] if tail else "")
