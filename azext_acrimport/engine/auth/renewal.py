# SPDX-License-Identifier: MIT
"""Whether a token that was refused is worth renewing once more.

With several requests on their way a new token may be used up before it is the turn of one that waits. As long as the
registry lets somebody in, it is the tokens that end, and not we who are refused.
"""

from __future__ import annotations

import threading

from .challenge import Challenge

__all__ = ["Admissions", "Renewal"]

# How often in a row a new token may be refused while other requests are on their way and none is let in, and how often
# in all: a token that is good for three requests, and sixty that are on their way, take twenty.
STALLED = 5
RENEWALS = 100


class Admissions:
    """Of one registry: requests that are on their way, and how many were answered by anything but 401."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.asking = 0
        self.let_in = 0

    def count(self, *, asking: int = 0, let_in: int = 0) -> None:
        """So many more."""
        with self._lock:
            self.asking += asking
            self.let_in += let_in


class Renewal:
    """Of one request. A context manager for each time that it is sent."""

    def __init__(self, admissions: Admissions) -> None:
        self._admissions = admissions
        # how many others had been let in when it was sent: this time, and the time before
        self._let_in = self._before = admissions.let_in
        self._refused = 0
        self._stalled = 0

    def __enter__(self) -> None:
        self._before, self._let_in = self._let_in, self._admissions.let_in
        self._alone = self._admissions.asking == 0
        self._admissions.count(asking=1)

    def __exit__(self, *_: object) -> None:
        self._alone = self._alone and self._admissions.asking == 1  # somebody may have come meanwhile
        self._admissions.count(asking=-1)

    def is_worthwhile(self, challenge: Challenge | None) -> bool:
        """After a 401: the first time, and as long as others are let in; but not where a right is missing.

        The token that was just refused may have been fetched, and used up, by others since the time before.
        """
        self._refused += 1
        if self._refused == 1:
            return True
        if challenge and challenge.parameters.get("error") == "insufficient_scope":  # RFC 6750 section 3.1
            return False
        self._stalled = 0 if self._admissions.let_in > self._before else self._stalled + 1
        return self._stalled <= (0 if self._alone else STALLED) and self._refused <= RENEWALS
