# SPDX-License-Identifier: MIT
"""What hostile registries and archives cost: peak memory and time of a whole az for each: ``hostile.py [WORD…]``.

Each case must end in one clear error, below 250 MB and 10 s; the exit code says whether all did. Words choose cases.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.whole_az import PATH, Machine  # noqa: E402
from tests.sandbox.server import Listener, Request, Response  # noqa: E402
from tests.support.dawdler import DAWDLERS, Dawdler  # noqa: E402

MIB = 1024 * 1024
MOST_BYTES, MOST_SECONDS = 250_000_000, 10.0
ENDS = ("source-", "target-", "copied", "timeout")
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"

# A process inherits the peak of the one that starts it, and this one holds all that the registries serve.
LAUNCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL)
print("", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, end="")
"""

Serve = Callable[[Request], Response]


@dataclass
class Case:
    """``serve`` is the registry behind team/app:1; or ``write`` makes an archive in a folder; or a byte comes a second,
    in the part of an answer that ``dawdles`` names."""

    name: str
    serve: Serve | None = None
    write: Callable[[Path], str] | None = None
    dawdles: str = ""
    options: tuple[str, ...] = ()


class Content:
    """A registry that has these manifests, and under the tag the last one."""

    def __init__(self, *raws: bytes, referrers: Serve | None = None) -> None:
        self.manifests = {digest(raw): raw for raw in raws}
        self.tag = digest(raws[-1])
        self.referrers = referrers

    def __call__(self, request: Request) -> Response:
        """As the distribution specification has it."""
        name = request.path.rpartition("/")[2]
        if "/referrers/" in request.path and self.referrers:
            return self.referrers(request)
        raw = self.manifests.get(self.tag if name == "1" else name)
        if raw is None or "/manifests/" not in request.path:
            return Response(200 if request.path == "/v2/" else 404)
        kind = INDEX if b'"manifests"' in raw else MANIFEST
        return Response(200, {"Content-Type": kind, "Docker-Content-Digest": digest(raw)}, raw)


