# SPDX-License-Identifier: MIT
"""Imports and batches in bad weather, for as long as one likes: ``python -m benchmarks.soak --minutes 60``.

Each round has two new registries on loopback, a few images with signatures, and random faults on both sides. After it
each tag must name the whole image, or nothing, and the report must say which; in fair weather a second run must end
the work. A line a minute tells rounds, imports, failures reported, wrong results, memory, threads and descriptors.

glibc keeps what was freed in one arena for each thread that asks for memory at the same time, and there are new threads
in each round: with ``MALLOC_ARENA_MAX=1`` the resident size tells what is held, without it what once was, too.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

from azext_acrimport.engine import (
    ANONYMOUS,
    Cancellation,
    CopyReport,
    CopyRequest,
    Destination,
    RegistryClient,
    RegistryRepository,
    RetryPolicy,
    Transport,
    TransportOptions,
    copy_images,
)
from azext_acrimport.engine.copy import limits
from tests.property.test_fault_schedule import ANSWERS, BODIES, SENT, STORED, UPLOADED, signed_in
from tests.sandbox import images
from tests.sandbox.faults import Faults
from tests.sandbox.registry import Oddities, Registry
from tests.sandbox.server import Listener
from tests.sandbox.storage import Storage
from tests.support.content import everything, tag_digest

# a clear "not there" and a page for people are believed where the specification says so; one byte in a list that is
# not hashed cannot be seen
TOLD = {name: trouble for name, trouble in ANSWERS.items() if name not in ("404", "HTML", "silence")}
HASHED = {name: trouble for name, trouble in BODIES.items() if "silence" not in name and name != "slow"}
WEATHER = (
    ("source", "GET", "/v2/.*/manifests/.*", {**TOLD, **HASHED}),
    ("source", "GET", "/v2/.*/blobs/.*", {**TOLD, **HASHED}),
    ("source", "GET", "/token", {**TOLD, **HASHED}),
    ("source", ".*", ".*", TOLD),
    ("target", "POST", "/v2/.*/uploads/", TOLD),
    ("target", "PUT", "/v2/.*/uploads/.*", {**TOLD, **SENT, **UPLOADED, **STORED}),
    ("target", "PATCH", "/v2/.*/uploads/.*", {**TOLD, **SENT, **UPLOADED}),
    ("target", "PUT", "/v2/.*/manifests/.*", {**TOLD, **SENT, **STORED}),
    ("target", ".*", ".*", TOLD),
)


class Soak:
    """Counts of all rounds."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.rounds = self.imports = self.failures = self.wrong = 0

    def round(self) -> None:
        """One batch in bad weather, and again in fair weather."""
        chance, self.rounds = self.chance, self.rounds + 1
        with tempfile.TemporaryDirectory() as folder:
            limit = 2000 if chance.random() < 0.3 else None
            source = Registry(Storage(Path(folder) / "source"))
            target = Registry(Storage(Path(folder) / "target"), Oddities(max_put=limit, looks=chance.random() < 0.7))
            names = [f"app-{number % 2}:{number}" for number in range(chance.randint(1, 6))]
            wanted = {name: self._pushed(source, name) for name in names}
            weather = {"source": Faults(), "target": Faults()}
            for _ in range(chance.randint(1, 4)):
                side, method, path, troubles = chance.choice(WEATHER)
                trouble = troubles[chance.choice(sorted(troubles))]
                times = chance.choice((1, 2, 5, 99))
                weather[side].add(method=method, path=path, skip=chance.randint(0, 8), times=times, **trouble)
            with (
                Listener(weather["source"].around(signed_in(source))) as here,
                Listener(weather["target"].around(signed_in(target))) as there,
            ):
                jobs = chance.choice((1, 2, 4, 8))
                bad = self._copied(here.address, there.address, names, jobs)
                for name, result in zip(names, bad.items, strict=True):
                    repository, _, tag = name.partition(":")
                    named = tag_digest(target, repository, tag)
                    self.failures += result.error is not None
                    allowed = (wanted[name],) if result.error is None else (None, wanted[name])
                    self._check(named in allowed, f"{name} names {named}, {result.error}")
                    if result.error is None:
                        self._compare(source, target, repository, tag)
                for side in weather.values():
                    side.clear()
                good = self._copied(here.address, there.address, names, jobs)
                for name, result in zip(names, good.items, strict=True):
                    self._check(result.error is None, f"{name} in fair weather: {result.error}")
                    self._compare(source, target, *name.split(":"))
            self.imports += 2 * len(names)

    def _pushed(self, source: Registry, name: str) -> str:
        seed = f"{name} of round {self.rounds}"
        sizes = tuple(self.chance.choice((0, 20, 900, 3000, 200_000)) for _ in range(self.chance.randint(0, 4)))
        image = images.image(seed, sizes)
        if self.chance.random() < 0.5:
            image = images.index([("linux/amd64", image), ("linux/arm64", images.image(f"{seed} arm", sizes[:1]))])
        repository, _, tag = name.partition(":")
        image.push(source, repository, tag)
        if self.chance.random() < 0.5:
            images.artifact(seed, subject=image.descriptor()).push(source, repository)
        return image.digest

    def _copied(self, here: str, there: str, names: list[str], jobs: int) -> CopyReport:
        cancellation = Cancellation()
        retry = RetryPolicy(attempts=4, base=0.002, cap=0.02)
        options = TransportOptions(retry=retry, connect_timeout=5, read_timeout=20, upload_timeout=20)
        sides = [Transport("source", options, cancellation), Transport("target", options, cancellation)]
        one, two = (
            RegistryClient(host, host, side, lambda: ANONYMOUS) for host, side in zip((here, there), sides, strict=True)
        )
        requests = []
        for name in names:
            repository, _, tag = name.partition(":")
            destination = Destination(RegistryRepository(two, repository), (tag,))
            requests.append(CopyRequest(RegistryRepository(one, repository), tag, (destination,), referrers=True))
        try:
            return copy_images(requests, cancellation, jobs=jobs)
        finally:
            for side in sides:
                side.close()

    def _compare(self, source: Registry, target: Registry, repository: str, tag: str) -> None:
        same = everything(target, repository, tag) == everything(source, repository, tag)
        self._check(same, f"{repository}:{tag} is not what it was at the source")

    def _check(self, right: bool, said: str) -> None:
        if not right:
            self.wrong += 1
            print(f"WRONG in round {self.rounds}: {said}", flush=True)

    def line(self, seconds: float) -> str:
        """How it stands."""
        gc.collect()
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
        return (
            f"{seconds / 60:5.1f} min, {self.rounds} rounds, {self.imports} imports, {self.failures} failures, "
            f"{self.wrong} wrong, {resident:.1f} MB, {sys.getallocatedblocks()} blocks of Python, {threads} threads, "
            f"{descriptors} descriptors"
        )


def main() -> int:
    """0 when nothing was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    # a host that is busy is asked again at once: here that is nobody's time but ours
    limits.LONGEST_PAUSE = limits.PAUSE = limits.KNOCK = 0.01
    limits.OUTAGE = 0.5
    soak, started, told = Soak(options.seed), time.monotonic(), 0.0
    while (elapsed := time.monotonic() - started) < 60 * options.minutes:
        soak.round()
        if elapsed - told > 60:
            told = elapsed
            print(soak.line(elapsed), flush=True)
    print(soak.line(elapsed), flush=True)
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
