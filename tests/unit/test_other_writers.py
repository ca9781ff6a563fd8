# SPDX-License-Identifier: MIT
"""Somebody else writes while we do: what they have written is not taken from them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from azext_acrimport.engine import (
    Body,
    Cancellation,
    CopyRequest,
    Descriptor,
    Destination,
    Digest,
    NetworkError,
    TagConflict,
    copy_images,
)
from azext_acrimport.engine.copy import tags
from tests.sandbox import images
from tests.support.stores import MemoryStore, complete, copy
from tests.support.until import until

IMAGE, THEIRS, OLD = (images.image(name) for name in ("ours", "theirs", "old"))
INDEX = images.index([("linux/amd64", IMAGE), ("linux/arm64", OLD)])


def stores(old: images.Artifact | None = None) -> tuple[MemoryStore, MemoryStore]:
    """A source that has the image under the tag 1, and a target whose tag names another one, or nothing."""
    target = MemoryStore("target.test")
    return MemoryStore("source.test").hold(IMAGE, "1"), target.hold(old, "1") if old else target


def meanwhile(store: MemoryStore, method: str, write: Callable[[], object]) -> None:
    """Once, when this is called, somebody does that."""
    left = [write]
    store.before = lambda called, what: left.pop()() if called == method and left else None


@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize("old", [None, OLD], ids=["free", "taken"])
def test_tag_that_somebody_wrote_meanwhile_is_a_conflict(jobs, old):
    """As it would have been at the start: while the blobs are on their way. By force it moves, and it is said whose."""
    source, target = stores(old)
    meanwhile(target, "put_blob", lambda: target.hold(THEIRS, "1"))
    result = copy(source, target, jobs=jobs, force=old is not None)
    if old:
        assert (result.status, target.tags["1"]) == ("updated", IMAGE.digest)
        assert str(result.changes[0].before) == THEIRS.digest
    else:
        assert isinstance(result.error, TagConflict)
        assert (result.error.existing, result.error.wanted) == (THEIRS.digest, IMAGE.digest)
        assert (target.tags["1"], result.written) == (THEIRS.digest, ())


def test_tag_that_somebody_made_name_the_same_is_as_wanted():
    """Nothing is written over it."""
    source, target = stores()
    meanwhile(target, "put_blob", lambda: target.hold(IMAGE, "1"))
    result = copy(source, target)
    assert (result.status, result.written, target.count("tag")) == ("copied", ("app:1",), 0)


def test_tag_is_looked_at_again_when_what_was_missing_has_been_brought():
    """That may take as long as the import itself."""
    source, target = stores()
    target.phantoms = set(IMAGE.blobs)
    meanwhile(target, "put_blob", lambda: target.hold(THEIRS, "1"))
    assert copy(source, target).error.code == "target-tag-conflict"
    assert target.tags["1"] == THEIRS.digest


@pytest.mark.parametrize("jobs", [1, 4])
def test_of_two_imports_to_one_tag_the_second_is_a_conflict(jobs):
    """Both have found it free. With force the tag names one of them, complete."""
    both = [MemoryStore(f"{name}.test").hold(image, "1") for name, image in (("one", IMAGE), ("two", THEIRS))]
    for force in (False, True):
        target = MemoryStore("target.test")
        requests = [CopyRequest(source, "1", (Destination(target, ("1",)),), force) for source in both]
        report = copy_images(requests, Cancellation(), jobs=jobs)
        assert complete(target, target.tags["1"])
        if force:
            assert report.ok
        else:
            assert sorted(item.status for item in report.items) == ["copied", "failed"]
            failed = next(item for item in report.items if item.error)
            assert failed.error.code == "target-tag-conflict"
            assert str(failed.error.existing) == target.tags["1"]


class Unhurried(MemoryStore):
    """It says that it has the last of what is put when the image's tag has been looked at for the second time."""

    def __init__(self, last: str) -> None:
        super().__init__("target.test")
        self.last = last
        self.looks = 0

    def find(self, identifier: str) -> Descriptor | None:
        """As ``Target.find``."""
        found = super().find(identifier)
        self.looks += identifier == "1"
        return found

    def put_blob(self, descriptor: Descriptor, body: Body) -> None:
        """As ``Target.put_blob``."""
        super().put_blob(descriptor, body)
        self._wait("blob")

    def put_manifest(self, digest: Digest, media_type: str, raw: bytes) -> None:
        """As ``Target.put_manifest``."""
        super().put_manifest(digest, media_type, raw)
        self._wait("manifest")

    def _wait(self, put: str) -> None:
        if put == self.last:
            until(lambda: self.looks == 2)


