# SPDX-License-Identifier: MIT
"""What is told while images are copied: running totals, so that a moment costs the same for one image as for many."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

from ..content.descriptor import Descriptor
from ..content.digest import Digest
from .report import Status

__all__ = ["Progress", "Share", "Totals"]

# How often people are told, in seconds: five times a second looks alive and costs nothing.
PROGRESS_INTERVAL = 0.2


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a run; made in the calling thread, at most a few times a second.

    Bytes are blob bytes and absolute: ``bytes_done`` goes back when a transfer has to start anew. Totals are of what
    has been planned so far; what a registry gets for several images counts once. ``active`` holds the transfers that
    are under way, each with its digest, the bytes done and the bytes in all.
    """

    bytes_done: int
    bytes_total: int
    blobs_done: int
    blobs_total: int
    manifests_done: int
    manifests_total: int
    seconds: float
    active: tuple[tuple[Digest, int, int], ...] = ()
    bytes_moved: int = 0
    ended: Mapping[Status, int] = field(default_factory=dict)
    running: int = 0


class Totals:
    """Counts of one run. Only ``moving`` may be told by workers."""

    def __init__(self, tell: Callable[[Progress], None]) -> None:
        self._tell = tell
        self._started = time.monotonic()
        self._told = 0.0
        self._bytes = [0, 0]
        self._blobs = [0, 0]
        self._manifests = [0, 0]
        self._active: dict[Hashable, tuple[Digest, int, int]] = {}
        self._moved = 0
        self._ended: Counter[Status] = Counter()
        self._running = 0

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._started

    def _count(self, which: int, blobs: int, size: int, manifests: int) -> None:
        self._blobs[which] += blobs
        self._bytes[which] += size
        self._manifests[which] += manifests

    def moving(self, key: Hashable, blob: Descriptor, done: int) -> None:
        """So many bytes of a blob have moved."""
        self._active[key] = blob.digest, done, blob.size

    def still(self, key: Hashable) -> None:
        """It moves no longer."""
        if moved := self._active.pop(key, None):
            self._moved += moved[1]

    def image_begun(self) -> None:
        """The story of one more image is told."""
        self._running += 1

    def image_ended(self, status: Status) -> None:
        """It has come to this end."""
        self._running -= 1
        self._ended[status] += 1

    def image_again(self, status: Status) -> None:
        """What has ended so is tried once more."""
        self._ended[status] -= 1

    def tell(self, last: bool = False) -> None:
        """Tell, unless it was told a moment ago."""
        now = time.monotonic()
        if not last and now - self._told < PROGRESS_INTERVAL:
            return
        self._told = now
        active = tuple(self._active.copy().values())
        moving = sum(done for _, done, _ in active)
        done = self._bytes[0] + moving
        self._tell(
            Progress(
                bytes_done=min(done, self._bytes[1]),  # a blob that is brought a second time adds nothing
                bytes_total=self._bytes[1],
                blobs_done=self._blobs[0],
                blobs_total=self._blobs[1],
                manifests_done=self._manifests[0],
                manifests_total=self._manifests[1],
                seconds=now - self._started,
                active=active,
                bytes_moved=self._moved + moving,
                ended=dict(self._ended),
                running=self._running,
            )
        )


class Share:
    """What one image has in the totals, as long as its story goes on."""

    def __init__(self, totals: Totals) -> None:
        self._totals = totals
        self._left = [0, 0, 0]
        self._ended = False

    def expect(self, blobs: int, size: int, manifests: int) -> None:
        """It needs so many more blobs, of so many bytes, and so many more manifests and tags to be put."""
        self._left = [self._left[0] + blobs, self._left[1] + size, self._left[2] + manifests]
        self._totals._count(1, blobs, size, manifests)

    def blob_done(self, size: int) -> None:
        """One of its blobs is where it was wanted."""
        self._done(1, size, 0)

    def manifest_done(self) -> None:
        """A manifest or a tag is."""
        self._done(0, 0, 1)

    def end(self) -> None:
        """What was not done will not be; another try counts anew."""
        self._ended = True
        blobs, size, manifests = self._left
        self._totals._count(1, -blobs, -size, -manifests)

    def _done(self, blobs: int, size: int, manifests: int) -> None:
        if not self._ended:
            self._left = [self._left[0] - blobs, self._left[1] - size, self._left[2] - manifests]
            self._totals._count(0, blobs, size, manifests)
