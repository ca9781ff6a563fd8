# SPDX-License-Identifier: MIT
"""How little is asked of registries, for many images as for one: each request that is gone is a round trip gone."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from azext_acrimport.engine import (
    BlobPlaces,
    Cancellation,
    CopyRequest,
    Descriptor,
    Destination,
    Digest,
    Platform,
    Reference,
    copy_images,
)
from benchmarks.engine_copy import Places, copy_all
from tests.sandbox import images
from tests.sandbox.registry import Registry
from tests.sandbox.server import Handler, Listener, Request, Response
from tests.sandbox.storage import Storage

COUNT = 8
BASE = images.layer("base", 5_000)
MANY = [images.image(f"many {n}", (300,), shared=[BASE]) for n in range(COUNT)]


class Counting:
    """A registry, and what it was asked since the last look."""

    def __init__(self, registry: Handler) -> None:
        self._registry = registry
        self._asked: list[str] = []

    def __call__(self, request: Request) -> Response:
        kind = "upload" if "/uploads/" in request.path else "blob" if "/blobs/" in request.path else "manifest"
        self._asked.append(f"{request.method} {kind}")
        return self._registry(request)

    def asked(self) -> dict[str, int]:
        """Counts by method and kind."""
        counts, self._asked = Counter(self._asked), []
        return dict(counts)


@pytest.fixture
def places(tmp_path):
    """A registry with the images as apps and as tags of one app, an empty one, and their addresses."""
    source, target = Registry(Storage(tmp_path / "source")), Registry(Storage(tmp_path / "target"))
    for number, image in enumerate(MANY):
        image.push(source, f"app-{number}", "1")
        image.push(source, "app", str(number))
    one, two = Counting(source), Counting(target)
    with Listener(one) as here, Listener(two) as there:
        yield one, two, here.address, there.address


def run(names: list[str], here: str, there: str, jobs: int) -> list[str]:
    """Copy these to the same names; the statuses."""
    pairs = [(Reference.parse(f"{here}/{name}"), Reference.parse(f"{there}/{name}")) for name in names]
    results = copy_all(pairs, jobs)
    assert [result.error for result in results] == [None] * len(names)
    return [result.status for result in results]


@pytest.mark.parametrize("jobs", [1, 8])
@pytest.mark.parametrize("kind", ["repositories", "tags"])
def test_many_images(places, kind, jobs):
    """What the target lacks is read without a HEAD before it, but for the first; a blob takes three requests.

    The base that all share moves once, and is mounted once for each other repository.
    """
    source, target, here, there = places
    names = [f"app-{n}:1" if kind == "repositories" else f"app:{n}" for n in range(COUNT)]
    assert run(names, here, there, jobs) == ["copied"] * COUNT
    own = 2 * COUNT  # a config and a layer each
    asked = source.asked()
    assert asked == {"HEAD manifest": 1, "GET manifest": COUNT, "GET blob": own + 1}
    mounts = COUNT - 1 if kind == "repositories" else 0
    assert target.asked() == {
        "HEAD manifest": 2 * COUNT,  # the second just before the tag is put
        "POST upload": own + 1 + mounts,
        "PUT upload": own + 1,
        "PUT manifest": COUNT,
    }
    assert run(names, here, there, jobs) == ["unchanged"] * COUNT
    assert source.asked() == target.asked() == {"HEAD manifest": COUNT}


@pytest.mark.parametrize("jobs", [1, 4])
def test_new_tag_of_blobs_that_are_there(places, jobs):
    """Nothing is read again but the manifest; with several jobs small blobs are asked for before that is known."""
    source, target, here, there = places
    run(["app:0"], here, there, jobs)
    source.asked(), target.asked()
    reference = Reference.parse(f"{here}/app:0")
    assert copy_all([(reference, Reference.parse(f"{there}/app:again"))], jobs)[0].blobs.existing == 3
    asked = source.asked()
    assert asked.pop("GET blob", 0) <= (0 if jobs == 1 else 3)
    assert asked == {"HEAD manifest": 1, "GET manifest": 1}
    assert target.asked() == {"HEAD manifest": 2, "POST upload": 3, "PUT manifest": 1}


class Closed(Counting):
    """One that wants a token, and gives it to everybody."""

    def __call__(self, request: Request) -> Response:
        if request.path == "/token":
            return Response(200, {"Content-Type": "application/json"}, b'{"token": "abc"}')
        if request.headers.get("Authorization") == "Bearer abc":
            return super().__call__(request)
        self._asked.append("refused")
        time.sleep(0.05)  # whoever comes meanwhile would be refused as well
        return Response(401, {"WWW-Authenticate": 'Bearer realm="/token"'})


@pytest.mark.parametrize("jobs", [1, 8])
@pytest.mark.parametrize("kind", ["repositories", "tags"])
def test_one_refusal_is_enough_for_all(places, kind, jobs):
    """Who comes while the first request is on its way waits for what it learns, in each of many repositories."""
    source, target = (Closed(place._registry) for place in places[:2])
    names = [f"app-{n}:1" if kind == "repositories" else f"app:{n}" for n in range(COUNT)]
    with Listener(source) as here, Listener(target) as there:
        run(names, here.address, there.address, jobs)
        asked = source.asked()
        assert (asked["refused"], asked["GET manifest"], asked.get("HEAD manifest")) == (1, COUNT, None)
        assert target.asked()["refused"] == 1
        assert run(names, here.address, there.address, jobs) == ["unchanged"] * COUNT
        assert source.asked() == target.asked() == {"refused": 1, "HEAD manifest": COUNT}


class Memory(BlobPlaces):
    """As the az side keeps it, in a dictionary."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}
        self.left: dict[tuple[Digest, str], Digest] = {}

    def where(self, registry: str, blob: Descriptor) -> str:
        """As ``BlobPlaces.where``."""
        return self.held.get((registry, str(blob.digest)), "")

    def holds(self, registry: str, repository: str, blob: Descriptor) -> None:
        """As ``BlobPlaces.holds``."""
        self.held[registry, str(blob.digest)] = repository

    def left_of(self, image: Digest, platforms: str) -> Digest | None:
        """As ``BlobPlaces.left_of``."""
        return self.left.get((image, platforms))

    def leaves(self, image: Digest, platforms: str, left: Digest) -> None:
        """As ``BlobPlaces.leaves``."""
        self.left[image, platforms] = left


