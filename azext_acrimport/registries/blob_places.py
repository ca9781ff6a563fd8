# SPDX-License-Identifier: MIT
"""Which repository of a registry held a blob, from one az to the next: a small file in az's configuration folder.

With it an image whose layers are in another repository since an earlier import is mounted, not sent. Nothing depends on
it: it may be deleted, it may be wrong, and two azs may write it at once, one after the other.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from knack.log import get_logger

from ..engine import BlobPlaces, Descriptor, InvalidReference, parse_repository_tag

logger = get_logger(__name__)

NAME = "acrimport-blobs.json"
# A smaller blob is sent as fast as the question is asked.
WORTH_BYTES = 1_000_000
# The layers of some hundred images; about 700 kB, read in a few milliseconds.
MAX_ENTRIES = 5000
# Seconds: reading and writing takes a few milliseconds, so a lock that is older belongs to nobody any more, and who has
# waited for so long goes on without: what may get lost is a hint.
LOCK_SECONDS = 3.0


class RememberedPlaces(BlobPlaces):
    """Read when the first large blob is to be written, saved when the import has ended."""

    def __init__(self, folder: str) -> None:
        self._path = Path(folder) / NAME
        self._known: dict[str, str] | None = None
        self._new: dict[str, str] = {}

    def where(self, registry: str, blob: Descriptor) -> str:
        """As ``BlobPlaces.where``."""
        if blob.size < WORTH_BYTES:
            return ""
        if self._known is None:
            self._known = self._read()
        return _repository(self._known.get(f"{registry}/{blob.digest}", ""))

    def holds(self, registry: str, repository: str, blob: Descriptor) -> None:
        """As ``BlobPlaces.holds``."""
        if registry and blob.size >= WORTH_BYTES:
            self._new[f"{registry}/{blob.digest}"] = repository

    def save(self) -> None:
        """Add what is new to what others have written meanwhile; the oldest entries go. Failures are only logged."""
        try:
            with _locked(self._path.with_suffix(".lock")):
                entries = self._read()
                if all(entries.get(name) == place for name, place in self._new.items()):
                    return
                for name, place in self._new.items():
                    entries.pop(name, None)  # so that it is the youngest
                    entries[name] = place
                self._write(dict(list(entries.items())[-MAX_ENTRIES:]))
        except OSError as error:
            logger.debug("%s was not written: %s", self._path, error)

    def _read(self) -> dict[str, str]:
        try:
            entries = json.loads(self._path.read_text("utf-8"))
            if all(isinstance(place, str) for place in entries.values()):
                return dict(entries)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            logger.debug("%s is not used: %s", self._path, error)
        return {}

    def _write(self, entries: dict[str, str]) -> None:
        """Whole or not at all, and for nobody else to read."""
        handle, name = tempfile.mkstemp(prefix=NAME, dir=self._path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(entries, file)
            os.replace(name, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


@contextlib.contextmanager
def remembered(cli_ctx: Any) -> Iterator[RememberedPlaces]:
    """What earlier azs have left, and at its end what this one leaves."""
    places = RememberedPlaces(cli_ctx.config.config_dir)
    try:
        yield places
    finally:
        places.save()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """For one process at a time: a file that only one can make, on every system and file system."""
    started = time.monotonic()
    while True:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            break
        except FileExistsError:
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > LOCK_SECONDS:
                    path.unlink()
        except PermissionError:
            if os.name != "nt":
                raise  # on Windows it is said of a lock that is just being removed
        if time.monotonic() - started > LOCK_SECONDS:
            break
        time.sleep(0.01)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def _repository(name: str) -> str:
    """The name where it is one: it becomes part of a scope and of a URL, and anybody may have written the file."""
    try:
        repository, tag, digest = parse_repository_tag(name)
    except InvalidReference:
        return ""
    return "" if tag or digest else repository
