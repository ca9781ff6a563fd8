# SPDX-License-Identifier: MIT
"""Planning and running over stores in memory: what is asked, what moves, in which order, what failure leaves."""

from __future__ import annotations

import json
import threading

import pytest

from azext_acrimport.engine import (
    BlobPlaces,
    BlobUnknown,
    Cancellation,
    CopyRequest,
    Denied,
    Destination,
    ManifestError,
    NotFound,
    ServerError,
    TagConflict,
    copy_images,
)
from azext_acrimport.engine.copy import measure
from tests.sandbox import images
from tests.support.stores import MemoryStore, complete, copy, planned

IMAGE = images.image("image")
INDEX = images.index([(p, images.image(p)) for p in ("linux/amd64", "linux/arm64/v8")], attestations=True)


def stores(artifact: images.Artifact = INDEX) -> tuple[MemoryStore, MemoryStore]:
    """A source that has it under the tag 1, and an empty target of another registry."""
    return MemoryStore("source.test").hold(artifact, "1"), MemoryStore("target.test", "new")


@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize(
    "artifact", [IMAGE, INDEX, images.index([("linux/amd64", INDEX)])], ids=["image", "index", "nested"]
)
def test_all_of_it_arrives(artifact, jobs):
    """Manifests and blobs, and the tag."""
    source, target = stores(artifact)
    result = copy(source, target, jobs=jobs)
    assert (result.status, result.error) == ("copied", None)
    assert (target.blobs, target.manifests, target.tags) == (source.blobs, source.manifests, source.tags)
    assert (result.blobs.copied, result.bytes.copied) == (len(artifact.blobs), artifact.blob_bytes)
    assert result.manifests == len(artifact.manifests)


def test_order_is_children_first_and_tag_last():
    """Blobs before their manifest, manifests before their index, the root once and by its tag."""
    source, target = stores()
    copy(source, target)
    written = [call for call in target.calls if call[0] in ("put_blob", "put_manifest", "tag")]
    assert written[-1] == ("tag", "1")
    assert target.count("tag") == 1
    assert ("put_manifest", INDEX.digest) not in written


def test_unchanged_costs_one_question_a_side():
    """No manifest is read."""
    source, target = stores()
    copy(source, target)
    source.calls.clear()
    target.calls.clear()
    assert copy(source, target).status == "unchanged"
    assert (source.calls, target.calls) == ([("resolve", "1")], [("find", "1")])


@pytest.mark.parametrize(("jobs", "expected"), [(1, []), (4, [4]), (None, [5])])
def test_connections_for_many_images_are_expected_at_once(jobs, expected):
    """By their source, whatever there is to do: each is asked for there."""
    tags = [str(number) for number in range(5)]
    source, target = MemoryStore("source.test").hold(IMAGE, *tags), MemoryStore("target.test").hold(IMAGE, *tags)
    requests = [CopyRequest(source, tag, (Destination(target, (tag,)),)) for tag in tags]
    copy_images(requests, Cancellation(), jobs=jobs)
    assert (source.expected, target.expected) == (expected, [])


@pytest.mark.parametrize(("jobs", "expected"), [(4, [2]), (3, [])])
def test_sources_share_the_connections_that_are_expected(jobs, expected):
    """However many there are, a process has only so many."""
    tags = [str(number) for number in range(5)]
    sources = [MemoryStore(f"source{number}.test").hold(IMAGE, *tags) for number in range(2)]
    target = MemoryStore("target.test").hold(IMAGE, *tags)
    requests = [CopyRequest(source, tag, (Destination(target, (tag,)),)) for tag in tags for source in sources]
    copy_images(requests, Cancellation(), jobs=jobs)
    assert [source.expected for source in sources] == [expected, expected]


@pytest.mark.parametrize("host", ["source.test", "docker.io"])
@pytest.mark.parametrize("jobs", [1, 4])
def test_manifest_of_a_new_tag_is_read_by_its_tag(host, jobs):
    """When we have been let in it is known that it will be needed; of an unchanged tag only the digest is asked for.

    Docker Hub tells with the digest whether a pull is left.
    """
    source, target = MemoryStore(host).hold(IMAGE, "1"), MemoryStore("target.test", "new")
    source.wants_token = True
    assert copy(source, target, jobs=jobs).status == "copied"
    read = ["resolve", "manifest"] if host == "docker.io" else ["read"]
    assert [method for method, _ in source.calls if method != "blob"] == ["enter", *read]
    source.calls.clear()
    assert copy(source, target, jobs=jobs).status == "unchanged"
    assert [method for method, _ in source.calls] == ["enter", "resolve"]


