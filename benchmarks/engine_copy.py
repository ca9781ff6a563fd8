# SPDX-License-Identifier: MIT
"""Copy images by the engine alone: ``engine_copy.py SRC DST [--jobs N]``, or ``--list FILE`` for many.

Needs the standard library and requests. The file has lines ``SRC DST``; all of them are copied at once, in one
process. Anonymous. Loopback registries are tried with https, then http; REQUESTS_CA_BUNDLE names private CAs. An
existing tag is moved. Prints one line an image; exit code 0 only when every image is whole at its target.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# as the az side does it: what is loaded once is no garbage, neither now nor at the end
gc.disable()
from azext_acrimport import engine  # noqa: E402  the checkout is to be measured, not what is installed

gc.freeze()
gc.enable()
atexit.register(gc.freeze)

Pair = tuple[engine.Reference, engine.Reference]


def main() -> int:
    """Parse, plan, run, say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", metavar="SRC", nargs="?")
    parser.add_argument("target", metavar="DST", nargs="?")
    parser.add_argument("--list", metavar="FILE", help="lines SRC DST; # starts a comment")
    parser.add_argument("--jobs", type=int, help="how many transfers at once (default: the engine's own choice)")
    parser.add_argument("--memory", metavar="FILE", type=Path, help="what earlier runs have learned, in JSON")
    parser.add_argument("--referrers", action="store_true", help="bring along what vouches for the images")
    parser.add_argument("--acr", action="store_true", help="the targets are Azure container registries")
    parser.add_argument("--dry-run", action="store_true", help="only find out what would be done")
    options = parser.parse_args()
    if (options.list is None) == (options.target is None):
        parser.error("give SRC and DST, or --list FILE")
    try:
        pairs = [parsed(options.source, options.target)] if options.list is None else listed(Path(options.list))
    except (engine.InvalidReference, ValueError, OSError) as error:
        parser.error(str(error))
    started = time.monotonic()
    hints = Hints(options.memory) if options.memory else None
    results = copy_all(
        pairs, options.jobs, dry_run=options.dry_run, referrers=options.referrers, hints=hints, acr=options.acr
    )
    if hints:
        hints.save()
    for result in results:
        if result.error:
            print(f"{result.status}: {result.source}: {result.error} [{result.error.code}]", file=sys.stderr)
        else:
            print(f"{result.status} {result.digest} {' '.join(result.targets)} {result.blobs} bytes {result.bytes}")
    failed = sum(result.error is not None for result in results)
    print(f"{len(results) - failed} of {len(results)} in {time.monotonic() - started:.2f} s")
    return 1 if failed else 0


def parsed(source: str, target: str) -> Pair:
    """Both references; raises InvalidReference."""
    return engine.Reference.parse(source), engine.Reference.parse(target)


def listed(path: Path) -> list[Pair]:
    """The pairs of a file. Raises ValueError, which names a line that is none or that writes what another does."""
    pairs: list[Pair] = []
    seen: set[str] = set()
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2:
            raise ValueError(f"{path}, line {number}: not SRC DST")
        pairs.append(parsed(*words))
        if str(pairs[-1][1]) in seen:
            raise ValueError(f"{path}, line {number}: {words[1]} is written by another line, too")
        seen.add(str(pairs[-1][1]))
    if not pairs:
        raise ValueError(f"{path}: names no image")
    return pairs


def copy(source: engine.Reference, target: engine.Reference, jobs: int | None) -> engine.ItemResult:
    """One image."""
    return copy_all([(source, target)], jobs)[0]


def copy_all(
    pairs: list[Pair],
    jobs: int | None,
    *,
    dry_run: bool = False,
    referrers: bool = False,
    hints: engine.RegistryHints | None = None,
    acr: bool = False,
) -> list[engine.ItemResult]:
    """The whole use of the engine, as a program without az would write it."""
    cancellation = engine.Cancellation()
    places = Places(cancellation, hints, acr=acr)
    requests = [
        engine.CopyRequest(
            places.repository("source", source),
            source.identifier,
            (engine.Destination(places.repository("target", target), (target.tag,) if target.tag else ()),),
            force=True,
            referrers=referrers,
        )
        for source, target in pairs
    ]
    go_on, count_above = (lambda planned: not dry_run), (-1 if dry_run else None)
    try:
        return list(engine.copy_images(requests, cancellation, jobs=jobs, go_on=go_on, count_above=count_above).items)
    finally:
        places.close()


class Hints(engine.RegistryHints):
    """What earlier runs have learned of how registries let us in; the az side keeps that with more care."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = json.loads(path.read_text()) if path.exists() else {}

    def token_service(self, host: str) -> tuple[str, str] | None:
        """As ``RegistryHints.token_service``."""
        found = self._known.get(host)
        return tuple(found) if found else None

    def learned_token_service(self, host: str, url: str, service: str) -> None:
        """As ``RegistryHints.learned_token_service``."""
        self._known[host] = url, service

    def forget_token_service(self, host: str) -> None:
        """As ``RegistryHints.forget_token_service``."""
        self._known.pop(host, None)

    def storage(self, host: str) -> str:
        """As ``RegistryHints.storage``."""
        return self._known.get(f"{host} blobs", "")

    def learned_storage(self, host: str, url: str) -> None:
        """As ``RegistryHints.learned_storage``."""
        self._known[f"{host} blobs"] = url

    def save(self) -> None:
        """For the next run."""
        self._path.write_text(json.dumps(self._known))


class Places:
    """Repositories that nobody signs in to: one transport a side, one client a registry."""

    def __init__(
        self, cancellation: engine.Cancellation, hints: engine.RegistryHints | None = None, *, acr: bool = False
    ) -> None:
        self._acr = acr
        self._hints = hints
        self._transports = {
            "source": engine.Transport("source", cancellation=cancellation),
            "target": engine.Transport("target", cancellation=cancellation),
        }
        self._clients: dict[tuple[str, str], engine.RegistryClient] = {}
        self._repositories: dict[tuple[str, str], engine.RegistryRepository] = {}

    def close(self) -> None:
        """End all connections."""
        for transport in self._transports.values():
            transport.close()

    def repository(self, origin: engine.Origin, reference: engine.Reference) -> engine.RegistryRepository:
        """The same object for the same place."""
        key = (origin, f"{reference.registry}/{reference.repository}")
        if key not in self._repositories:
            client = self._clients.get((origin, reference.registry))
            if client is None:
                transport = self._transports[origin]
                client = engine.RegistryClient(
                    reference.registry,
                    reference.host,
                    transport,
                    lambda: engine.ANONYMOUS,
                    acr=self._acr and origin == "target",
                    hints=self._hints,
                )
                self._clients[origin, reference.registry] = client
            self._repositories[key] = engine.RegistryRepository(client, reference.repository)
        return self._repositories[key]


if __name__ == "__main__":
    sys.exit(main())
