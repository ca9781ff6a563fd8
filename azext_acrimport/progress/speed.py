# SPDX-License-Identifier: MIT
"""How fast bytes move now, and when they will have moved."""

from __future__ import annotations

from collections import deque

# Seconds that are looked back at: long enough to be read, short enough to be of now.
WINDOW = 5.0
# In the first moment a few bytes are any rate.
FIRST = 1.0
# Before that what is left is any time. Seconds.
SETTLED = 2.0


class Speed:
    """Of one flow of bytes. Times are seconds of any clock that does not go back."""

    def __init__(self, now: float, moved: int = 0) -> None:
        self._last = moved
        self._advanced = 0
        self._seen: deque[tuple[float, int]] = deque([(now, 0)])

    def add(self, now: float, moved: int) -> None:
        """So many bytes have moved in all; fewer than before when a transfer was begun anew, which is no movement."""
        if not self._advanced and moved <= self._last:
            self._seen = deque([(now, 0)])  # the time before the first byte is no part of the flow
        self._advanced += max(0, moved - self._last)
        self._last = moved
        self._seen.append((now, self._advanced))
        while len(self._seen) > 2 and self._seen[1][0] <= now - WINDOW:
            self._seen.popleft()

    def at(self, now: float) -> float:
        """Bytes a second over the last five seconds, or since the begin; also when nothing was heard since."""
        edge = max(self._seen[0][0], now - WINDOW)
        before = [amount for moment, amount in self._seen if moment <= edge][-1]
        return (self._advanced - before) / max(now - edge, FIRST)

    def seconds_left(self, now: float, missing: float) -> float | None:
        """Until so many bytes more have moved; None where nothing moves, or has just begun to."""
        rate = self.at(now)
        return missing / rate if rate > 0 and now - self._seen[0][0] >= SETTLED else None
