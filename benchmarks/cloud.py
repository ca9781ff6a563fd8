# SPDX-License-Identifier: MIT
"""The road that users drive: TLS 1.3, round trips of 50 ms, 60 MB/s a connection. ``cloud.py --help``.

The source's tokens come from another host, and its blobs from a third one; the target is its own token service. The
names are in a hosts file that only the measured programs see, which needs root on Linux (``unshare``). Beside our
engine run those peers that are on PATH, with ``--before FOLDER`` the engine of another checkout, and with ``--learned``
ours once more, with what a run before it has learned of the same hosts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import chart, compare, images, registries, timeline, tools  # noqa: E402
from benchmarks.rows import Row, Tagged, tags, typical  # noqa: E402

HERE = Path(__file__).resolve().parent
ROLES = ("hub", "auth", "storage", "acr")
# its own hosts file, and then whatever is measured
ALONE = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"']


def tiny(storage: images.Storage) -> Tagged:
    """One image of three layers of 50 kB."""
    layers = [storage.blob(f"tiny {n}", 50_000) for n in range(3)]
    return {("bench/small", "v1"): storage.image("tiny", layers)}


ROWS = {
    "small-cloud": Row("one image, 3 layers, 150 kB, cloud", tiny),
    "typical-cloud": Row("index of 3 platforms, 8 layers each, 210 MB, cloud", typical),
    "tags-cloud": Row("200 tags of one repository, one base layer, cloud", tags),
    "again-cloud": Row("second run of 200 unchanged tags, cloud", tags, again=True),
}


@dataclass
class Road:
    """``log`` is new for each run."""

    hosts: Path
    log: Path


def main() -> int:
    """Prepare, run the tools by turns, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default=",".join(ROWS), help=f"some of: {', '.join(ROWS)}")
    parser.add_argument("--tools", default=",".join(tools.present()), help="some of these (default: all that are here)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each tool in each row (default: 5)")
    parser.add_argument("--parallel", type=int, default=16, help="how much at once the peers do (default: 16)")
    parser.add_argument(
        "--delay", type=float, default=0.025, help="seconds each way; long ones show round trips exactly"
    )
    tools.add_python(parser)
    tools.add_before(parser)
    parser.add_argument("--learned", action="store_true", help="ours also with what an earlier run has learned")
    parser.add_argument("--referrers", action="store_true", help="ours brings along what vouches for the images")
    parser.add_argument("--timeline", type=Path, help="write the last run of each tool to this folder, as pictures")
    options = parser.parse_args()
    commands = {name: tools.TOOLS[name] for name in options.tools.split(",")}
    if options.before:
        commands["before"] = lambda work: tools.ours_of(options.before, work)
    if options.learned:
        commands["learned"] = lambda work: [*tools.ours(work), "--memory", str(work.folder / "memory")]
    chart.ROWS.update(ROWS)
    results = {}
    with tempfile.TemporaryDirectory(dir=registries.memory_folder()) as folder:
        for name in options.rows.split(","):
            bench = Bench(Path(folder), ROWS[name], options)
            results[name] = bench.measured(name, commands, options.runs)
    print(chart.table(results))
    return int(any(measured.failure for row in results.values() for measured in row))


class Bench:
    """One row: its images, and a new road for each run."""

    def __init__(self, work: Path, row: Row, options: argparse.Namespace) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=work))
        self._row = row
        self._options = options
        self._storage = images.Storage(self._folder / "content")
        self._tagged = row.images(self._storage)
        (self._folder / "authority").mkdir()
        names = [f"{role}.bench" for role in ROLES]
        self._authority = registries.make_authority(self._folder / "authority", *names)

    def measured(
        self, name: str, commands: dict[str, Callable[[tools.Work], list[str] | None]], runs: int
    ) -> list[compare.Measured]:
        """All runs; the tools by turns."""
        found = {tool: compare.Measured(tool) for tool in commands}
        for number in range(runs):
            print(f"{name}, run {number + 1}", file=sys.stderr)
            for tool in sorted(commands, reverse=number % 2 == 1):
                self._run(name, commands[tool], found[tool])
        return [measured for measured in found.values() if measured.seconds]

    def _run(self, name: str, command: Callable[[tools.Work], list[str] | None], measured: compare.Measured) -> None:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        ports = {role: registries.free_port() for role in ROLES}
        parallel = self._options.parallel
        source, target = (f"{role}.bench:{ports[role]}" for role in ("hub", "acr"))
        python = self._options.python
        work = tools.Work(tuple(self._tagged), source, target, self._authority, folder, parallel, python)
        words = command(work)
        if words is None:
            return
        if script := next((word for word in words if "engine_copy" in word), ""):
            knows = "--acr" in Path(script).read_text("utf-8")  # an older one does not
            words += ["--acr"] * knows + ["--referrers"] * self._options.referrers
        if measured.tool == "learned":
            with self._road(folder, ports) as road:
                before = [*ALONE, str(road.hosts), *words]
                subprocess.run(before, env=work.environment(), stdout=subprocess.DEVNULL, check=True)
        with self._road(folder, ports) as road:
            words = [*ALONE, str(road.hosts), *words]
            started = time.monotonic()
            compare.run(words, work, measured, 300)
            time.sleep(0.1 + self._options.delay)  # what the fronts have still to write down
        steps = timeline.steps(road.log, started, self._options.delay)
        written = sum(step.said.startswith("PUT manifests/") and step.said.endswith(" 201") for step in steps)
        if not self._row.again and written < len(self._tagged):
            measured.failure = measured.failure or f"{written} of {len(self._tagged)} tags were written"
        measured.requests.append(sum(step.kind != "connection" for step in steps))
        if self._options.timeline:
            self._options.timeline.mkdir(exist_ok=True)
            path = self._options.timeline / f"{name}-{measured.tool.replace(' ', '-')}.svg"
            path.write_text(timeline.svg(steps, f"{self._row.title}, {measured.tool}"))
            path.with_suffix(".txt").write_text(timeline.told(timeline.critical(steps)) + "\n")
        shutil.rmtree(folder)

    @contextlib.contextmanager
    def _road(self, folder: Path, ports: dict[str, int]) -> Iterator[Road]:
        """Its target holds nothing yet, or what the row says that it holds. ``ports``: those that clients use."""
        with contextlib.ExitStack() as stack:
            hosts = {role: {"name": f"{role}.bench", "listens": registries.free_port()} for role in ROLES}
            config = {
                "content": str(self._storage.folder),
                "tags": [[*pair, image.digest] for pair, image in self._tagged.items()],
                "held": self._row.again,
                "authority": str(self._authority.parent),
                "log": str(folder / "log"),
                "hosts": {role: {**hosts[role], "port": ports[role]} for role in ROLES},
            }
            (folder / "config").write_text(json.dumps(config))
            (folder / "hosts").write_text("".join(f"127.0.0.1 {role}.bench\n" for role in ROLES))
            process = subprocess.Popen([sys.executable, str(HERE / "road.py"), str(folder / "config")])
            stack.callback(registries.stop, process)
            for role in ROLES:
                registries.wait_for(hosts[role]["listens"], process)
                stack.enter_context(registries.link_at(ports[role], hosts[role]["listens"], self._options.delay))
            (folder / "log").write_text("")
            yield Road(folder / "hosts", folder / "log")


if __name__ == "__main__":
    sys.exit(main())