class TestLastLook:
    """A tag is looked at while the last of its image is on its way: no round trip is spent on that alone."""

    @pytest.mark.parametrize(("image", "last"), [(IMAGE, "blob"), (INDEX, "manifest")], ids=["image", "index"])
    def test_is_had_by_the_time_that_the_tag_is_written(self, image, last):
        """Nobody asks a third time; with one job, where nothing is at the same time, it comes after the last of it."""
        source, target = MemoryStore("source.test").hold(image, "1"), Unhurried(last)
        assert copy(source, target, jobs=8).status == "copied"
        assert (target.looks, target.calls[-1]) == (2, ("tag", "1"))
        target = MemoryStore("target.test")
        assert copy(source, target, jobs=1).status == "copied"
        assert target.calls[-2:] == [("find", "1"), ("tag", "1")]

    def test_that_is_old_is_none(self, monkeypatch):
        """Somebody may have written the tag since."""
        monkeypatch.setattr(tags, "FRESH", 0.0)
        source, target = stores()[0], Unhurried("blob")
        target.before = lambda called, what: target.looks == 2 and target.hold(THEIRS, "1")
        assert isinstance(copy(source, target, jobs=8).error, TagConflict)
        assert (target.looks, target.tags["1"]) == (3, THEIRS.digest)

    def test_that_went_wrong_is_made_again(self):
        """It was too early to matter."""

        def cut(called: str, what: str) -> None:
            if called == "find" and target.looks == 1:
                target.looks = 2
                raise NetworkError("target.test", "reset", "the connection was cut", origin="target")

        source, target = stores()[0], Unhurried("blob")
        target.before = cut
        assert copy(source, target, jobs=8).status == "copied"
        assert (target.looks, target.count("find")) == (3, 3)

    def test_is_made_by_each_of_many_when_its_turn_has_come(self):
        """Others fill the wait, and a queue of theirs may stand between the look and the writing."""
        target = MemoryStore("target.test")
        requests = [CopyRequest(stores()[0], "1", (Destination(target, (tag,)),)) for tag in ("1", "2")]
        assert copy_images(requests, Cancellation(), jobs=8).ok
        for tag in ("1", "2"):
            assert [called for called, what in target.calls if what == tag] == ["find", "find", "tag"]


class TestCosignTags:
    """A tag under which cosign collects signatures."""

    TAG, OURS = images.cosign(IMAGE, ".sig", b"ours")
    MORE = images.cosign(IMAGE, ".sig", b"ours", b"theirs")[1]
    OTHER = images.cosign(IMAGE, ".sig", b"theirs")[1]

    def imported(self, added: images.Artifact, **wanted: object):
        """With a signature that somebody has added while the image's blobs came."""
        source, target = stores()
        source.hold(self.OURS, self.TAG)
        meanwhile(target, "put_blob", lambda: target.hold(added, self.TAG))
        return copy(source, target, referrers=True, **wanted), target

    def test_keeps_what_was_added(self):
        """It has ours, too."""
        result, target = self.imported(self.MORE)
        assert (result.status, target.tags[self.TAG]) == ("copied", self.MORE.digest)

    def test_is_a_conflict_when_each_has_its_own(self):
        """And the image's tag is not written; with force ours is what it names."""
        result, target = self.imported(self.OTHER)
        assert result.error.code == "target-tag-conflict"
        assert target.tags == {self.TAG: self.OTHER.digest}
        result, target = self.imported(self.OTHER, force=True)
        assert (result.status, target.tags[self.TAG]) == ("copied", self.OURS.digest)


def test_source_tag_that_moves_is_copied_as_it_was_found():
    """It is resolved once; everything after goes by that digest."""
    source, target = stores()
    meanwhile(target, "put_blob", lambda: source.hold(THEIRS, "1"))
    result = copy(source, target)
    assert (str(result.digest), target.tags["1"]) == (IMAGE.digest, IMAGE.digest)
    assert complete(target, IMAGE.digest)
