# SPDX-License-Identifier: MIT
"""The whole of ``az acr import`` on the road that users drive, beside az and crane: ``whole_cloud.py [--runs N]``.

The world of the tests stands behind a link of 50 ms, with the names and the port that it really has; they are in a
hosts file that only the measured programs see. Needs root on Linux (``unshare``, port 443), an az beside this Python or
on PATH, and crane on PATH. One image of three layers of 50 kB from Docker Hub; each time to another name, by turns:

* ``az acr import``, as at the first time, and with what an earlier one has learned;
* what one would do without it: ``az acr login --expose-token``, ``crane auth login``, ``crane copy``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import registries, whole_az  # noqa: E402
from benchmarks.cloud import ALONE  # noqa: E402
from tests.sandbox import images  # noqa: E402
from tests.sandbox.sandbox import Sandbox  # noqa: E402

REGISTRY, IMAGE = "myregistry", "docker.io/bench/small:v1"
NOBODY = "00000000-0000-0000-0000-000000000000"


def main() -> int:
    """Seed, measure by turns, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: 5)")
    options = parser.parse_args()
    az, crane = shutil.which("az", path=whole_az.PATH), shutil.which("crane")
    if not az or not crane:
        parser.error("az and crane are needed")
    with (
        tempfile.TemporaryDirectory(dir=registries.memory_folder()) as folder,
        Sandbox(Path(folder) / "sandbox") as sandbox,
        registries.link_at(443, sandbox.front.port),
    ):
        sandbox.seed()
        layers = [images.layer(f"tiny {number}", 50_000) for number in range(3)]
        images.image("tiny", (), shared=layers).push(sandbox.content("docker.io"), "bench/small", "v1")
        machine = whole_az.Machine(az, Path(folder))
        machine.add_extension()
        told = Road(sandbox, machine, Path(folder)).measured(options.runs)
    print("| What | min s | median s |\n|---|--:|--:|")
    for what, seconds in told.items():
        print(f"| {what} | {min(seconds):.2f} | {statistics.median(seconds):.2f} |")
    theirs = statistics.median(told["az acr login, crane"])
    for what in ("az acr import", "learned"):
        print(f"{what}: {statistics.median(told[what]) / theirs:.2f} of az and crane")
    return 0


class Road:
    """What is run on it. Every import has a name of its own, so that nothing of it is there."""

    def __init__(self, sandbox: Sandbox, machine: whole_az.Machine, folder: Path) -> None:
        self._machine, self._folder = machine, folder
        self._count = 0
        self._hosts = folder / "hosts"
        self._hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in sandbox.names))
        trust = {name: value for name, value in sandbox.environment().items() if "PROXY" not in name}
        self._environment = {**machine.environment(True), **trust, "DOCKER_CONFIG": str(folder / "docker")}
        for name in [name for name in self._environment if name.lower().endswith("_proxy")]:
            del self._environment[name]
        config = Path(self._environment["AZURE_CONFIG_DIR"])
        config.mkdir(exist_ok=True)
        sandbox.sign_in(config)
        self._learned = config / "acrimport-registries.json"

    def measured(self, runs: int) -> dict[str, list[float]]:
        """Seconds by what was done; the first one of each kind is not counted."""
        told: dict[str, list[float]] = {}
        for run in range(runs + 1):
            for what, act in (("az acr import", self._first), ("learned", self._import), ("az", self._with_crane)):
                for name, seconds in act(what).items():
                    told.setdefault(name, []).extend([seconds] if run else [])
        return told

    def _first(self, what: str) -> dict[str, float]:
        self._learned.unlink(missing_ok=True)
        return self._import(what)

    def _import(self, what: str) -> dict[str, float]:
        words = ["acr", "import", "-n", REGISTRY, "--source", IMAGE, "--image", self._name(), "-o", "json"]
        seconds, output = self._timed(self._machine.az, *words)
        item = json.loads(output)
        assert item["status"] == "copied", item
        return {what: seconds, f"{what}: from the handler's first line to its last": item["seconds"]}

    def _with_crane(self, what: str) -> dict[str, float]:
        target = f"{REGISTRY}.azurecr.io"
        login, output = self._timed(self._machine.az, "acr", "login", "-n", REGISTRY, "--expose-token", "-o", "json")
        token = json.loads(output)["accessToken"]
        auth, _ = self._timed("crane", "auth", "login", target, "-u", NOBODY, "--password-stdin", stdin=token)
        copy, _ = self._timed("crane", "copy", IMAGE, f"{target}/{self._name()}")
        return {"az acr login": login, "crane copy": auth + copy, "az acr login, crane": login + auth + copy}

    def _name(self) -> str:
        self._count += 1
        return f"bench/small{self._count}:v1"

    def _timed(self, *words: str, stdin: str = "") -> tuple[float, str]:
        started = time.perf_counter()
        done = subprocess.run(
            [*ALONE, str(self._hosts), *words], env=self._environment, input=stdin, capture_output=True, text=True
        )
        seconds = time.perf_counter() - started
        if done.returncode:
            raise SystemExit(f"{words[0]}: {done.stderr[-2000:]}")
        return seconds, done.stdout


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(main())
