# SPDX-License-Identifier: MIT
"""Copy the same images with acrimport's engine and with every peer on PATH, and compare: ``compare.py --help``.

Needs Debian's docker-registry, and trustme for the rows with TLS. Everything is on loopback, the registries' storage
in memory. benchmarks/README.md says what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import chart, images, registries, tools  # noqa: E402
from benchmarks.rows import ROWS, Row  # noqa: E402

QUICK = ("small", "typical", "typical-tls", "repositories", "tags", "again")


@dataclass
class Measured:
    """One tool in one row: a value for each run. Seconds, CPU seconds, bytes of peak memory, requests at both sides."""

    tool: str
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    failure: str = ""


def main() -> int:
    """Prepare the images, run the rows, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    usual = ",".join(name for name, row in ROWS.items() if not row.extra)
    parser.add_argument("--rows", default=usual, help=f"some of: {', '.join(ROWS)}; or: quick")
    parser.add_argument("--tools", default=",".join(tools.present()), help="some of these (default: all that are here)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each tool in each row (default: 5)")
    parser.add_argument("--limit", type=float, default=300, help="seconds after which a run is given up (default: 300)")
    tools.add_python(parser)
    tools.add_before(parser)
    parser.add_argument("--svg", type=Path, help="write the chart to this file")
    parser.add_argument("--table", type=Path, help="write the table to this file, too")
    options = parser.parse_args()
    names = QUICK if options.rows == "quick" else options.rows.split(",")
    chosen = options.tools.split(",")
    if options.before:
        tools.TOOLS["before"] = lambda work: tools.ours_of(options.before, work)
        chosen.append("before")
    if unknown := [name for name in names if name not in ROWS] + [name for name in chosen if name not in tools.TOOLS]:
        parser.error(f"unknown: {', '.join(unknown)}")
    if not registries.available():
        parser.error(f"{registries.PROGRAM} is not installed")
    results: dict[str, list[Measured]] = {}
    with tempfile.TemporaryDirectory(dir=registries.memory_folder()) as work:
        bench = Bench(Path(work), options.limit, options.python)
        for name in names:
            print(f"{name}: {ROWS[name].title}", file=sys.stderr)
            results[name] = bench.row(name, chosen, options.runs)
            # after each row: what was measured is kept, whatever becomes of the next one
            if options.table:
                options.table.write_text(chart.table(results))
            if options.svg:
                options.svg.write_text(chart.svg(results))
    print(chart.table(results))
    return int(any(measured.failure for row in results.values() for measured in row))


class Bench:
    """Keeps the sources, of which each set of images is built once; every run gets a new target process."""

    def __init__(self, work: Path, limit: float, python: str) -> None:
        self._work = work
        self._limit = limit
        self._python = python
        self._sets: dict[str, tuple[images.Storage, dict[tuple[str, str], images.Image]]] = {}
        self._authority: Path | None = None

    def row(self, name: str, chosen: list[str], runs: int) -> list[Measured]:
        """All runs of a row, the tools by turns; a tool that has failed is not asked again."""
        row = ROWS[name]
        found = {tool: Measured(tool) for tool in chosen}
        for number in range(runs):
            for tool in chosen[number % len(chosen) :] + chosen[: number % len(chosen)]:
                if not found[tool].failure:
                    self._run(row, found[tool])
        return [measured for measured in found.values() if measured.seconds or measured.failure]

    def _run(self, row: Row, measured: Measured) -> None:
        storage, tagged = self._content(row)
        authority = self._tls() if row.tls else None
        folder = Path(tempfile.mkdtemp(dir=self._work))
        target = images.Storage(folder / "target")
        target.folder.mkdir()
        if row.again:
            target.take(storage)
            for (repository, tag), image in tagged.items():
                target.tag(repository, tag, image)
        servers = [
            registries.Registry(place.folder, folder, authority and authority.parent) for place in (storage, target)
        ]
        try:
            with (
                registries.link(servers[0].port, row.slow or row.far) as source_address,
                registries.link(servers[1].port, row.slow) as target_address,
            ):
                parallel = 16 if row.slow else 4
                addresses = source_address, target_address
                work = tools.Work(tuple(tagged), *addresses, authority, folder, parallel, self._python)
                command = tools.TOOLS[measured.tool](work)
                if command is None:
                    return
                run(command, work, measured, self._limit)
            measured.requests.append(sum(sum(server.requests().values()) for server in servers))
            missing = [target.missing(*pair, image) for pair, image in tagged.items()]
            measured.failure = measured.failure or next(filter(None, missing), "") or target.damaged()
        finally:
            for server in servers:
                server.stop()
            shutil.rmtree(folder)
        if measured.failure:
            print(f"  {measured.tool}: {measured.failure}", file=sys.stderr)

    def _content(self, row: Row) -> tuple[images.Storage, dict[tuple[str, str], images.Image]]:
        key = row.images.__name__
        if key not in self._sets:
            storage = images.Storage(self._work / key)
            tagged = row.images(storage)
            for (repository, tag), image in tagged.items():
                storage.tag(repository, tag, image)
            self._sets[key] = storage, tagged
        return self._sets[key]

    def _tls(self) -> Path:
        if self._authority is None:
            folder = self._work / "authority"
            folder.mkdir()
            self._authority = registries.make_authority(folder)
        return self._authority


def run(command: list[str], work: tools.Work, measured: Measured, limit: float) -> None:
    """Run it to its end. Children count with it, as far as it has waited for them."""
    with (work.folder / "output").open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            ["timeout", str(limit), *command], stdout=output, stderr=output, env=work.environment()
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = (work.folder / "output").read_text(errors="replace").strip().splitlines()[-1:]
        measured.failure = f"exit code {process.returncode}: {' '.join(last)[:200]}"
    measured.seconds.append(seconds)
    measured.processor.append(usage.ru_utime + usage.ru_stime)
    measured.memory.append(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


if __name__ == "__main__":
    sys.exit(main())