@pytest.mark.parametrize("wants_token", [True, False])
def test_source_that_refuses_is_named_before_the_target(wants_token):
    """Being let in says nothing yet of what may be read."""
    source, target = stores()
    source.wants_token = wants_token

    def refuse(side):
        def refusing(method: str, _: str) -> None:
            if method != "enter":
                raise Denied(f"{side}.test", origin=side)

        return refusing

    source.before, target.before = refuse("source"), refuse("target")
    assert copy(source, target, jobs=4).error.code == "source-denied"


@pytest.mark.parametrize("jobs", [1, 4])
def test_connections_are_expected_for_what_must_be_brought(jobs):
    """From the first answer on, and for its blobs when they are known; with one job there is no second connection."""
    source, target = stores()
    copy(source, target, jobs=jobs)
    assert source.expected == target.expected == ([] if jobs == 1 else [6, 6, len(INDEX.blobs)])
    source.expected.clear(), target.expected.clear()
    assert copy(source, target, jobs=jobs).status == "unchanged"
    assert source.expected == target.expected == []
    source, target = stores()
    copy(source, target, jobs=jobs, referrers=True)
    assert source.expected == [4 + requests for requests in target.expected]  # what vouches for it is asked meanwhile


def test_another_tag_of_what_is_there_moves_nothing():
    """The root is read to be written again; images that are there are not."""
    source, target = stores()
    copy(source, target)
    source.calls.clear()
    result = copy(source, target, tags=["2"])
    assert (result.status, target.tags["2"], result.blobs.copied) == ("copied", INDEX.digest, 0)
    assert source.count("manifest") == 1
    assert source.count("blob") == 0


def test_conflict_is_found_before_anything_moves():
    """Both digests are named; force moves the tag."""
    source, target = stores()
    target.hold(IMAGE, "1")
    result = copy(source, target)
    assert isinstance(result.error, TagConflict)
    assert (result.error.existing, result.error.wanted) == (IMAGE.digest, INDEX.digest)
    assert {method for method, _ in target.calls} == {"find"}
    assert source.count("manifest") == 0
    assert copy(source, target, force=True).status == "updated"
    assert target.tags["1"] == INDEX.digest


def test_changes_tell_what_is_done_to_each_target():
    """A dry run tells the same before it is done; a conflict, too."""
    source, target = stores()
    copy(source, target, tags=["same"])
    target.hold(IMAGE, "other")
    wanted = [("new:free", "create", None), ("new:same", "none", INDEX.digest), ("new:other", "move", IMAGE.digest)]
    tags = ["free", "same", "other"]
    results = [
        planned(source, target, tags=tags, force=True),
        copy(source, target, tags=tags),
        copy(source, target, tags=tags, force=True),
    ]
    for result in results:
        told = [(change.target, change.action, change.before and str(change.before)) for change in result.changes]
        assert told == wanted
    assert [result.status for result in results] == ["planned", "failed", "updated"]
    empty = MemoryStore("target.test", "empty")
    before = [copy(source, empty, tags=[]).changes[0] for _ in range(2)]
    assert [(change.target, change.action) for change in before] == [("empty", "create"), ("empty", "none")]


def test_conflict_of_one_tag_stops_all():
    """Several tags are one request."""
    source, target = stores()
    target.hold(IMAGE, "taken")
    assert copy(source, target, tags=["free", "taken"]).error.code == "target-tag-conflict"
    assert "free" not in target.tags


def test_only_what_is_missing_moves():
    """One platform and some blobs are there."""
    source, target = stores()
    target.hold(images.image("linux/amd64"))
    some = next(digest for digest in INDEX.blobs if digest not in target.blobs)
    target.blobs[some] = INDEX.blobs[some]
    result = copy(source, target)
    assert complete(target, INDEX.digest)
    assert result.blobs.existing == 4  # three of the platform, one more
    assert result.blobs.copied == len(INDEX.blobs) - 4


def test_second_repository_is_served_by_mount():
    """Each blob moves once; where the mount is refused, it is copied."""
    source, first = stores()
    second = MemoryStore("target.test", "second")
    second.neighbours["new"] = first
    result = copy(source, first, second)
    assert (result.blobs.copied, result.blobs.mounted) == (len(INDEX.blobs), len(INDEX.blobs))
    assert source.count("blob") == len(INDEX.blobs)
    third = MemoryStore("target.test", "third")
    result = copy(source, MemoryStore("target.test", "new2"), third)
    assert result.blobs.copied == 2 * len(INDEX.blobs)
    assert complete(third, INDEX.digest)


