# SPDX-License-Identifier: MIT
"""Memory does not grow with the blob. Real threads, real sockets, a blob that nobody stores."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.sandbox import images
from tests.sandbox.registry import failure
from tests.sandbox.server import Listener, Request, Response

resource = pytest.importorskip("resource", reason="peak memory is asked of POSIX")

ROOT = Path(__file__).parent.parent.parent
MIB = 1024 * 1024
BLOCK = images.noise("memory", MIB)
LAYERS, BLOCKS = 4, 64
ALLOWED = 60 * MIB

# Prints the status and by how many bytes the peak grew over what the imports had taken.
PROGRAM = """
import resource, sys
from azext_acrimport import engine
from benchmarks.engine_copy import copy
unit = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
result = copy(engine.Reference.parse(sys.argv[1]), engine.Reference.parse(sys.argv[2]), 4)
print(result.status, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before, result.error)
"""


class Endless:
    """An image of four layers of 64 MiB, each the same block again and again after a number of its own."""

    def __init__(self) -> None:
        config = b"{}"
        layers = []
        self.numbers = {}
        for number in range(LAYERS):
            hasher = hashlib.sha256(number.to_bytes(8, "big"))
            for _ in range(BLOCKS):
                hasher.update(BLOCK)
            digest = f"sha256:{hasher.hexdigest()}"
            self.numbers[digest] = number
            layers.append({"mediaType": images.OCI_LAYER, "digest": digest, "size": 8 + BLOCKS * MIB})
        body = {"schemaVersion": 2, "mediaType": images.OCI_MANIFEST, "layers": layers}
        body["config"] = {"mediaType": images.OCI_CONFIG, "digest": images.digest_of(config), "size": len(config)}
        self.raw = json.dumps(body).encode()
        self.digest = images.digest_of(self.raw)

    def source(self, request: Request) -> Response:
        """The registry that has it."""
        name = request.path.rpartition("/")[2]
        if "/manifests/" in request.path:
            return Response(200, {"Content-Type": images.OCI_MANIFEST, "Docker-Content-Digest": self.digest}, self.raw)
        if name in self.numbers:
            number = self.numbers[name].to_bytes(8, "big")
            return Response(200, {}, (block for block in (number, *[BLOCK] * BLOCKS)), 8 + BLOCKS * MIB)
        return Response(200, {}, b"{}")


class Swallow:
    """A registry that hashes what it gets and throws it away."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.digests: set[str] = set()
        self.tagged = b""

    def __call__(self, request: Request) -> Response:
        if request.method in ("HEAD", "GET"):
            return Response(200) if request.path == "/v2/" else failure(404, "NOT_FOUND")
        if request.method == "POST":
            return Response(202, {"Location": f"{request.path}1"})
        if "/manifests/" in request.path:
            self.tagged = request.body.read_all()
            return Response(201, {"Location": request.path})
        hasher = hashlib.sha256()
        while block := request.body.read():
            hasher.update(block)
        with self.lock:
            self.digests.add(f"sha256:{hasher.hexdigest()}")
        return Response(201, {"Location": request.path})


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is asked of POSIX")
def test_large_layers_take_no_memory():
    """256 MiB pass through at four jobs; the peak stays far below one layer."""
    image, target = Endless(), Swallow()
    with Listener(image.source) as source, Listener(target) as sink:
        words = [sys.executable, "-c", PROGRAM, f"{source.address}/app:1", f"{sink.address}/app:1"]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100)
    status, grown, error = done.stdout.split(" ", 2)
    assert status == "copied", error
    assert target.digests >= set(image.numbers)
    assert target.tagged == image.raw
    assert int(grown) < ALLOWED
