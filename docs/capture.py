# SPDX-License-Identifier: MIT
"""``python docs/capture.py TYPESCRIPT``: turn what ``script`` recorded of a run into docs/demo.svg.

script -qec scripts/demo typescript </dev/null && .venv/bin/python docs/capture.py typescript
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

# rich's own template fetches a font from the net; a picture in a README must not
FONT = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)


def lines(recorded: str) -> list[str]:
    """What is on the screen in the end: of a line that was drawn over, the last drawing with something in it."""
    kept = []
    for line in recorded.replace("\r\n", "\n").split("\n"):
        drawn = [part for part in line.split("\r") if part.strip()]
        kept.append(re.sub(r"\x1b\[[0-9;?]*[A-LN-Za-ln-z]", "", drawn[-1]) if drawn else "")
    return kept


def main() -> None:
    """Write the picture."""
    from rich._export_format import CONSOLE_SVG_FORMAT

    console = Console(record=True, width=154, file=io.StringIO())
    with open(sys.argv[1], encoding="utf-8", newline="") as typescript:
        recorded = typescript.read()
    for line in lines(recorded):
        if not line.startswith(("Script ", "Making ")) and "Installing" not in line:
            console.print(Text.from_ansi(line))
    svg = console.export_svg(title="scripts/demo", code_format=FONT.sub("", CONSOLE_SVG_FORMAT))
    (Path(__file__).parent / "demo.svg").write_text(svg, "utf-8")


if __name__ == "__main__":
    main()
