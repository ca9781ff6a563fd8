# SPDX-License-Identifier: MIT
"""What is said of waits: all of them with --verbose; to people those that look like a hang."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from knack.log import get_logger

if TYPE_CHECKING:
    from ..engine import Wait

logger = get_logger(__name__)

# Seconds of silence that nobody wonders about.
UNNOTICED = 5.0


class Waits:
    """Told of each wait, in any thread. Many requests to a host that must wait for the same are one notice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def __call__(self, wait: Wait) -> None:
        """Say it, to whom it concerns."""
        said = f"{wait.why.rstrip('.')}; the next attempt is in {wait.seconds:.1f} s"
        logger.info("%s.", said)
        end = time.monotonic() + wait.seconds
        with self._lock:
            known = end < self._until.get(wait.subject, 0.0) + UNNOTICED
            if wait.seconds <= UNNOTICED or known:
                return
            self._until[wait.subject] = end
        logger.warning("%s.", said)
