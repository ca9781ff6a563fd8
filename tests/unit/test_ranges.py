# SPDX-License-Identifier: MIT
"""When help with a huge blob pays, and how much of it there is."""

from __future__ import annotations

import pytest

from azext_acrimport.engine import Body, Cancellation, CopyRequest, Descriptor, Destination, copy_images
from azext_acrimport.engine.content.stream import Spare
from azext_acrimport.engine.copy.queues import LARGE
from azext_acrimport.engine.registry.ranges import RangedDownload
from tests.sandbox import images
from tests.support.stores import MemoryStore

MB = 1_000_000


@pytest.mark.parametrize(
    ("count", "waited", "elapsed", "pays"),
    [
        (4 * MB, 0.08, 0.10, True),  # 50 MB/s, and it is the source that we wait for
        (4 * MB, 0.02, 0.03, False),  # 200 MB/s: nobody reads faster
        (4 * MB, 0.08, 0.40, False),  # the target takes most of the time
    ],
)
def test_help_pays_only_where_the_source_is_slow(count, waited, elapsed, pays):
    """Its rate, while it was waited for; and whether that was most of the time."""
    assert RangedDownload._pays(None, count, waited, elapsed) is pays


def test_spare_is_shared_and_given_back():
    """Nobody gets what another one has."""
    spare = Spare(lambda: 5)
    assert [spare.take(4), spare.take(4), spare.take(4)] == [4, 1, 0]
    spare.give(4)
    assert spare.take(2) == 2


class Watching(MemoryStore):
    """A target that sees how many connections are to spare while it is given a large blob; None: none can be."""

    def put_blob(self, descriptor: Descriptor, body: Body) -> None:
        """As ``Target.put_blob``."""
        if descriptor.size > LARGE:
            self.seen.append(body.spare.take(100) if body.spare else None)
            if body.spare:
                body.spare.give(self.seen[-1])
        super().put_blob(descriptor, body)


def to_spare(jobs: int, layers: int) -> list[int | None]:
    """At each large layer of an image with so many of them."""
    image = images.image("spare", shared=[images.layer(f"spare {n}", LARGE + 1) for n in range(layers)])
    source, target, cancellation = MemoryStore("source.test").hold(image, "1"), Watching("t.test"), Cancellation()
    target.seen = []
    request = CopyRequest(source, "1", (Destination(target, ("1",)),))
    assert copy_images([request], cancellation, jobs=jobs).ok
    return target.seen


def test_few_large_blobs_leave_connections_to_spare():
    """At most four, never more than the transfers that are not under way; none with one job, none beside many blobs."""
    assert to_spare(8, 1) == [4]
    assert to_spare(4, 1) == [3]
    assert to_spare(1, 1) == [None]
    assert to_spare(2, 6)[0] == 0