@pytest.mark.parametrize("shown", [True, False, "only said"])
@pytest.mark.parametrize("remembered", [True, False])
def test_layer_is_mounted_only_for_who_has_it(shown, remembered):
    """Another registry that only names its digest gets nobody's layer, of this run or of an earlier one.

    Nor does one that says yes to whatever it is asked.
    """
    private, public = MemoryStore("target.test", "private"), MemoryStore("target.test", "public")
    public.neighbours["private"], private.neighbours["public"] = private, public
    honest, evil = MemoryStore("source.test").hold(IMAGE, "1"), MemoryStore("evil.test").hold(IMAGE, "1")
    if shown is not True:
        evil.blobs = {}
    if shown == "only said":
        evil.piece = lambda descriptor, start, length: bytes(length)  # type: ignore[method-assign]
    requests = [
        CopyRequest(honest, "1", (Destination(private, ("1",)),)),
        CopyRequest(evil, "1", (Destination(public, ("1",)),)),
    ]
    places = BlobPlaces()
    if remembered:
        private.hold(IMAGE)
        del requests[0]
        places.where = lambda registry, blob: "private"  # type: ignore[method-assign]
    items = copy_images(requests, Cancellation(), jobs=1, places=places).items
    result = items[-1]
    if shown is True:
        assert result.status == "copied"
        assert sum(item.blobs.mounted for item in items) == len(IMAGE.blobs)
    else:
        assert (result.status, result.error.code) == ("failed", "source-not-found")
        assert public.blobs == {}


def test_promotion_mounts():
    """Source and target in one registry: no blob is opened."""
    source, target = stores()
    target.registry = source.registry
    target.neighbours["app"] = source
    assert copy(source, target).blobs.mounted == len(INDEX.blobs)
    assert source.count("blob") == 0


def test_without_a_tag_only_the_digest_is_there():
    """A manifest-only import; a second one is unchanged only in what it moves."""
    source, target = stores()
    copy(source, target, tags=[])
    assert complete(target, INDEX.digest)
    assert target.tags == {}


def test_missing_source_is_its_fault():
    """Nothing is asked of the target but what the tag names."""
    source, target = stores()
    result = copy(source, target, tag="9")
    assert isinstance(result.error, NotFound)
    assert result.error.code == "source-not-found"
    assert result.status == "failed"


@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize("method", ["put_blob", "has_blob", "put_manifest", "tag"])
def test_failure_of_a_step_leaves_no_tag(method, jobs):
    """And the first error is reported."""
    source, target = stores()

    def fail(called: str, _: str) -> None:
        if called == method:
            raise Denied("target.test", origin="target")

    target.before = fail
    result = copy(source, target, jobs=jobs)
    assert (result.status, result.error.code) == ("failed", "target-denied")
    assert target.tags == {}


def test_target_that_says_it_has_what_it_has_not():
    """A manifest is refused because of a blob that was said to be there: brought once, then put again."""
    source, target = stores()
    target.phantoms = set(list(INDEX.blobs)[:2])
    assert copy(source, target).status == "copied"
    assert complete(target, INDEX.digest)


def test_target_that_keeps_refusing_ends():
    """Self-healing is tried once."""
    source, target = stores(IMAGE)

    def refuse(method: str, _: str) -> None:
        if method == "tag":
            raise BlobUnknown("target.test", origin="target")

    target.before = refuse
    assert copy(source, target).error.code == "target-blob-unknown"
    assert target.count("tag") == 2


@pytest.mark.parametrize("jobs", [1, 4])
def test_cancelled_in_the_middle(jobs):
    """No tag, and it is said."""
    source, target = stores()
    cancellation = Cancellation()
    target.before = lambda method, _: cancellation.cancel() if method == "put_blob" else None
    result = copy(source, target, jobs=jobs, cancellation=cancellation)
    assert (result.status, result.error.code) == ("cancelled", "cancelled")
    assert target.tags == {}


def test_what_was_written_before_an_interruption_is_known():
    """Of several tags some may be there; they are complete."""
    source, target = stores()
    cancellation = Cancellation()
    target.before = lambda method, what: cancellation.cancel() if (method, what) == ("tag", "b") else None
    result = copy(source, target, tags=["a", "b", "c"], cancellation=cancellation)
    assert result.status == "cancelled"
    assert set(result.written) == {f"new:{tag}" for tag in target.tags}
    assert complete(target, INDEX.digest)


def test_bugs_are_not_swallowed():
    """What is no EngineError is nobody's failure to report."""
    source, target = stores()

    def break_down(method: str, _: str) -> None:
        if method == "put_blob":
            raise ZeroDivisionError

    target.before = break_down
    with pytest.raises(ZeroDivisionError):
        copy(source, target)


