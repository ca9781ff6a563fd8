# SPDX-License-Identifier: MIT
"""Unchanged tags by ``az acr import-batch``, and by the loop around core's ``az acr import``: ``loop.py [--tags N]``.

Against the sandbox of the tests, all of it behind a slow link, signed in and with an az of its own. Of the loop some
calls are made, and their mean is taken for all: each fails, since the tag is there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import whole_az  # noqa: E402
from tests.sandbox import images  # noqa: E402
from tests.sandbox.sandbox import Sandbox  # noqa: E402

CALLS = 10
SOURCE = "mysourceregistry.azurecr.io"


def free_port() -> int:
    """Of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def main() -> None:
    """Seed, import once, measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tags", type=int, default=200, help="how many (default: 200)")
    tags = parser.parse_args().tags
    with tempfile.TemporaryDirectory() as folder, Sandbox(Path(folder) / "sandbox") as sandbox:
        sandbox.seed()
        for tag in range(tags):
            images.image(f"loop {tag}").push(sandbox.content(SOURCE), "loop/app", str(tag))
        machine = whole_az.Machine(shutil.which("az", path=whole_az.PATH) or "az", Path(folder))
        machine.add_extension()
        near = free_port()
        link = subprocess.Popen(
            [sys.executable, str(ROOT / "benchmarks" / "link.py"), str(near), str(sandbox.proxy.port)]
        )
        try:
            far = {**sandbox.environment(), "HTTPS_PROXY": f"http://127.0.0.1:{near}"}
            for extended in (True, False):
                config = Path(machine.environment(extended)["AZURE_CONFIG_DIR"])
                config.mkdir(exist_ok=True)
                sandbox.sign_in(config)

            def seconds(extended: bool, *words: str) -> float:
                environment, started = {**os.environ, **machine.environment(extended), **far}, time.perf_counter()
                subprocess.run([machine.az, "acr", *words], env=environment, check=False, capture_output=True)
                return time.perf_counter() - started

            batch = ("import-batch", "-n", "myregistry", "--source", f"{SOURCE}/loop/app", "-o", "none")
            first = seconds(True, *batch)
            again = [seconds(True, *batch) for _ in range(3)]
            loop = [
                seconds(False, "import", "-n", "myregistry", "--source", f"{SOURCE}/loop/app:{tag}")
                for tag in range(CALLS)
            ]
        finally:
            link.terminate()
    whole, mean = statistics.median(again), statistics.mean(loop)
    print(f"first import of {tags} tags: {first:.1f} s; again: {whole:.1f} s (median of 3)")
    print(f"core, one call: {mean:.2f} s (mean of {CALLS}); {tags} calls: {mean * tags:.0f} s")
    print(f"the loop takes {mean * tags / whole:.0f} times as long")


if __name__ == "__main__":
    main()