def digest(raw: bytes) -> str:
    """Of content."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def entry(raw: bytes, kind: str = MANIFEST, **more: object) -> dict[str, object]:
    """A descriptor that tells the truth, but for what is given."""
    return {"mediaType": kind, "digest": digest(raw), "size": len(raw), **more}


def body(kind: str, **members: object) -> bytes:
    """A manifest."""
    return json.dumps({"schemaVersion": 2, "mediaType": kind, **members}).encode()


def children(count: int, filled: int, **more: object) -> Content:
    """An index of so many manifests of so many bytes each."""
    raws = [
        body(MANIFEST, config=entry(b"{}"), layers=[], annotations={"x": f"{n} {'x' * filled}"}) for n in range(count)
    ]
    return Content(*raws, body(INDEX, manifests=[entry(raw, **more) for raw in raws]))


def many_descriptors() -> Content:
    """Fifteen manifests, each as large as it may be."""
    layers = [{"mediaType": "a", "digest": f"sha256:{n:064x}", "size": 1} for n in range(35_000)]
    raws = [body(MANIFEST, config=entry(b"%d" % n), layers=layers) for n in range(15)]
    return Content(*raws, body(INDEX, manifests=[entry(raw, size=3000) for raw in raws]))


def fewer_descriptors() -> Content:
    """Within the bytes that an image may have."""
    layers = [{"mediaType": "a", "digest": f"sha256:{n:064x}", "size": 1} for n in range(35_000)]
    raws = [body(MANIFEST, config=entry(b"%d" % n), layers=layers) for n in range(7)]
    return Content(*raws, body(INDEX, manifests=[entry(raw) for raw in raws]))


def annotated(request: Request) -> Response:
    """A page of referrers with four megabytes of annotations, and another one behind it."""
    raw = body(INDEX, manifests=[entry(request.path.encode(), annotations={"x": "x" * 4_000_000})])
    return Response(200, {"Content-Type": INDEX, "Link": f'<{request.path}/>; rel="next"'}, raw)


def brackets(request: Request) -> Response:
    """A list of referrers that is nothing but lists."""
    return Response(200, {"Content-Type": INDEX}, b'{"manifests": [{"a": [' + b"[]," * 1_300_000 + b"1]}]}")


def nested(levels: int = 4, width: int = 100) -> Content:
    """Indexes that all name the next one a hundred times: 10^8 ways down."""
    raws = [body(MANIFEST, config=entry(b"{}"), layers=[])]
    for _ in range(levels):
        below = entry(raws[-1], INDEX if len(raws) > 1 else MANIFEST, platform={"os": "linux", "architecture": "386"})
        raws.append(body(INDEX, manifests=[below] * width))
    return Content(*raws)


def flood(status: int) -> Serve:
    """A gigabyte, whatever is asked for."""

    def blocks() -> Iterator[bytes]:
        for _ in range(1024):
            yield b" " * MIB

    return lambda request: Response(status, {}, blocks(), 1024 * MIB)


def refused(text: bytes, **headers: str) -> Serve:
    """Always the same error."""
    return lambda request: Response(403, {name.replace("_", "-"): value for name, value in headers.items()}, text)


def challenged(request: Request) -> Response:
    """A new token each time, and never the right one."""
    if request.path == "/token":
        return Response(200, {}, json.dumps({"token": str(time.monotonic())}).encode())
    return Response(401, {"WWW-Authenticate": 'Bearer realm="/token"'})


def packed(path: Path, *files: tuple[str, bytes], zipped: bool = True) -> Path:
    """An archive."""
    with tarfile.open(path, "w:gz" if zipped else "w", **({"compresslevel": 1} if zipped else {})) as archive:
        for name, raw in files:
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return path


def long_names(folder: Path) -> str:
    """Names of sixty kilobytes, as many as there is room for."""
    names = (f"{number}{'x' * 60_000}" for number in range(2000))
    return f"oci-archive:{packed(folder / 'a.tar.gz', *((name, b'') for name in names))}"


def many_members(folder: Path) -> str:
    """A hundred thousand and one."""
    return f"oci-archive:{packed(folder / 'a.tar', *((str(n), b'') for n in range(100_001)), zipped=False)}"


def bomb(folder: Path) -> str:
    """Three gigabytes of nothing in three megabytes."""
    with gzip.open(folder / "a.tar.gz", "wb", compresslevel=1) as file:
        member = tarfile.TarInfo("blobs/sha256/" + "0" * 64)
        member.size = 3000 * MIB
        file.write(member.tobuf())
        for _ in range(3000):
            file.write(bytes(MIB))
    return f"oci-archive:{folder / 'a.tar.gz'}"


def same_layer(folder: Path) -> str:
    """A layer of a hundred megabytes that is named three hundred times, with digests that are not its own."""
    config = json.dumps({"rootfs": {"diff_ids": [f"sha256:{n:064x}" for n in range(300)]}}).encode()
    saved = json.dumps([{"Config": "c", "RepoTags": ["a:1"], "Layers": ["l"] * 300}]).encode()
    layer = gzip.compress(b"x") + os.urandom(100 * MIB)
    return f"docker-archive:{packed(folder / 'a.tar', ('c', config), ('manifest.json', saved), ('l', layer))}"


PAGE = b"<" * 250_000
CASES = [
    Case("300 children of 4 MiB, as they say", children(300, 1000, size=4 * MIB)),
    Case("60 children of 2 MiB that say 500 bytes", children(60, 2 * MIB, size=500)),
    Case("525,000 descriptors in 15 manifests that say 3,000 bytes", many_descriptors()),
    Case("245,000 descriptors in 7 manifests, as they say", fewer_descriptors()),
    Case("99 pages of referrers, 4 MB of annotations each", Content(body(MANIFEST, layers=[]), referrers=annotated)),
    Case("64 children with lists of referrers of 4 MB", children(64, 10)),
    Case("lists within lists of referrers", Content(body(MANIFEST, layers=[]), referrers=brackets)),
    Case("a manifest of 4 MB of brackets", Content(b'{"layers": [' + b"[]," * 1_300_000 + b"1]}")),
    Case("a manifest that is nested 2,000,000 deep", Content(b"[" * 2_000_000)),
    Case("indexes of indexes of indexes, --platform", nested(), options=("--platform", "linux/amd64")),
    Case("a manifest of a gigabyte", flood(200)),
    Case("an error of a gigabyte", flood(404)),
    Case("an error of 250 KB of <", refused(PAGE)),
    Case("a challenge of 60 KB", refused(PAGE, WWW_Authenticate="a " * 30_000)),
    Case("a Link of 60 KB", Content(body(MANIFEST, layers=[]), referrers=lambda _: Response(
        200, {"Content-Type": INDEX, "Link": "<" * 60_000}, body(INDEX, manifests=[])))),
    Case("redirects without end", lambda request: Response(307, {"Location": f"{request.path}x"})),
    Case("tokens without end", challenged),
    Case("names of 60 KB in an archive", write=long_names),
    Case("100,001 members", write=many_members),
    Case("3 GB in 3 MB", write=bomb),
    Case("a layer that is named 300 times", write=same_layer),
    *(Case(f"a byte a second, {part}, --timeout 3", dawdles=part, options=("--timeout", "3")) for part in DAWDLERS),
]  # fmt: skip
CASES[5].serve.referrers = annotated  # type: ignore[union-attr]


def main() -> int:
    """Run them one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only cases whose names have one of these words")
    words = parser.parse_args().words
    az = shutil.which("az", path=PATH)
    if not az:
        parser.error("az is needed")
    well = True
    with tempfile.TemporaryDirectory() as folder, Listener(lambda _: Response(404)) as target:
        machine = Machine(az, Path(folder))
        machine.add_extension()
        machine.started(True, "version")
        print("| Case | peak MB | s | it ends with |\n|---|--:|--:|---|")
        for case in CASES:
            if words and not any(word in case.name for word in words):
                continue
            peak, seconds, said = measured(machine, case, target.address)
            good = peak < MOST_BYTES and seconds < MOST_SECONDS and said.startswith(ENDS)
            well &= good
            print(f"| {case.name} | {peak / 1e6:.0f} | {seconds:.1f} | {said}{'' if good else ' **!**'} |", flush=True)
    return 0 if well else 1


def measured(machine: Machine, case: Case, target: str) -> tuple[int, float, str]:
    """Peak memory in bytes, seconds, and the code of the error."""
    way = Dawdler(*DAWDLERS[case.dawdles], 1.0) if case.dawdles else Listener(case.serve or (lambda _: Response(404)))
    with tempfile.TemporaryDirectory() as folder, way as source:
        location = case.write(Path(folder)) if case.write else f"{source.address}/team/app:1"
        words = ["acr", "import", "-n", target, "--source", location, "-t", "app:1", "--engine", "embedded"]
        started = time.perf_counter()
        command = [sys.executable, "-c", LAUNCHER, machine.az, *words, *case.options]
        done = subprocess.run(command, env=machine.environment(True), capture_output=True)
        seconds = time.perf_counter() - started
    out, _, peak = done.stdout.rpartition(b" ")
    return int(peak) * (1 if sys.platform == "darwin" else 1024), seconds, _said(out)


def _said(out: bytes) -> str:
    try:
        result = json.loads(out)
        return str(result["error"]["code"] if result["error"] else result["status"])
    except (ValueError, KeyError, TypeError):
        return f"no result: {out[:50]!r}"


if __name__ == "__main__":
    sys.exit(main())