@pytest.mark.parametrize("jobs", [1, 4])
def test_progress_ends_at_the_total(jobs):
    """Told in the calling thread; the last word is complete."""
    source, target = stores()
    heard = []
    copy(source, target, jobs=jobs, on_progress=lambda p: heard.append((p, threading.current_thread())))
    last, thread = heard[-1]
    assert thread is threading.main_thread()
    assert (last.bytes_done, last.bytes_total) == (INDEX.blob_bytes, INDEX.blob_bytes)
    assert last.blobs_done == last.blobs_total
    assert last.manifests_done == last.manifests_total == len(INDEX.manifests)
    assert (last.bytes_moved, last.ended, last.running) == (INDEX.blob_bytes, {"copied": 1}, 0)
    copy(source, target, jobs=jobs, on_progress=lambda p: heard.append((p, threading.current_thread())))
    last, _ = heard[-1]
    assert (last.bytes_moved, last.ended) == (0, {"unchanged": 1})


def test_survey_tallies_without_writing():
    """A dry run's numbers are those of the run."""
    source, target = stores()
    some = next(iter(INDEX.blobs))
    target.blobs[some] = INDEX.blobs[some]
    foreseen = planned(source, target)
    assert foreseen.status == "planned"
    assert {method for method, _ in target.calls} == {"find", "has_blob"}
    done = copy(source, target)
    assert (foreseen.blobs, foreseen.bytes, foreseen.manifests) == (done.blobs, done.bytes, done.manifests)


def test_survey_that_gets_no_answer_is_a_failure_of_its_image():
    """Not of the program."""
    source, target = stores()

    def busy(method: str, _: str) -> None:
        if method == "has_blob":
            raise ServerError("target.test", origin="target", status=503)

    target.before = busy
    result = planned(source, target)
    assert (result.status, result.error.code) == ("failed", "target-server-error")


def test_one_failed_request_leaves_the_others_alone():
    """Shared blobs move once, for whoever can be helped."""
    source, target = stores()
    source.hold(IMAGE, "2")
    requests = [CopyRequest(source, tag, (Destination(target, (tag,)),)) for tag in ("1", "missing", "2")]
    report = copy_images(requests, Cancellation(), jobs=4)
    assert [item.status for item in report.items] == ["copied", "failed", "copied"]
    assert target.tags == {"1": INDEX.digest, "2": IMAGE.digest}
    assert not report.ok


@pytest.mark.parametrize(
    ("limit", "value"), [("MAX_DEPTH", 1), ("MAX_MANIFESTS", 3), ("MAX_BYTES", 2000), ("MAX_DESCRIPTORS", 5)]
)
def test_images_beyond_every_measure_are_refused(monkeypatch, limit, value):
    """A source cannot keep us busy for ever."""
    monkeypatch.setattr(measure, limit, value)
    source, target = stores(images.index([("linux/amd64", INDEX)]))
    assert isinstance(copy(source, target).error, ManifestError)


def test_sizes_are_summed_before_anything_is_asked_for():
    """Three hundred children of four megabytes: only the index is read."""
    source, target = stores()
    entry = {"mediaType": images.OCI_MANIFEST, "size": 4 << 20}
    children = [{**entry, "digest": images.digest_of(b"%d" % number)} for number in range(300)]
    raw = json.dumps({"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": children}).encode()
    digest = images.digest_of(raw)
    source.manifests[digest], source.tags["1"] = (raw, images.OCI_INDEX), digest
    error = copy(source, target).error
    assert (error.code, "bytes in all" in str(error)) == ("source-manifest", True)
    assert not [what for method, what in source.calls if method == "manifest" and what != digest]


def test_source_that_is_busy_is_its_fault():
    """Also in the middle of the walk."""
    source, target = stores()

    def busy(method: str, _: str) -> None:
        if method == "manifest":
            raise ServerError("source.test", origin="source", status=503)

    source.before = busy
    assert copy(source, target).error.code == "source-server-error"


def test_foreign_layers_are_left_out_and_said():
    """As the peers do: registries do not hold them, and take the manifest without."""
    foreign = {"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "size": 5,
               "digest": images.digest_of(b"windows"), "urls": ["https://go.microsoft.com/layer"]}  # fmt: skip
    image = images.image("windows", docker=True, foreign=foreign)
    source, target = stores(image)
    result = copy(source, target)
    assert result.status == "copied"
    assert "foreign layer" in result.notices[0]
