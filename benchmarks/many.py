# SPDX-License-Identifier: MIT
"""Ten thousand tags: what the engine takes for each of them. ``many.py --help``

Each tag names an index of four platforms with an attestation each: nine manifests, eight blobs of its own and two that
all share. Source and target are one process that makes what is asked for and keeps of what it gets only the names, so
that thousands of tags fit into memory and time. Needs nothing but Python; peak memory is asked of the system. With
``--az`` the same by ``az acr import-batch``, of an az beside this Python or on PATH; with ``--skopeo`` also by
``skopeo sync``, which has no dry run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.tools import Work, skopeo_sync  # noqa: E402

OCI = "application/vnd.oci.image"
MANIFEST, INDEX = f"{OCI}.manifest.v1+json", f"{OCI}.index.v1+json"
PLATFORMS = ("amd64", "arm64", "ppc64le", "s390x")
REQUEST = re.compile(rb"(\w+) (\S+) HTTP/1.1\r\n")
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
CHUNKED, LAST_CHUNK = b"transfer-encoding: chunked", b"\r\n0\r\n\r\n"


def digest_of(raw: bytes) -> str:
    """sha256."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


class Content:
    """What the source has: made when a tag is first asked for."""

    def __init__(self) -> None:
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.layer = self._blob(b"a layer that all images have " * 40)
        self.empty = self._blob(b"{}")

    def _blob(self, raw: bytes, kind: str = "layer.v1.tar") -> dict[str, object]:
        self.blobs[digest_of(raw)] = raw
        return {"mediaType": f"{OCI}.{kind}", "digest": digest_of(raw), "size": len(raw)}

    def _manifest(self, body: dict[str, object], media_type: str = MANIFEST) -> dict[str, object]:
        raw = json.dumps({"schemaVersion": 2, "mediaType": media_type, **body}).encode()
        self.manifests[digest_of(raw)] = media_type, raw
        return {"mediaType": media_type, "digest": digest_of(raw), "size": len(raw)}

    def tag(self, name: str) -> str:
        """The digest that it names."""
        if name not in self.tags:
            entries: list[dict[str, object]] = []
            for number, platform in enumerate(PLATFORMS):
                config = self._blob(f'{{"tag": "{name}", "platform": {number}}}'.encode(), "config.v1+json")
                image = self._manifest({"config": config, "layers": [self.layer]})
                statement = self._blob(f"statement about {name} {number}".encode())
                attested = self._manifest({"config": self.empty, "layers": [statement]})
                entries.append({**image, "platform": {"os": "linux", "architecture": platform}})
                note = {
                    "vnd.docker.reference.digest": image["digest"],
                    "vnd.docker.reference.type": "attestation-manifest",
                }
                other = {"os": "unknown", "architecture": "unknown"}
                entries.append({**attested, "platform": other, "annotations": note})
            self.tags[name] = str(self._manifest({"manifests": entries}, INDEX)["digest"])
        return self.tags[name]


