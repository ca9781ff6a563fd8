# SPDX-License-Identifier: MIT
"""What takes its time and is the same for all: one of pytest-xdist's workers does it, and the others read it."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def once(folder: Path, name: str, work: Callable[[], T]) -> T:
    """What ``work`` returns, of whichever worker came first. ``folder``: below one that all workers of a run have.

    When that one fails, the next one tries it.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        return work()
    place = folder.parent / f"{name}-{run}"
    lock, done = place.with_suffix(".lock"), place.with_suffix(".done")
    while not done.exists():
        try:
            lock.touch(exist_ok=False)
        except FileExistsError:
            time.sleep(0.1)  # pytest's time limit of the test ends it
            continue
        try:
            if not done.exists():  # it may have come while the lock was taken
                part = place.with_suffix(".part")
                part.write_bytes(pickle.dumps(work()))
                part.rename(done)
        finally:
            lock.unlink()
    found: T = pickle.loads(done.read_bytes())  # noqa: S301  our own, of this run
    return found
