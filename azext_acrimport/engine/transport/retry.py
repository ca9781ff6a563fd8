# SPDX-License-Identifier: MIT
"""When a request is sent again, and how long to wait before. Time and chance are parameters, so tests do not sleep."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from ..cancellation import Cancellation, Wait
from ..errors import EngineError, NetworkError, RateLimited, RegistryError, TlsError
from ..waiting import Attempts

__all__ = ["Gate", "Pace", "RetryPolicy", "retry_after"]

# Statuses that say nothing about the request itself.
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes (429), RFC 9110 section 15
TEMPORARY_STATUSES = frozenset({408, 425, 429, 499, 500, 502, 503, 504, 522})
# A name that does not resolve, or a port where nobody listens, is most often a typing error: one more try is enough.
QUICK_ATTEMPTS = 2
# Longer than any date.
MAX_HEADER = 100
# Thirty years in seconds have nine digits; what is longer is no time to wait.
SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``attempts`` in all; waits grow from ``base`` seconds to ``cap`` seconds, with full jitter.

    ``patience``: the longest Retry-After, in seconds, that is waited for. ACR counts in windows of 60 s, so that is
    honoured; a registry that asks for hours (Docker Hub's quota) is better told to the user.
    """

    attempts: int = 5
    base: float = 0.5
    cap: float = 30.0
    patience: float = 120.0
    chance: Callable[[], float] = field(default=random.random, compare=False)

    def delay(self, attempt: int, asked: float | None) -> float | None:
        """Seconds to wait after this attempt (from 1), or None to give up. ``asked``: what the registry said."""
        if attempt >= self.attempts or (asked is not None and asked > self.patience):
            return None
        own = self.chance() * min(self.cap, self.base * 2.0 ** (attempt - 1))
        return own if asked is None else asked + own * 0.1  # not all clients at the same moment

    def after(self, attempt: int, error: EngineError) -> float | None:
        """Seconds after which a request that has failed so is worth another attempt; None when it is not."""
        if isinstance(error, RateLimited) and error.is_quota:
            return None  # of hours; that it asks for less changes nothing
        if isinstance(error, RegistryError):
            return self.delay(attempt, error.retry_after) if error.status in TEMPORARY_STATUSES else None
        if not isinstance(error, NetworkError) or isinstance(error, TlsError) or error.reason in ("proxy", "redirect"):
            return None
        if error.reason in ("dns", "refused") and attempt >= QUICK_ATTEMPTS:
            return None
        return self.delay(attempt, None)


def retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Seconds from a Retry-After header, in either form of RFC 9110 section 10.2.3; None without one.

    A date is read beside the answer's own ``Date``: the two are by one clock, and ours may be another.
    """
    value = headers.get("Retry-After", "")[:MAX_HEADER].strip()
    if SECONDS.fullmatch(value):
        return float(value)
    moment, sent = _timestamp(value), _timestamp(headers.get("Date", "")[:MAX_HEADER])
    return None if moment is None else max(0.0, moment - (now() if sent is None else sent))


def _timestamp(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (TypeError, ValueError, OverflowError):
        return None


class Gate:
    """One host's turnstile: whoever is told to wait closes it for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open_at = 0.0

    def close(self, seconds: float, cancellation: Cancellation) -> None:
        """Let nobody through for so many seconds from now."""
        with self._lock:
            self._open_at = max(self._open_at, cancellation.now() + seconds)

    def passing(self, cancellation: Cancellation) -> None:
        """Wait until the gate is open. Raises Cancelled, and in a worker Postponed."""
        while (wait := self._open_at - cancellation.now()) > 0:
            Attempts.current().wait(wait, cancellation)


class Pace:
    """At most ``count`` requests in any ``window`` seconds, for all threads together: a known limit is not run into.

    ``subject``: of whom, to say so.
    """

    def __init__(self, count: int, window: float, subject: str = "") -> None:
        self._lock = threading.Lock()
        self._why = f"{subject} is asked for referrers at most {count} times in {window:.0f} s"
        self._subject = subject
        self._window = window
        self._times: deque[float] = deque(maxlen=count)

    def passing(self, cancellation: Cancellation) -> None:
        """Wait for a free place, and take it. Raises Cancelled, and in a worker Postponed."""
        while True:
            with self._lock:
                now = cancellation.now()
                full = len(self._times) == self._times.maxlen
                wait = self._times[0] + self._window - now if full else 0.0
                if wait <= 0:
                    self._times.append(now)  # the oldest of a full deque falls out
                    return
            cancellation.on_wait(Wait(wait, self._subject, self._why))
            Attempts.current().wait(wait, cancellation)
