# SPDX-License-Identifier: MIT
"""Who is measured, and the command line of each: ours, and those of the peers that are on PATH."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Work:
    """What is to be copied: ``pairs`` of (repository, tag), the same at the source and the target.

    Addresses are ``host:port``. ``authority`` is the path of a CA; None for plain http. ``folder`` is for files that a
    command line needs, ``parallel`` how many at once a peer is told to copy. ``python`` runs our engine.
    """

    pairs: tuple[tuple[str, str], ...]
    source: str
    target: str
    authority: Path | None
    folder: Path
    parallel: int
    python: str = sys.executable

    @property
    def plain(self) -> bool:
        """True without TLS."""
        return self.authority is None

    def environment(self) -> dict[str, str]:
        """Ours, with the CA under the names that Go and requests read; what Python compiles is kept."""
        names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {**kept, **({name: str(self.authority) for name in names} if self.authority else {})}

    def file(self, name: str, text: str) -> str:
        """Write a file for this run; its path."""
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def each(self, command: list[str], prefix: str = "") -> list[str]:
        """The command for the one image, or, by xargs, for each of many: so many at once."""
        pairs = [
            (f"{prefix}{self.source}/{repository}:{tag}", f"{prefix}{self.target}/{repository}:{tag}")
            for repository, tag in self.pairs
        ]
        if len(pairs) == 1:
            return [*command, *pairs[0]]
        listing = self.file("each", "".join(f"{source} {target}\n" for source, target in pairs))
        return ["xargs", "-a", listing, "-P", str(self.parallel), "-n", "2", *command]


def add_python(parser: argparse.ArgumentParser) -> None:
    """The option ``--python``: a Python that was built without its optimizations takes a quarter longer to start."""
    text = "which Python runs our engine; it needs requests (default: the one that runs this)"
    parser.add_argument("--python", default=sys.executable, metavar="PROGRAM", help=text)


def add_before(parser: argparse.ArgumentParser) -> None:
    """The option ``--before``."""
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="a checkout whose engine runs beside ours")


def ours(work: Work) -> list[str]:
    """The engine alone, with its own default of jobs."""
    program = [work.python, str(HERE / "engine_copy.py")]
    if len(work.pairs) == 1:
        return work.each(program)
    lines = [f"{work.source}/{r}:{t} {work.target}/{r}:{t}\n" for r, t in work.pairs]
    return [*program, "--list", work.file("list", "".join(lines))]


def ours_of(checkout: Path, work: Work) -> list[str]:
    """The command line of ours, with the engine of another checkout."""
    return [str(checkout / "benchmarks" / "engine_copy.py") if "engine_copy" in w else w for w in ours(work)]


def skopeo(work: Work) -> list[str]:
    """``skopeo copy --all``, many at once where there are many."""
    plain = ["--src-tls-verify=false", "--dest-tls-verify=false"] if work.plain else []
    return work.each(["skopeo", "copy", "--quiet", "--all", *plain], "docker://")


def skopeo_sync(work: Work) -> list[str] | None:
    """``skopeo sync``: one process, one image after the other, shared blobs mounted. Only where there are many."""
    if len(work.pairs) == 1:
        return None
    tags: dict[str, list[str]] = {}
    for repository, tag in work.pairs:
        tags.setdefault(repository, []).append(tag)
    # JSON is YAML
    listing = work.file("sync.yml", json.dumps({work.source: {"tls-verify": not work.plain, "images": tags}}))
    plain = ["--dest-tls-verify=false"] if work.plain else []
    parent = work.pairs[0][0].rpartition("/")[0]
    return ["skopeo", "sync", "--all", *plain, "--src", "yaml", "--dest", "docker", listing, f"{work.target}/{parent}"]


def crane(work: Work) -> list[str]:
    """``crane copy``; ``--all-tags`` where all are tags of one repository."""
    command = ["crane", "copy", *(["--insecure"] if work.plain else [])]
    repositories = {repository for repository, _ in work.pairs}
    if len(work.pairs) > 1 and len(repositories) == 1:
        name = repositories.pop()
        jobs = ["--all-tags", "--jobs", str(work.parallel * 4)]
        return [*command, *jobs, f"{work.source}/{name}", f"{work.target}/{name}"]
    return work.each(command)


def oras(work: Work) -> list[str]:
    """``oras cp``."""
    plain = ["--from-plain-http", "--to-plain-http"] if work.plain else []
    return work.each(["oras", "cp", "--no-tty", "--concurrency", str(max(5, work.parallel)), *plain])


def regctl(work: Work) -> list[str]:
    """``regctl image copy``."""
    hosts = [f"--host=reg={host},tls=disabled" for host in (work.source, work.target)] if work.plain else []
    return work.each(["regctl", *hosts, "image", "copy"])


TOOLS = {
    "acrimport": ours,
    "skopeo": skopeo,
    "skopeo sync": skopeo_sync,
    "crane": crane,
    "oras": oras,
    "regctl": regctl,
}


def present() -> list[str]:
    """Ours, and the peers that this machine has."""
    return [name for name in TOOLS if name == "acrimport" or shutil.which(name.partition(" ")[0])]
