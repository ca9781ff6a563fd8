# SPDX-License-Identifier: MIT
"""``python -m docs.speed``: a chart of three rows of benchmarks/README.md, of which one is lost."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks import chart
from benchmarks.compare import Measured

TABLE = Path(__file__).parent.parent / "benchmarks/README.md"
PICTURE = Path(__file__).with_name("speed.svg")
ROWS = ("repositories-link", "layer-far", "small-link")


def picture() -> str:
    """The chart. Raises KeyError when the table has no such row."""
    rows: dict[str, list[Measured]] = {}
    table = TABLE.read_text("utf-8").partition("| Row | Tool |")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        title, tool, _, seconds, *_ = (cell.strip() for cell in line.split("|")[1:])
        if named := re.search(r"\(`(.+)`\)$", title):
            row = rows.setdefault(named[1], [])
        row.append(Measured(tool, [float(seconds)]))
    return chart.svg({name: rows[name] for name in ROWS})


if __name__ == "__main__":
    PICTURE.write_text(picture(), "utf-8")
