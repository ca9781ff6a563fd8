# SPDX-License-Identifier: MIT
"""What one az leaves for the next: a small file in az's configuration folder, names and what is known of each.

Nothing depends on it: it may be deleted, it may be wrong or written by somebody else, and two azs may write it at once,
one after the other. Whoever reads it judges what it says.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from knack.log import get_logger

logger = get_logger(__name__)

# Of a name and what is known of it, in bytes of JSON; there is nothing that is longer.
MAX_ENTRY = 1000
# Seconds: reading and writing takes a few milliseconds, so a lock that is older belongs to nobody any more, and who has
# waited for so long goes on without: what may get lost is a hint.
LOCK_SECONDS = 3.0


class Memory:
    """Texts by name, at most ``most`` of them. Read when something is asked for, saved when that is wanted.

    Safe in any thread.
    """

    def __init__(self, folder: str, name: str, most: int) -> None:
        self._path = Path(folder) / name
        self._most = most
        self._known: dict[str, str] | None = None
        # empty: to be forgotten
        self._new: dict[str, str] = {}

    def get(self, name: str) -> str:
        """What the file said of it when it was first looked at; empty for nothing."""
        if self._known is None:
            self._known = self._read()
        return self._known.get(name, "")

    def put(self, name: str, text: str) -> None:
        """To be saved; the latest counts. Empty: to be forgotten."""
        if len(json.dumps([name, text])) <= MAX_ENTRY:
            self._new[name] = text

    def save(self) -> None:
        """Add what is new to what others have written meanwhile; the oldest entries go. Failures are only logged."""
        new = dict(self._new)
        if not new:
            return
        try:
            with _locked(self._path.with_suffix(".lock")):
                entries = self._read()
                if all(entries.get(name, "") == text for name, text in new.items()):
                    return
                for name, text in new.items():
                    entries.pop(name, None)  # so that it is the youngest
                    entries[name] = text
                self._write(dict([entry for entry in entries.items() if entry[1]][-self._most :]))
        except OSError as error:
            logger.debug("%s was not written: %s", self._path, error)

    def _read(self) -> dict[str, str]:
        """Nothing of a file that is larger than any that we write, or says anything else."""
        try:
            with self._path.open("rb") as file:
                entries = json.loads(file.read(self._most * MAX_ENTRY))
            if all(isinstance(text, str) for text in entries.values()):
                return dict(entries)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            logger.debug("%s is not used: %s", self._path, error)
        return {}

    def _write(self, entries: dict[str, str]) -> None:
        """Whole or not at all, and for nobody else to read."""
        handle, name = tempfile.mkstemp(prefix=self._path.name, dir=self._path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(entries, file)
            os.replace(name, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


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