class Peer(asyncio.Protocol):
    """One connection to the source, or to the target."""

    def __init__(self, content: Content, held: dict[str, str] | None, asked: dict[str, int]) -> None:
        self.content, self.held, self.asked, self.rest = content, held, asked, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio calls it."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """As asyncio calls it."""
        self.rest += data
        if self.rest[:1] not in (b"G", b"H", b"P", b"D"):  # a greeting of TLS, to which the answer is none
            self.transport.write(b"HTTP/1.1 400 x\r\nContent-Length: 0\r\n\r\n")
            self.transport.close()
        while (end := self.rest.find(b"\r\n\r\n")) >= 0:
            head = self.rest[: end + 4]
            match, length = REQUEST.match(head), LENGTH.search(head)
            size = int(length[1]) if length else 0
            if CHUNKED in head.lower():  # as skopeo sends; what the blobs say cannot be taken for the last chunk
                last = self.rest.find(LAST_CHUNK, end)
                size = last + len(LAST_CHUNK) - end - 4 if last >= 0 else len(self.rest)
            if match is None:
                self.transport.close()
                return
            if len(self.rest) < end + 4 + size:
                return
            body, self.rest = self.rest[end + 4 : end + 4 + size], self.rest[end + 4 + size :]
            method, path = match[1].decode(), match[2].decode()
            self.asked[method] = self.asked.get(method, 0) + 1
            status, headers, raw = self.answer(method, path.partition("?")[0], path, body)
            lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(raw)}", *headers, "\r\n"]
            self.transport.write("\r\n".join(lines).encode() + (b"" if method == "HEAD" else raw))

    def answer(self, method: str, path: str, whole: str, body: bytes) -> tuple[int, list[str], bytes]:
        """Status, headers and body."""
        name = path.rpartition("/")[2]
        if path == "/asked":
            return 200, [], json.dumps(self.asked).encode()
        if path == "/v2/":
            return 200, [], b"{}"
        if self.held is None:
            return self._given(path, name)
        return self._taken(self.held, method, path, whole, body)

    def _given(self, path: str, name: str) -> tuple[int, list[str], bytes]:
        if "/blobs/" in path:
            return 200, [], self.content.blobs[name]
        if "/manifests/" not in path:
            return 200, [], b"{}"
        if name.startswith("sha256-"):  # signatures, and lists of them: there are none
            return 404, [], b""
        digest = name if ":" in name else self.content.tag(name)
        media_type, raw = self.content.manifests[digest]
        return 200, [f"Content-Type: {media_type}", f"Docker-Content-Digest: {digest}"], raw

    def _taken(
        self, held: dict[str, str], method: str, path: str, whole: str, body: bytes
    ) -> tuple[int, list[str], bytes]:
        name = path.rpartition("/")[2]
        if method == "PUT" and "/manifests/" in path:
            held[name] = digest_of(body)
            return 201, [f"Docker-Content-Digest: {held[name]}"], b""
        if method == "PUT":
            held[whole.partition("digest=sha256%3A")[2]] = ""
            return 201, [f"Location: {path}"], b""
        if method == "PATCH":
            return 202, [f"Location: {path}"], b""
        if method == "POST":
            there = whole.partition("mount=sha256%3A")[2].partition("&")[0] in held
            return (201 if there else 202), [f"Location: {path}1"], b""
        if "/blobs/" in path:
            there = name.partition(":")[2] in held
            return (200 if there else 404), [], b""
        found = held.get(name)
        return (200, [f"Docker-Content-Digest: {found}", f"Content-Type: {INDEX}"], b"") if found else (404, [], b"")


async def serve() -> None:
    """Both registries, until standard input ends; prints their ports."""
    loop, content, held = asyncio.get_running_loop(), Content(), {}
    asked: tuple[dict[str, int], dict[str, int]] = ({}, {})
    source = await loop.create_server(lambda: Peer(content, None, asked[0]), "127.0.0.1", 0)
    target = await loop.create_server(lambda: Peer(content, held, asked[1]), "127.0.0.1", 0)
    print(*(server.sockets[0].getsockname()[1] for server in (source, target)), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def measure(root: Path, count: int, jobs: int | None, machine: Any) -> None:
    """A dry run, a first and a second run of so many tags; a line for each. ``machine``: an az, or None."""
    with pair() as (source, target), tempfile.NamedTemporaryFile("w") as listing:
        listing.write("".join(f"{source}/many/app:{n} {target}/many/app:{n}\n" for n in range(count)))
        listing.flush()
        for run in ("dry", "first", "again"):
            command, environment = (
                [sys.executable, str(root / "benchmarks" / "engine_copy.py"), "--list", listing.name],
                None,
            )
            if machine:
                batch = f"acr import-batch --name {target} --file {listing.name} --output json"
                command, environment = machine.words(batch)
            command += ["--dry-run"] if run == "dry" else []
            row(count, run, [*command, *(["--jobs", str(jobs)] if jobs else [])], environment)


def measure_skopeo(count: int) -> None:
    """A first and a second run of so many tags by ``skopeo sync``."""
    with pair() as (source, target), tempfile.TemporaryDirectory() as folder:
        pairs = tuple(("many/app", str(n)) for n in range(count))
        command = skopeo_sync(Work(pairs, source, target, None, Path(folder), 1))
        assert command is not None
        for run in ("first", "again"):
            row(count, f"skopeo sync, {run}", command, None)


@contextlib.contextmanager
def pair() -> Iterator[list[str]]:
    """The addresses of a source and a target; both end with the context."""
    words = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield [f"127.0.0.1:{port}" for port in server.stdout.readline().split()]
        server.stdin.close()


def row(count: int, run: str, command: list[str], environment: dict[str, str] | None) -> None:
    """Run it; a line of the table."""
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds, cpu = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(
        f"| {count} | {run} | {seconds:.1f} | {cpu:.1f} | {cpu / count * 1000:.2f} | {peak / 1e6:.0f} | "
        f"{peak / count / 1000:.1f} | {'ok' if status == 0 else status} |",
        flush=True,
    )


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", type=int, nargs="*", default=[1000, 10_000], help="how many tags (1000 10000)")
    parser.add_argument("--jobs", type=int, help="as of engine_copy.py")
    parser.add_argument("--root", type=Path, default=HERE.parent, help="the checkout to measure (this one)")
    parser.add_argument("--az", action="store_true", help="by az acr import-batch")
    parser.add_argument("--skopeo", action="store_true", help="also by skopeo sync")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    print("| tags | run | s | CPU s | CPU ms a tag | peak MB | kB a tag | |\n|--:|---|--:|--:|--:|--:|--:|---|")
    with tempfile.TemporaryDirectory() as folder:
        machine = _machine(Path(folder)) if options.az else None
        for count in options.counts:
            measure(options.root, count, options.jobs, machine)
            if options.skopeo:
                measure_skopeo(count)


def _machine(folder: Path) -> Any:
    """An az of its own, with the extension of this checkout."""
    from benchmarks import whole_az

    machine = whole_az.Machine(shutil.which("az", path=whole_az.PATH) or "az", folder)
    machine.add_extension()
    return machine


if __name__ == "__main__":
    main()
