# SPDX-License-Identifier: MIT
"""Somebody else writes while we do: what they have written is not taken from them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from azext_acrimport.engine import Cancellation, CopyRequest, Destination, TagConflict, copy_images
from tests.sandbox import images
from tests.support.stores import MemoryStore, complete, copy

IMAGE, THEIRS, OLD = (images.image(name) for name in ("ours", "theirs", "old"))


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
