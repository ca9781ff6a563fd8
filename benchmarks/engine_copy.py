# SPDX-License-Identifier: MIT
"""Copy one image by the engine alone: ``engine_copy.py SRC DST [--jobs N]``. Needs the standard library and requests.

Anonymous. Loopback registries are tried with https, then http; REQUESTS_CA_BUNDLE names private CAs. An existing tag
is moved. Prints one line; exit code 0 only when the whole image is at the target.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from azext_acrimport import engine  # noqa: E402  the checkout is to be measured, not what is installed


def main() -> int:
    """Parse, plan, run, say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", metavar="SRC")
    parser.add_argument("target", metavar="DST")
    parser.add_argument("--jobs", type=int, default=4)
    options = parser.parse_args()
    try:
        source, target = engine.Reference.parse(options.source), engine.Reference.parse(options.target)
    except engine.InvalidReference as error:
        parser.error(str(error))
    result = copy(source, target, options.jobs)
    if result.error:
        print(f"{result.status}: {result.error} [{result.error.code}]", file=sys.stderr)
        return 1
    print(f"{result.status} {result.digest} blobs {result.blobs} bytes {result.bytes} in {result.seconds:.2f} s")
    return 0


def copy(source: engine.Reference, target: engine.Reference, jobs: int) -> engine.ItemResult:
    """The whole use of the engine, as a program without az would write it."""
    cancellation, pool = engine.Cancellation(), engine.make_pool(jobs)
    request = engine.CopyRequest(
        repository("source", source, cancellation),
        source.identifier,
        (engine.Destination(repository("target", target, cancellation), (target.tag,) if target.tag else ()),),
        force=True,
    )
    try:
        plan = engine.make_plan([request], pool, cancellation)
        return engine.run_plan(plan, pool, cancellation).items[0]
    finally:
        pool.close(timeout=1)


def repository(
    origin: engine.Origin, reference: engine.Reference, cancellation: engine.Cancellation
) -> engine.RegistryRepository:
    """A repository that nobody signs in to."""
    transport = engine.Transport(origin, cancellation=cancellation)
    client = engine.RegistryClient(reference.registry, reference.host, transport, lambda: engine.ANONYMOUS)
    return engine.RegistryRepository(client, reference.repository)


if __name__ == "__main__":
    sys.exit(main())
