# SPDX-License-Identifier: MIT
"""How many manifests Docker Hub still lets us read. https://docs.docker.com/docker-hub/usage/pulls/

Its answers to HEAD say it, and are not counted themselves.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping

from ..content.store import Quota

__all__ = ["QuotaMeter"]

REMAINING = re.compile(r"\s*(\d{1,9})\s*;\s*w=(\d{1,9})")
# Seconds after which a greater number is a new window, and not an answer that was overtaken by others.
OVERTAKEN = 60.0


class QuotaMeter:
    """What the answers of one registry have said. Told by any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._lowered = 0.0
        self.quota: Quota | None = None

    def read(self, headers: Mapping[str, str]) -> None:
        """``ratelimit-remaining: 76;w=21600``, where there is such a header."""
        if match := REMAINING.match(headers.get("ratelimit-remaining", "")):
            self._learn(Quota(int(match[1]), int(match[2])))

    def spent(self) -> None:
        """It has refused: nothing is left, whatever it said before."""
        self._learn(Quota(0, self.quota.window if self.quota else 21_600))

    def _learn(self, quota: Quota) -> None:
        with self._lock:
            known, now = self.quota, self._clock()
            if known is None or quota.left < known.left or now - self._lowered > OVERTAKEN:
                self.quota, self._lowered = quota, now
