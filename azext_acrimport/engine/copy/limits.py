# SPDX-License-Identifier: MIT
"""How fast a host may be asked: how many requests of a kind at once, and not before when.

A registry that answers 429 or 503 is asked by half as many from then on, and by one more with each round that it
answers, as TCP does it. A host that has answered in this run and then refuses connections is tried for a while, by one
request at a time: it is started anew.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..errors import EngineError, NetworkError, Origin, RateLimited, ServerError, TlsError
from ..waiting import Postponed

__all__ = ["NEVER", "Kind", "Lanes", "Limits", "may_pass"]

# Manifests and tags that are read, those that are written, blobs, and lists of referrers: registries count them apart.
Kind = Literal["read", "write", "blob", "referrers"]

# Seconds that a host which has answered before may be away: a front end that is started anew needs some.
OUTAGE = 12.0
# Seconds between two tries of a host that is away, at most.
KNOCK = 1.0
# Seconds without a request of a kind after a refusal that does not say how long: at first, and at most.
PAUSE = 0.1
LONGEST_PAUSE = 5.0
# Seconds that a registry may ask to wait, so that we still do: one window of a minute, and not Docker Hub's six hours.
LONGEST = 120.0
# A time that does not come: something else must happen first.
NEVER = float("inf")


@dataclass(slots=True)
class Host:
    """``failing``: since when it refuses connections, in seconds of the clock; 0 when it does not."""

    answered: bool = False
    failing: float = 0.0
    running: int = 0


@dataclass(slots=True)
class Lane:
    """Requests of one kind to one host."""

    host: Host
    limits: Limits
    limit: float = field(init=False)
    running: int = 0
    not_before: float = 0.0
    successes: int = 0
    shrunk: float = 0.0
    pause: float = field(init=False)

    def __post_init__(self) -> None:
        self.limit = self.limits.most
        self.pause = PAUSE

    def open_at(self, now: float) -> float:
        """When one more may begin: now, or later, or never unless another one ends."""
        host = self.host
        away = host.failing and host.running and now - host.failing <= OUTAGE
        if away or self.running >= self.limit or host.running >= self.limits.most:
            return NEVER
        return max(now, self.not_before)

    def answered(self) -> None:
        """With what was wanted."""
        self.successes += 1
        self.pause = PAUSE
        self.host.answered, self.host.failing = True, 0.0
        self.limit = min(self.limits.most, self.limit + 1 / self.limit)

    def refused(self, begun: float, now: float, asked: float | None) -> None:
        """Too many at once. Those that had begun before it was heard of say nothing new.

        ``asked``: seconds that the registry asks for; where it does not say, longer each time that none has succeeded.
        """
        if asked is not None:
            self.not_before = max(self.not_before, now + asked)
        if begun < self.shrunk:
            return
        self.limit, self.shrunk = max(1.0, self.limit / 2), now
        if asked is None:
            self.not_before = max(self.not_before, now + self.pause)
            self.pause = min(2 * self.pause, LONGEST_PAUSE)


class Lanes:
    """Those that a piece of work needs, the principal one first, by the side that each belongs to."""

    __slots__ = ("_all", "_by_side")

    def __init__(self, by_side: Mapping[Origin, Lane]) -> None:
        self._by_side = by_side
        self._all = tuple(by_side.values())

    def of(self, error: EngineError | None) -> Lane:
        """That of the side which is to blame; the principal one where that is not known."""
        return (self._by_side.get(error.origin) if error else None) or self._all[0]

    @property
    def successes(self) -> int:
        """How many requests have succeeded in them."""
        return sum(lane.successes for lane in self._all)

    def open_at(self, now: float) -> float:
        """When all of them are open; NEVER while one is full."""
        return max(lane.open_at(now) for lane in self._all)

    def begin(self) -> None:
        """One more is under way."""
        for lane in self._all:
            lane.running += 1
            lane.host.running += 1

    def end(self) -> None:
        """One less."""
        for lane in self._all:
            lane.running -= 1
            lane.host.running -= 1

    def answered(self) -> None:
        """With what was wanted."""
        for lane in self._all:
            lane.answered()


class Limits:
    """All hosts of one run. ``jobs``: how many requests at once, to all of them."""

    def __init__(self, jobs: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._jobs = jobs
        self.most = jobs
        self._clock = clock
        self._hosts: dict[str, Host] = {}
        self._lanes: dict[tuple[str, Kind], Lane] = {}
        self._known: dict[tuple[object, ...], Lanes] = {}

    def lanes(self, kind: Kind, *sides: tuple[Origin, str]) -> Lanes:
        """For requests of this kind to these hosts, the same each time. Files, an empty host, never refuse."""
        key = (kind, *sides)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Lanes({side: self._lane(registry, kind) for side, registry in sides})
        return found

    def _lane(self, registry: str, kind: Kind) -> Lane:
        host = self._hosts.setdefault(registry, Host())
        if len(self._hosts) > 2:
            # one that is silent must not keep all workers from asking the others
            self.most = self._jobs - self._jobs // 4
        return self._lanes.setdefault((registry, kind), Lane(host, self))

    def postponed(self, lanes: Lanes, postponed: Postponed, begun: float) -> float:
        """What a request that must come back later teaches; the time before which it need not."""
        now, lane, error = self._clock(), lanes.of(postponed.error), postponed.error
        if isinstance(error, RateLimited) or _is_busy(error):
            lane.refused(begun, now, getattr(error, "retry_after", None))
        self._note(lane, error, now)
        return now + postponed.seconds

    def another_try_at(self, lanes: Lanes, error: EngineError, seen: int) -> float:
        """The time at which what has failed for good is worth another try all the same; 0 when it is not.

        ``seen``: the successes in its lanes when it was begun. As long as others get their turn, this one will, too.
        """
        now, lane = self._clock(), lanes.of(error)
        if isinstance(error, RateLimited) or _is_busy(error):
            waits = getattr(error, "retry_after", None) or 0.0
            return now + max(waits, KNOCK) if lanes.successes > seen and waits <= LONGEST else 0.0
        self._note(lane, error, now)
        away = _is_away(error) and lane.host.answered and now - lane.host.failing <= OUTAGE
        return now + KNOCK * (0.3 + 0.7 * random.random()) if away else 0.0

    def _note(self, lane: Lane, error: EngineError | None, now: float) -> None:
        if _is_away(error) and not lane.host.failing:
            lane.host.failing = now


def may_pass(error: EngineError) -> bool:
    """Whether the same could go well a little later."""
    waits = getattr(error, "retry_after", None) or 0.0
    if isinstance(error, NetworkError):
        return not isinstance(error, TlsError) and error.reason not in ("proxy", "redirect")
    if isinstance(error, RateLimited) and error.is_quota:
        return False
    return isinstance(error, (RateLimited, ServerError)) and waits <= LONGEST


def _is_busy(error: EngineError | None) -> bool:
    return isinstance(error, ServerError) and error.status == 503


def _is_away(error: EngineError | None) -> bool:
    return isinstance(error, NetworkError) and error.reason == "refused"