def remembered(memory: Memory, source: str, target: str):
    """Copy one image, as a process of its own that has this memory; what became of its blobs."""
    return copied(memory, source, target).blobs


def copied(memory: Memory, source: str, target: str, **more: object):
    """The same; all that became of it."""
    cancellation = Cancellation()
    places, here, there = Places(cancellation), Reference.parse(source), Reference.parse(target)
    destination = Destination(places.repository("target", there), (there.tag,))
    request = CopyRequest(places.repository("source", here), here.identifier, (destination,), **more)
    report = copy_images([request], cancellation, jobs=4, places=memory)
    assert report.ok
    return report.items[0]


def test_blob_of_an_earlier_run_is_mounted(places):
    """From the repository that held it then, for a few bytes of both sides; where it is no longer there it is sent."""
    source, target, here, there = places
    memory = Memory()
    remembered(memory, f"{here}/app-0:1", f"{there}/first:1")
    source.asked(), target.asked()
    tally = remembered(memory, f"{here}/app-1:1", f"{there}/second:1")
    assert (tally.copied, tally.mounted) == (2, 1)
    assert source.asked()["GET blob"] == 2 + 1  # two layers, and the piece that shows the third
    without = dict(target.asked())
    stale = Memory()
    stale.held = {key: "no/longer" for key in memory.held}
    tally = remembered(stale, f"{here}/app-0:1", f"{there}/third:1")
    assert (tally.copied, tally.mounted) == (3, 0)
    ordinary = remembered(Memory(), f"{here}/app-0:1", f"{there}/fourth:1")
    asked = target.asked()
    assert (without.pop("GET blob"), asked.pop("GET blob")) == (1, 3)  # pieces; those of three blobs are not there
    assert asked == {kind: 2 * count for kind, count in {**without, "POST upload": 3, "PUT upload": 3}.items()}
    assert ordinary == tally
    assert set(stale.held.values()) == {"third", "no/longer"}  # what was not needed is as it was


def test_platforms_of_an_earlier_run_are_not_read_to_see_that_they_are_there(places):
    """One HEAD a side, whatever is left of the image; what has changed, or is for other platforms, is read."""
    source, target, here, there = places
    built = {p: images.image(f"platforms {p}", platform=p) for p in ("linux/amd64", "linux/arm64")}
    images.index(list(built.items())).push(source._registry, "index", "1")
    memory, amd, both = Memory(), *([Platform.parse(p) for p in some] for some in (["linux/amd64"], built))
    for number, platforms in enumerate((amd, both)):
        words = memory, f"{here}/index:1", f"{there}/index:{number}"
        first = copied(*words, platforms=tuple(platforms))
        source.asked(), target.asked()
        again = copied(*words, platforms=tuple(platforms))
        assert (again.status, again.digest) == ("unchanged", first.digest)
        assert source.asked() == target.asked() == {"HEAD manifest": 1}
    assert copied(memory, f"{here}/index:1", f"{there}/index:2", platforms=tuple(amd)).status == "copied"
    moved = copied(memory, f"{here}/index:1", f"{there}/index:1", platforms=tuple(amd), force=True)
    assert (moved.status, moved.digest) == ("updated", memory.left[moved.source_digest, "linux/amd64"])
    source.asked()
    asks = copied(memory, f"{here}/index:1", f"{there}/index:1", platforms=tuple(amd), referrers=True)
    assert (asks.status, source.asked()["GET manifest"]) == ("unchanged", 2)
