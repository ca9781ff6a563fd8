# SPDX-License-Identifier: MIT
"""``python -m docs.pictures``: record what az shows on a terminal of 80 columns, and make pictures of it.

Five runs of the real az against the sandbox, over a line of 40 MB a second: an image of 300 MB, the same again, a tag
of another image, a dry run, a batch.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.sandbox import images
from tests.sandbox.sandbox import Sandbox

from .film import Terminal, svg

HERE = Path(__file__).parent
LINE = 40e6  # bytes a second, both directions together
LAYERS = (30, 85, 120, 64)  # MB
ROWS = 21

# a picture's name, the command, and how many seconds its end stays on the screen
ONE = "az acr import --name myregistry --source docker.io/library/ml:"
MANY = "az acr import-batch --name myregistry --source docker.io/library/app"
RUNS = (
    ("import", f"{ONE}1.0 \\\n    --image ml:1.0 --output table", 4),
    ("again", f"{ONE}1.0 \\\n    --image ml:1.0 --output table", 4),
    ("conflict", f"{ONE}2.0 \\\n    --image ml:1.0 --output none", 5),
    ("plan", f"{ONE}2.0 \\\n    --image ml:2.0 --dry-run --output table", 6),
    (
        "batch",
        "az acr import-batch --name myregistry --output table \\\n    --source docker.io/library/app --newest 6",
        6,
    ),
)
# how far in it is what the still picture shows; of all others it is the end
MOVING = {"import": 0.6, "batch": 0.85}


def content(sandbox: Sandbox) -> None:
    """What the runs import."""
    hub = sandbox.content("docker.io")
    layers = [images.noise(f"ml {size}", size * 1_000_000) for size in LAYERS]

    def push(name: str, tag: str, *layers: bytes) -> None:
        config = f'{{"name": "{name}:{tag}"}}'.encode()
        made = images.manifest(config, layers, config_type=images.OCI_CONFIG, layer_type=images.OCI_LAYER)
        made.push(hub, f"library/{name}", tag)

    push("ml", "1.0", *layers)
    push("ml", "2.0", *layers[:2], images.noise("ml 2.0", 42_000_000))
    for minor in range(8):
        push("app", f"3.{minor}", layers[0], images.noise(f"app 3.{minor}", minor * 8_000_000))


def main() -> None:
    """Make all of them."""
    with tempfile.TemporaryDirectory() as folder, Sandbox(Path(folder) / "sandbox", line=LINE) as sandbox:
        content(sandbox)
        sandbox.hub.limit = 200
        config = Path(folder) / "azure"
        config.mkdir()
        sandbox.sign_in(config)
        environment = {
            **sandbox.environment(),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": folder,
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "AZURE_CONFIG_DIR": str(config),
            "AZURE_EXTENSION_DIR": str(Path(folder) / "extensions"),
        }
        wheel = [HERE.parent / "scripts/wheel", folder]
        subprocess.run(wheel, check=True, env={**os.environ, "PYTHON": sys.executable}, capture_output=True)
        added = ["az", "extension", "add", "--yes", "--source", str(next(Path(folder).glob("*.whl")))]
        subprocess.run(added, check=True, env=environment, cwd=folder, capture_output=True)
        subprocess.run(["az", "acr", "import", "-h"], env=environment, cwd=folder, capture_output=True)  # warm
        film = []
        for name, command, stay in RUNS:
            terminal = Terminal(ROWS)
            terminal.type(command)
            terminal.run(command.replace("\\\n", " ").split(), environment, folder)
            terminal.keep(stay)
            film += terminal.frames
            still = terminal.frames[int(MOVING.get(name, 1) * (len(terminal.frames) - 1))]
            (HERE / f"{name}.svg").write_text(svg([still.cropped()], 0, command), "utf-8")
        title = "az acr import: an image of 300 MB, the same again, a conflict, a dry run, a batch"
        (HERE / "demo.svg").write_text(svg(film, len(film) // 6, title), "utf-8")


if __name__ == "__main__":
    main()
