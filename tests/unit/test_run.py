# SPDX-License-Identifier: MIT
"""Runs with several requests, failures beside one another, and targets that lose what they had."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from azext_acrimport.engine import (
    BlobPlaces,
    BlobUnknown,
    Cancellation,
    CopyReport,
    CopyRequest,
    Denied,
    Descriptor,
    Destination,
    Digest,
    Platform,
    Quota,
    ServerError,
    copy_images,
)
from azext_acrimport.engine.copy import driver as driver_module
from azext_acrimport.engine.copy import run as run_module
from tests.sandbox import images
from tests.support.stores import MemoryStore, complete, copy

IMAGE = images.image("run")
INDEX = images.index([(p, images.image(f"run-{p}")) for p in ("linux/amd64", "linux/arm64/v8")])


def stores(artifact: images.Artifact = INDEX) -> tuple[MemoryStore, MemoryStore]:
    """A source that has it under the tag 1, and an empty target of another registry."""
    return MemoryStore("source.test").hold(artifact, "1"), MemoryStore("target.test", "new")


def run(requests: list[CopyRequest], jobs: int = 1, cancellation: Cancellation | None = None) -> CopyReport:
    """Copy all of them."""
    return copy_images(requests, cancellation or Cancellation(), jobs=jobs)


def test_inline_and_threaded_runs_give_the_same():
    """But for the time."""
    results = []
    for jobs in (1, 4):
        source, target = stores()
        target.blobs = dict(list(INDEX.blobs.items())[:2])
        result = copy(source, target, jobs=jobs, tags=["1", "2"])
        results.append((result.status, result.manifests, result.blobs, result.bytes, sorted(result.written)))
        results.append((target.blobs, target.manifests, target.tags))
    assert results[:2] == results[2:]


@pytest.mark.parametrize("jobs", [1, 4])
def test_same_image_for_two_repositories_is_read_once(jobs):
    """In two requests as in one: the second repository takes the blobs from the first."""
    source, first = stores()
    second = MemoryStore("target.test", "other")
    first.neighbours["other"], second.neighbours["new"] = second, first  # either may be planned before the other
    report = run([CopyRequest(source, "1", (Destination(target, ("1",)),)) for target in (first, second)], jobs)
    assert [item.status for item in report.items] == ["copied", "copied"]
    assert source.count("blob") == len(INDEX.blobs)
    assert complete(first, INDEX.digest) and complete(second, INDEX.digest)
    assert sorted(item.blobs.mounted for item in report.items) == [0, len(INDEX.blobs)]


@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize("together", [True, False])
def test_progress_counts_what_a_registry_gets_once(jobs, together):
    """Though two repositories want it: the second mounts it, and nothing of it moves."""
    source, first = stores()
    second, heard = MemoryStore("target.test", "other"), []
    first.neighbours["other"], second.neighbours["new"] = second, first
    both = tuple(Destination(target, ("1",)) for target in (first, second))
    requests = [CopyRequest(source, "1", each) for each in ([both] if together else [(one,) for one in both])]
    assert copy_images(requests, Cancellation(), jobs=jobs, on_progress=heard.append).ok
    assert (heard[-1].bytes_done, heard[-1].bytes_total) == (INDEX.blob_bytes, INDEX.blob_bytes)
    assert heard[-1].blobs_done == heard[-1].blobs_total == 2 * len(INDEX.blobs)


def test_progress_counts_anew_what_has_failed():
    """Whoever was to bring it has given up."""
    source, target = stores()
    heard, failed = [], []

    def fail_once(method: str, _: str) -> None:
        if method == "put_blob" and not failed:
            failed.append(method)
            raise ServerError("target.test", origin="target", status=503)

    target.before = fail_once
    stores_of_both = target, MemoryStore("other.test")  # one image alone is not tried again
    requests = [CopyRequest(source, "1", (Destination(store, ("1",)),)) for store in stores_of_both]
    assert copy_images(requests, Cancellation(), jobs=1, on_progress=heard.append).ok and failed
    assert heard[-1].bytes_done == heard[-1].bytes_total == 2 * INDEX.blob_bytes


@pytest.mark.parametrize("jobs", [1, 4])
def test_blob_that_two_images_share_fails_both(jobs):
    """Each says so; neither is tagged."""
    shared = images.layer("shared", 100)
    both = [images.image(name, shared=[shared]) for name in ("one", "two")]
    source, target = MemoryStore("source.test").hold(both[0], "1").hold(both[1], "2"), MemoryStore("target.test")

    def fail(method: str, what: str) -> None:
        if method == "put_blob" and what == images.digest_of(shared):
            raise Denied("target.test", origin="target")

    target.before = fail
    report = run([CopyRequest(source, tag, (Destination(target, (tag,)),)) for tag in ("1", "2")], jobs)
    assert [item.error.code for item in report.items] == ["target-denied"] * 2
    assert target.tags == {}
    assert not report.ok


@pytest.mark.parametrize("jobs", [1, 4])
def test_failed_image_does_not_take_the_holder_of_a_blob_with_it(jobs):
    """The first image fails after its blobs are there; the second takes them over."""
    source, first = stores()
    second = MemoryStore("target.test", "other")
    second.neighbours["new"] = first

    def fail(method: str, _: str) -> None:
        if method == "tag":
            raise Denied("target.test", origin="target")

    first.before = fail
    report = run([CopyRequest(source, "1", (Destination(target, ("1",)),)) for target in (first, second)], jobs)
    assert [item.status for item in report.items] == ["failed", "copied"]
    assert complete(second, INDEX.digest)


def test_tag_that_is_written_while_another_one_fails_is_known():
    """What is under way when a run has failed is heard to its end."""
    source, target = stores(IMAGE)
    cancellation, under_way = Cancellation(), threading.Event()

    def before(method: str, what: str) -> None:
        if (method, what) == ("tag", "slow"):
            under_way.set()
            assert cancellation._event.wait(30)
        elif (method, what) == ("tag", "refused"):
            assert under_way.wait(30)
            raise Denied("target.test", origin="target")

    target.before = before
    result = copy(source, target, tags=["refused", "slow"], jobs=2, cancellation=cancellation)
    assert (result.status, result.error.code) == ("failed", "target-denied")
    assert set(target.tags) == {"slow"}
    assert result.written == ("new:slow",)


@pytest.mark.parametrize("jobs", [1, 4])
def test_child_that_vanishes_after_it_was_found_is_brought(jobs):
    """Untagged manifests may be purged at any time; with its blobs, then."""
    child, sibling = images.image("run-linux/amd64"), images.image("run-linux/arm64/v8")
    source, target = stores()
    target.hold(child).hold(sibling)

    def purge(method: str, _: str) -> None:
        if method == "tag" and target.count("tag") == 1:
            del target.manifests[child.digest]
            for digest in child.blobs:
                del target.blobs[digest]

    target.before = purge
    result = copy(source, target, jobs=jobs)
    assert (result.status, result.error) == ("copied", None)
    assert complete(target, INDEX.digest)


def test_self_healing_does_not_go_round_in_circles():
    """A target that refuses every manifest hears each of them twice a level, and no more."""
    nested = images.index([("linux/amd64", INDEX)])
    source, target = stores(nested)

    def refuse(method: str, _: str) -> None:
        if method in ("put_manifest", "tag"):
            raise BlobUnknown("target.test", origin="target")

    target.before = refuse
    assert copy(source, target).error.code == "target-blob-unknown"
    assert target.count("put_manifest") == 2


def test_large_blobs_come_first_and_never_too_many_at_once(monkeypatch):
    """The largest is begun first; as many as the pool has transfers; small ones pass by meanwhile."""
    sizes = [2, 5, 3, 4, 6]
    layers = [images.layer(f"large {size}", size * 1024 * 1024) for size in sizes]
    image = images.image("large", shared=layers)
    source, target = stores(image)
    monkeypatch.setattr("azext_acrimport.engine.copy.driver.TRANSFERS", 2)
    begun, under_way, most, small = [], set(), [], threading.Event()
    lock = threading.Lock()

    def before(method: str, what: str) -> None:
        size = len(image.blobs.get(what, b"")) // (1024 * 1024)
        if method == "has_blob" and size:
            with lock:
                begun.append(size)
                under_way.add(what)
                most.append(len(under_way))
            assert small.wait(30)
            with lock:
                under_way.discard(what)
        elif method == "put_blob" and not size:
            small.set()

    target.before = before
    report = copy_images([CopyRequest(source, "1", (Destination(target, ("1",)),))], Cancellation())
    assert report.ok and complete(target, image.digest)
    assert sorted(begun[:2]) == [5, 6] and sorted(begun) == sorted(sizes)
    assert max(most) <= 2


@pytest.mark.parametrize("phantoms", [0, 2])
@pytest.mark.parametrize("jobs", [1, 4])
def test_progress_never_exceeds_its_totals(monkeypatch, jobs, phantoms):
    """Also when blobs are brought that were said to be there."""
    monkeypatch.setattr("azext_acrimport.engine.copy.progress.PROGRESS_INTERVAL", 0.0)
    source, target = stores()
    target.phantoms = set(list(INDEX.blobs)[:phantoms])
    heard = []
    copy(source, target, jobs=jobs, on_progress=heard.append)
    assert heard
    for progress in heard:
        assert 0 <= progress.bytes_done <= progress.bytes_total and progress.bytes_total in (0, INDEX.blob_bytes)
        assert progress.blobs_done <= progress.blobs_total
        assert progress.manifests_done <= progress.manifests_total
        assert all(0 <= done <= size for _, done, size in progress.active)
    counts = [progress.blobs_done + progress.manifests_done for progress in heard]
    assert counts == sorted(counts)
    assert heard[-1].bytes_done == INDEX.blob_bytes


def test_keyboard_interrupt_is_a_cancellation():
    """At one job it arrives in the middle of the work; what was done is in the report."""
    source, target = stores()

    def interrupt(method: str, _: str) -> None:
        if method == "put_manifest":
            raise KeyboardInterrupt

    target.before = interrupt
    cancellation = Cancellation()
    report = run([CopyRequest(source, "1", (Destination(target, ("1",)),))], cancellation=cancellation)
    assert (report.items[0].status, report.items[0].error.code) == ("cancelled", "cancelled")
    assert cancellation.requested
    assert target.tags == {}


@pytest.mark.parametrize("jobs", [1, 4])
def test_after_a_cancellation_no_image_is_begun(monkeypatch, jobs):
    """Of ten thousand that would take seconds, only to tell each that it is too late."""
    source, target = stores()
    begun, cancellation = [], Cancellation()

    class Noted(run_module.ImageCopy):
        def __init__(self, *args) -> None:
            begun.append(args)
            super().__init__(*args)

    def enough(*_) -> None:
        cancellation.cancel()
        cancellation.check()

    monkeypatch.setattr(run_module, "ImageCopy", Noted)
    monkeypatch.setattr(source, "resolve", enough)
    requests = [CopyRequest(source, str(number), (Destination(target, (str(number),)),)) for number in range(500)]
    report = run(requests, jobs, cancellation)
    assert {item.status for item in report.items} == {"cancelled"}
    assert len(begun) <= run_module.IMAGES_A_JOB * jobs


def test_item_by_digest_keeps_the_digest():
    """What the user pinned is what is asked for and what is reported."""
    source, target = stores()
    report = run([CopyRequest(source, INDEX.digest, (Destination(target, ("1",)),))])
    assert report.items[0].digest == Digest.parse(INDEX.digest)
    assert report.items[0].source == f"source.test/app@{INDEX.digest}"
    assert complete(target, INDEX.digest)


@pytest.mark.parametrize("jobs", [1, 4])
def test_image_that_comes_later_shares_what_is_done_or_failed(jobs):
    """While one image moves, others are still asked about: what it has brought is there, what it could not is not."""
    good, bad = images.layer("good", 100), images.layer("bad", 100)
    shared = [good, good, bad, bad]
    source, target = MemoryStore("source.test"), MemoryStore("target.test")
    for number, blob in enumerate(shared):
        source.hold(images.image(f"later {number}", shared=[blob]), str(number))
    first = threading.Event()

    def late(method: str, what: str) -> None:
        if method == "read" and what in ("1", "3") and jobs > 1:
            assert first.wait(30)

    def moving(method: str, what: str) -> None:
        if method == "tag" and what == "0":
            first.set()
        if method == "put_blob" and what == images.digest_of(bad):
            raise Denied("target.test", origin="target")

    source.before, target.before = late, moving
    report = run([CopyRequest(source, str(n), (Destination(target, (str(n),)),)) for n in range(4)], jobs)
    assert [item.status for item in report.items] == ["copied", "copied", "failed", "failed"]
    assert target.tags.keys() == {"0", "1"}
    assert target.calls.count(("put_blob", images.digest_of(good))) == 1
    assert sorted(item.blobs.existing for item in report.items[:2]) == [0, 1]


@pytest.mark.parametrize(("there", "outcome"), [(True, "copied"), (False, "failed")])
def test_remembered_blob_is_mounted_only_for_a_source_that_has_it(there, outcome):
    """Whoever knows a digest could else get a layer that he may not read."""

    class Remembering(BlobPlaces):
        def where(self, registry: str, blob: Descriptor) -> str:
            return "secret"

    source, target = stores(IMAGE)
    secret = MemoryStore("target.test", "secret")
    secret.blobs = dict(source.blobs)
    target.neighbours["secret"] = secret
    if not there:
        source.blobs.clear()
    result = copy(source, target, places=Remembering())
    assert result.status == outcome
    assert result.blobs.mounted == (len(IMAGE.blobs) if there else 0)
    assert target.count("mount_blob") == result.blobs.mounted


@pytest.mark.parametrize("jobs", [1, 4])
def test_mount_that_fails_for_good_ends_all_that_wait_for_it(jobs):
    """Two images of one registry, promoted within it, share a layer that cannot be had."""
    shared = images.layer("promoted", 100)
    source, target = MemoryStore("one.test"), MemoryStore("one.test", "new")
    for number in range(3):
        source.hold(images.image(f"promoted {number}", shared=[shared]), str(number))
    target.neighbours["app"] = source

    def fail(method: str, what: str) -> None:
        if method == "mount_blob" and what == images.digest_of(shared):
            raise Denied("one.test", origin="target")

    target.before = fail
    report = run([CopyRequest(source, str(n), (Destination(target, (str(n),)),)) for n in range(3)], jobs)
    assert [item.error.code for item in report.items] == ["target-denied"] * 3
    assert target.tags == {}


def test_failed_image_lets_go_of_what_only_it_wants():
    """Its other blob, of whatever size, is not brought to its end while the images of others are still under way."""
    slow, denied = images.layer("slow", 500), images.layer("denied", 100)
    failing, other = images.image("lets go", shared=[slow, denied]), images.image("other")
    source = MemoryStore("source.test").hold(failing, "1").hold(other, "2")
    was_denied, other_is_there, slow_has_ended = threading.Event(), threading.Event(), threading.Event()

    class Target(MemoryStore):
        def put_blob(self, descriptor, body):
            try:
                super().put_blob(descriptor, body)
            finally:
                if str(descriptor.digest) == images.digest_of(slow):
                    slow_has_ended.set()

    target = Target("target.test")

    def at_source(method: str, what: str) -> None:
        if method == "read" and what == "2":
            assert was_denied.wait(30)

    def at_target(method: str, what: str) -> None:
        if (method, what) == ("put_blob", images.digest_of(denied)):
            was_denied.set()
            raise Denied("target.test", origin="target")
        if (method, what) == ("put_blob", images.digest_of(slow)):
            assert other_is_there.wait(30)
        if (method, what) == ("tag", "2"):
            other_is_there.set()
            assert slow_has_ended.wait(30)

    source.before, target.before = at_source, at_target
    report = run([CopyRequest(source, tag, (Destination(target, (tag,)),)) for tag in ("1", "2")], jobs=6)
    assert [item.status for item in report.items] == ["failed", "copied"]
    assert images.digest_of(slow) not in target.blobs


def hub(left: int | None, count: int = 4) -> tuple[MemoryStore, MemoryStore, list[CopyRequest]]:
    """Images of two platforms, three pulls each, at a place that counts them; and requests for all of them."""
    source, target = MemoryStore("docker.io"), MemoryStore("target.test", "new")
    for number in range(count):
        parts = [(p, images.image(f"hub-{number}-{p}")) for p in ("linux/amd64", "linux/arm64/v8")]
        source.hold(images.index(parts), str(number))
    source.quota = Quota(left, 21_600) if left is not None else None
    tags = [str(number) for number in range(count)]
    return source, target, [CopyRequest(source, tag, (Destination(target, (tag,)),)) for tag in tags]


@pytest.mark.parametrize("jobs", [1, 8])
@pytest.mark.parametrize(("left", "copied", "unspent"), [(12, 4, 0), (8, 2, 1), (5, 1, 1), (1, 0, 0), (0, 0, 0)])
def test_spent_pulls_have_completed_images(jobs, left, copied, unspent):
    """One image is read after the other, and none that could not be read to its end, as far as its index tells."""
    source, target, requests = hub(left)
    report = run(requests, jobs)
    assert sorted(item.status for item in report.items) == ["blocked"] * (4 - copied) + ["copied"] * copied
    assert {item.error.code for item in report.items if item.error} <= {"source-quota-spent"}
    assert source.quota.left == unspent
    assert len(target.tags) == copied


def test_what_is_there_needs_no_quota():
    """A second run asks, and reads nothing."""
    source, _, requests = hub(12)
    run(requests)
    source.quota = Quota(0, 21_600)
    assert {item.status for item in run(requests).items} == {"unchanged"}


def test_quota_is_spared_where_that_is_wanted():
    """A dry run knows the digest and what would become of the tag, and reads no manifest."""
    source, target, requests = hub(12)
    run(requests[:1])
    source.calls.clear()
    report = copy_images(requests, Cancellation(), jobs=1, go_on=lambda planned: False, spends_quota=False)
    assert [item.status for item in report.items] == ["unchanged", "planned", "planned", "planned"]
    assert report.items[1].changes[0].action == "create"
    assert report.items[1].digest is not None
    assert {method for method, _ in source.calls} == {"resolve"}


def test_smaller_index_that_nobody_reads_is_foreseen_as_far_as_it_can_be():
    """A tag that is not there would be made; whether one that is there would move depends on what is not read."""
    source, target, requests = hub(12)
    there = requests[1].destinations[0].tags[0]
    target.hold(IMAGE, there)
    requests = [replace(request, platforms=(Platform("linux", "amd64"),)) for request in requests[:2]]
    report = copy_images(requests, Cancellation(), jobs=1, go_on=lambda planned: False, spends_quota=False)
    changes = [item.changes[0] for item in report.items]
    assert [(change.action, str(change.before)) for change in changes] == [("create", "None"), (None, IMAGE.digest)]
    assert [item.status for item in report.items] == ["planned", "planned"]


def test_what_is_in_a_file_is_named_as_the_file_is():
    """It has no host that could stand before it."""
    names = [("lay/a", "v1", "lay/a:v1"), ("/lay/a.tar", "", "/lay/a.tar")]
    assert [CopyRequest(MemoryStore("", path), tag, ()).name for path, tag, _ in names] == [said for *_, said in names]


@pytest.mark.parametrize("jobs", [1, 4])
def test_fail_fast_begins_nothing_more(jobs):
    """And writes nothing of what was only planned."""
    source, target = stores(IMAGE)
    tags = ["1", "gone", *["1"] * 200]
    requests = [CopyRequest(source, tag, (Destination(target, (f"t{n}",)),)) for n, tag in enumerate(tags)]
    report = copy_images(requests, Cancellation(), jobs=jobs, fail_fast=True)
    states = [item.status for item in report.items]
    assert states[1] == "failed" and states[-1] == "blocked"
    assert states.count("failed") == 1 and set(states) <= {"copied", "failed", "blocked"}
    assert states.count("copied") == len(target.tags) <= 2 * jobs
    assert {item.error.code for item in report.items if item.status == "blocked"} == {"blocked"}
    report = copy_images(requests[:4], Cancellation(), jobs=jobs, fail_fast=True, is_failure=lambda *_: False)
    assert "blocked" not in [item.status for item in report.items]


def test_tag_that_names_something_else_is_skipped_where_that_is_wanted():
    """No error, nothing read, the tag as it was; a free tag of the same image is made."""
    source, target = stores(IMAGE)
    target.hold(INDEX, "1")
    before = dict(target.tags)
    report = run([CopyRequest(source, "1", (Destination(target, ("1",)),), skip_conflicts=True)])
    item = report.items[0]
    assert (item.status, item.error, target.tags) == ("skipped", None, before)
    assert [(change.action, str(change.before)) for change in item.changes] == [("none", INDEX.digest)]
    assert source.count("manifest") + source.count("read") == 0
    report = run([CopyRequest(source, "1", (Destination(target, ("1", "2")),), skip_conflicts=True)])
    assert (report.items[0].status, target.tags["1"], target.tags["2"]) == ("copied", INDEX.digest, IMAGE.digest)


def test_of_an_unchanged_image_nothing_more_is_asked_where_only_new_ones_count():
    """A signature that came later stays away; with an image that is copied it comes along."""
    source, target = stores(IMAGE)
    request = CopyRequest(source, "1", (Destination(target, ("1",)),), referrers=True, new_only=True)
    source.hold(images.artifact("first", subject=IMAGE.descriptor()))
    assert run([request]).items[0].referrers == 1
    source.hold(images.artifact("later", subject=IMAGE.descriptor()))
    source.calls.clear()
    assert run([request]).items[0].status == "unchanged"
    assert [method for method, _ in source.calls] == ["resolve"]


def test_image_that_is_planned_when_another_has_failed_is_not_written(monkeypatch):
    """It was begun before, and found out all that it wanted."""
    failed = threading.Event()

    class Telling(run_module.ImageCopy):
        async def run(self) -> None:
            try:
                await super().run()
            finally:
                if self.request.identifier == "gone":
                    failed.set()

    monkeypatch.setattr(run_module, "ImageCopy", Telling)
    source, target = stores(IMAGE)
    source.before = lambda method, what: failed.wait(30) if (method, what) == ("resolve", "1") else None
    requests = [CopyRequest(source, tag, (Destination(target, (tag,)),)) for tag in ("1", "gone")]
    report = copy_images(requests, Cancellation(), jobs=2, fail_fast=True)
    assert [item.status for item in report.items] == ["blocked", "failed"]
    assert not target.tags and not target.count("put_blob")


class Turns:
    """Workers without threads, all equally fast: what has been begun ends in the same order."""

    def __init__(self, most: int) -> None:
        """So many as the driver lets begin."""

    def submit(self, work: Callable[[], None], under_way: int) -> None:
        asyncio.get_running_loop().call_soon(work)

    def close(self, timeout: float) -> None:
        """Nobody has to be sent home."""


@pytest.mark.parametrize("jobs", [2, 6, 12])
def test_images_complete_one_after_the_other(monkeypatch, jobs):
    """When half of the blobs have come, about half of the tags are written; nobody is passed by many.

    With threads one that the machine lets wait is passed, as it should be: so there are none here.
    """
    monkeypatch.setattr(driver_module, "Workers", Turns)
    source, target = MemoryStore("source.test"), MemoryStore("target.test")
    for number in range(60):
        source.hold(images.image(f"order {number}", (300, 300, 300)), str(number))
    requests = [CopyRequest(source, str(n), (Destination(target, (str(n),)),)) for n in range(60)]
    assert run(requests, jobs).ok
    written = [(method, what) for method, what in target.calls if method in ("put_blob", "tag")]
    blobs = [place for place, (method, _) in enumerate(written) if method == "put_blob"]
    tags = [int(what) for method, what in written if method == "tag"]
    at_half = sum(method == "tag" for method, _ in written[: blobs[len(blobs) // 2]])
    assert 30 - jobs // 2 <= at_half <= 30
    assert max(abs(number - place) for place, number in enumerate(tags)) <= jobs // 4


@pytest.mark.parametrize(("jobs", "entered"), [(None, ["1"]), (2, ["1"]), (1, [])])
def test_first_questions_are_asked_while_the_rest_is_loaded(jobs, entered):
    """Of both sides. Not with one job, which does one thing after the other."""
    source, target = stores(IMAGE)
    source.hold(IMAGE, "2")
    requests = [CopyRequest(source, tag, (Destination(target, (tag,)),)) for tag in ("1", "2")]
    report = copy_images(requests, Cancellation(), jobs=jobs)
    assert [item.status for item in report.items] == ["copied", "copied"]
    assert source.entered == target.looked == entered
