# SPDX-License-Identifier: MIT
"""What az adds to the engine, and the extension to az: ``whole_az.py [--runs N]``.

Needs an az beside this Python or on PATH, and Debian's docker-registry. The extension is built from this checkout and
added to an az of its own; nobody's ``~/.azure`` is touched. Times are wall clock; runs of both kinds take turns.
"""

from __future__ import annotations

import argparse
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

from benchmarks import images, registries, tools  # noqa: E402
from benchmarks.rows import typical  # noqa: E402

PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
COMMANDS = ("version", "acr -h", "acr import -h")


def main() -> int:
    """Build, measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, help="pairs of runs of each command (default: 10)")
    options = parser.parse_args()
    az = shutil.which("az", path=PATH)
    if not az or not registries.available():
        parser.error(f"az and {registries.PROGRAM} are needed")
    with tempfile.TemporaryDirectory(dir=registries.memory_folder()) as folder:
        machine = Machine(az, Path(folder))
        machine.add_extension()
        print(
            "| Command | with the extension: min, median ms | without | median of the differences |\n|---|--:|--:|--:|"
        )
        for command in COMMANDS:
            machine.started(True, command), machine.started(False, command)  # az writes its index of commands once
            pairs = [machine.pair(command, number % 2 == 0) for number in range(options.runs)]
            with_it, without = ([pair[side] * 1000 for pair in pairs] for side in (0, 1))
            difference = statistics.median(a - b for a, b in zip(with_it, without, strict=True))
            print(f"| `az {command}` | {said(with_it)} | {said(without)} | {difference:+.0f} |")
        engine, whole, start = machine.imports(max(3, options.runs // 2))
    print("\n| Import of the typical image | min s | median s |\n|---|--:|--:|")
    for name, seconds in (("engine alone", engine), ("`az version`", start), ("`az acr import`", whole)):
        print(f"| {name} | {min(seconds):.2f} | {statistics.median(seconds):.2f} |")
    more = statistics.median(whole) - statistics.median(engine) - statistics.median(start)
    print(f"\nBeyond the engine and the start of az: {more:+.2f} s (medians)")
    return 0


def said(values: list[float]) -> str:
    """Minimum and median."""
    return f"{min(values):.0f}, {statistics.median(values):.0f}"


class Machine:
    """Two azs that share nothing: one has the extension, the other one has none."""

    def __init__(self, az: str, folder: Path) -> None:
        self.az, self._folder = az, folder
        self._environments = {
            extended: {
                **os.environ,
                "PATH": PATH,
                "AZURE_CONFIG_DIR": str(folder / f"config-{extended}"),
                "AZURE_EXTENSION_DIR": str(folder / f"extensions-{extended}"),
                "AZURE_CORE_COLLECT_TELEMETRY": "false",
            }
            for extended in (True, False)
        }

    def add_extension(self) -> None:
        """The wheel that a user would get."""
        environment = {**os.environ, "PYTHON": sys.executable}
        subprocess.run([ROOT / "scripts/wheel", self._folder], check=True, capture_output=True, env=environment)
        wheel = next(self._folder.glob("*.whl"))
        self.started(True, f"extension add --yes --source {wheel}")

    def environment(self, extended: bool) -> dict[str, str]:
        """Of the az with the extension, or of that without."""
        return self._environments[extended]

    def words(self, command: str) -> tuple[list[str], dict[str, str]]:
        """A command line of the az with the extension, and its environment."""
        return [self.az, *command.split()], self._environments[True]

    def started(self, extended: bool, command: str) -> float:
        """Seconds that this az needed. Raises CalledProcessError."""
        started = time.perf_counter()
        subprocess.run([self.az, *command.split()], env=self._environments[extended], check=True, capture_output=True)
        return time.perf_counter() - started

    def pair(self, command: str, first: bool) -> tuple[float, float]:
        """Seconds with the extension, and without."""
        seconds = {extended: self.started(extended, command) for extended in (first, not first)}
        return seconds[True], seconds[False]

    def imports(self, runs: int) -> tuple[list[float], list[float], list[float]]:
        """The engine alone, ``az acr import``, and az's own start; each import into an empty registry."""
        source = images.Storage(self._folder / "source")
        tagged = typical(source)
        for (repository, tag), image in tagged.items():
            source.tag(repository, tag, image)
        engine: list[float] = []
        whole: list[float] = []
        start: list[float] = []
        for _ in range(runs):
            engine.append(self._copied(source, tuple(tagged), engine_alone=True))
            whole.append(self._copied(source, tuple(tagged), engine_alone=False))
            start.append(self.started(True, "version"))
        return engine, whole, start

    def _copied(self, source: images.Storage, pairs: tuple[tuple[str, str], ...], *, engine_alone: bool) -> float:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        target = folder / "target"
        target.mkdir()
        servers = [registries.Registry(place, folder, None) for place in (source.folder, target)]
        try:
            work = tools.Work(pairs, servers[0].address, servers[1].address, None, folder, 1)
            if not engine_alone:
                (repository, tag), *_ = pairs
                reference = f"{servers[0].address}/{repository}:{tag}"
                return self.started(True, f"acr import -n {servers[1].address} --source {reference}")
            started = time.perf_counter()
            subprocess.run(tools.ours(work), check=True, capture_output=True)
            return time.perf_counter() - started
        finally:
            for server in servers:
                server.stop()
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
