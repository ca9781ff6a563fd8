# SPDX-License-Identifier: MIT
"""Signatures, SBOMs and attestations over stores in memory: what comes along, and what is asked for it."""

from __future__ import annotations

import dataclasses
import json
import threading

import pytest

from azext_acrimport.engine import (
    Cancellation,
    CopyRequest,
    Destination,
    Platform,
    RateLimited,
    ServerError,
    TagConflict,
    copy_images,
)
from azext_acrimport.engine.copy import referrers as attachments_module
from tests.sandbox import images
from tests.support.stores import MemoryStore, complete, copy, planned

CHILDREN = [(p, images.image(f"signed-{p}", platform=p)) for p in ("linux/amd64", "linux/arm64/v8")]
INDEX = images.index(CHILDREN, attestations=True)
CHILD = CHILDREN[1][1]


def referrer(subject: images.Artifact, seed: object = "sbom") -> images.Artifact:
    """An artifact that refers to it."""
    return images.artifact(f"{seed} of {subject.digest}", subject=subject.descriptor())


SBOM, SIGNATURE = referrer(INDEX), referrer(CHILD, "signature")
SBOM_SIGNATURE = referrer(SBOM, "signature")
COSIGNED = images.cosign(INDEX, ".sig", b"payload")
CHILD_COSIGNED = images.cosign(CHILD, ".att", b"attested")
ALL = (SBOM, SIGNATURE, SBOM_SIGNATURE, COSIGNED[1], CHILD_COSIGNED[1])


def stores() -> tuple[MemoryStore, MemoryStore]:
    """A source with all of it, and an empty target."""
    source = MemoryStore("source.test").hold(INDEX, "1")
    for artifact in (SBOM, SIGNATURE, SBOM_SIGNATURE):
        source.hold(artifact)
    for tag, artifact in (COSIGNED, CHILD_COSIGNED):
        source.hold(artifact, tag)
    return source, MemoryStore("target.test", "new")


def imported(source: MemoryStore, *targets: MemoryStore, **wanted: object):
    """Copied with its referrers."""
    return copy(source, *targets, referrers=True, **wanted)


def asked(store: MemoryStore, mark: int = 0) -> list[str]:
    """Which methods were called since."""
    return [method for method, _ in store.calls[mark:]]


@pytest.mark.parametrize("jobs", [1, 4])
def test_all_that_vouches_comes_along(jobs):
    """Of the index and of its images, by referrers and by cosign's tags, and what vouches for those."""
    source, target = stores()
    result = imported(source, target, jobs=jobs)
    assert (result.status, result.referrers, result.manifests) == ("copied", 5, 5)
    assert (target.manifests, target.tags, target.blobs) == (source.manifests, source.tags, source.blobs)


def test_tag_of_the_image_is_written_last():
    """Whoever waits for the tag finds all of it."""
    source, target = stores()
    result = imported(source, target)
    assert target.calls[-1] == ("tag", "1")
    assert result.written == ("new:1",)


def test_nothing_is_asked_when_nothing_is_wanted():
    """--referrers none."""
    source, target = stores()
    assert copy(source, target).referrers == 0
    assert "referrers" not in asked(source) and len(target.manifests) == len(INDEX.manifests)


def test_several_destinations_get_what_they_lack():
    """One has some of it already."""
    source, first = stores()
    imported(source, first)
    second = MemoryStore("target.test", "other")
    del first.manifests[SIGNATURE.digest]
    result = imported(source, first, second, tags=["2"])
    assert result.referrers == 5
    for target in (first, second):
        assert set(target.manifests) == set(source.manifests)
        assert target.tags[COSIGNED[0]] == COSIGNED[1].digest


def test_unchanged_image_is_asked_about_as_a_whole():
    """Its own referrers, not those of each platform; no manifest is read, nothing is written."""
    source, target = stores()
    imported(source, target)
    marks = len(source.calls), len(target.calls)
    result = imported(source, target)
    assert (result.status, result.referrers) == ("unchanged", 3)
    assert "manifest" not in asked(source, marks[0])
    assert ("referrers", CHILD.digest) not in source.calls[marks[0] :]
    assert set(asked(target, marks[1])) == {"find", "referrers"}


def test_unchanged_image_without_referrers_asks_its_source_only():
    """Four small questions there; the target hears one, about the tag."""
    source, target = MemoryStore("source.test").hold(INDEX, "1"), MemoryStore("target.test", "new")
    imported(source, target)
    marks = len(source.calls), len(target.calls)
    assert imported(source, target).status == "unchanged"
    assert asked(source, marks[0]) == ["resolve", "referrers", "find", "find", "find"]
    assert asked(target, marks[1]) == ["find"]


@pytest.mark.parametrize("late", [SBOM, images.artifact("late", subject=INDEX.descriptor())])
def test_unchanged_image_that_gained_a_signature_gets_it(late):
    """And then its platforms are looked at as well: it may have been imported without any."""
    source, target = stores()
    copy(source, target)
    source.hold(late)
    result = imported(source, target)
    assert result.status == "copied"
    assert set(target.manifests) == set(source.manifests)


def test_index_that_is_attached_to_an_unchanged_image_comes_with_its_children():
    """That the image is there says nothing of them."""
    parts = [("linux/amd64", images.artifact(f"part {number}")) for number in range(2)]
    attached = images.index(parts, subject=INDEX.descriptor())
    for jobs in (1, 4):
        source, target = stores()
        imported(source, target)
        source.hold(attached)
        assert imported(source, target, jobs=jobs).status == "copied"
        assert complete(target, attached.digest)


def test_index_that_is_called_an_image_keeps_its_platforms_signatures():
    """By the registry, when it is asked what the tag names; the manifest says what it is."""
    source, target = stores()
    copy(source, target)
    honest = source.resolve
    source.resolve = lambda tag: dataclasses.replace(honest(tag), media_type=images.OCI_MANIFEST)
    assert imported(source, target).status == "copied"
    assert SIGNATURE.digest in target.manifests and CHILD_COSIGNED[0] in target.tags


def test_force_looks_at_every_platform():
    """Where only a platform's image gained a signature."""
    source, target = MemoryStore("source.test").hold(INDEX, "1"), MemoryStore("target.test", "new")
    imported(source, target)
    source.hold(SIGNATURE)
    assert imported(source, target).status == "unchanged"
    assert imported(source, target, force=True).status == "copied"
    assert SIGNATURE.digest in target.manifests


def test_referrers_of_what_was_left_out_are_left_out():
    """With --platform: those of the other platforms, and of the index that is another one now."""
    source, target = stores()
    wanted = (Platform.parse("linux/arm64"),)
    result = imported(source, target, platforms=wanted)
    assert result.referrers == 2
    assert {SIGNATURE.digest, CHILD_COSIGNED[1].digest} < set(target.manifests)
    assert not {SBOM.digest, COSIGNED[1].digest} & set(target.manifests)
    assert imported(source, target, platforms=wanted).status == "unchanged"
    late = referrer(CHILD, "late")
    source.hold(late)
    assert imported(source, target, platforms=wanted).status == "copied"
    assert late.digest in target.manifests


@pytest.mark.parametrize("position", range(7))
@pytest.mark.parametrize("jobs", [1, 4])
def test_refusal_at_any_place_is_a_failure(position, jobs):
    """Never none: no manifest is written then. Blobs may be on their way, but for one job or a sum that may decide."""
    source, target = stores()
    count = iter(range(100))

    def limit(method: str, _: str) -> None:
        if method == "referrers" and next(count) >= position:
            raise RateLimited("source.test", origin="source", status=429)

    source.before = limit
    result = imported(source, target, jobs=jobs)
    assert (result.status, result.error.code) == ("failed", "source-rate-limited")
    assert target.tags == {} and target.manifests == {}
    assert jobs > 1 or target.blobs == {}
    count = iter(range(100))
    result = imported(source, other := MemoryStore("target.test", "other"), jobs=jobs, count_above=0)
    assert (result.status, other.blobs) == ("failed", {})


@pytest.mark.parametrize("agreed", [True, False])
def test_blobs_do_not_wait_for_what_vouches_for_the_image(agreed):
    """Its own are on their way before that is known, when somebody has agreed; all are counted once."""
    source, target = stores()
    arrived = threading.Event()

    def at_source(method: str, _: str) -> None:
        if method == "referrers" and agreed:
            assert arrived.wait(30)

    def at_target(method: str, _: str) -> None:
        if method == "put_blob":
            arrived.set()

    source.before, target.before = at_source, at_target
    result = imported(source, target, jobs=4, go_on=lambda planned: agreed)
    blobs = INDEX.blobs | {digest: raw for artifact in ALL for digest, raw in artifact.blobs.items()}
    assert (result.status, result.referrers) == ("copied" if agreed else "planned", len(ALL))
    assert (result.blobs.copied + result.blobs.existing, len(target.blobs)) == ((len(blobs),) * 2 if agreed else (0, 0))


def test_target_that_refuses_its_list_is_a_failure():
    """What it has must be known."""
    source, target = stores()

    def limit(method: str, _: str) -> None:
        if method == "referrers":
            raise RateLimited("target.test", origin="target", status=429)

    target.before = limit
    assert imported(source, target).error.code == "target-rate-limited"
    assert target.tags == {}


class TestCosignTags:
    """A tag that is named after an image, and names another manifest with each signature that is added."""

    MORE = images.cosign(INDEX, ".sig", b"payload", b"second")[1]
    OTHER = images.cosign(INDEX, ".sig", b"of somebody else")[1]

    def tagged(self, ours: images.Artifact, theirs: images.Artifact, **wanted: object):
        """Source and target have a signature each."""
        source = MemoryStore("source.test").hold(INDEX, "1").hold(ours, COSIGNED[0])
        target = MemoryStore("target.test", "new").hold(theirs, COSIGNED[0])
        return imported(source, target, **wanted), target.tags[COSIGNED[0]]

    def test_moves_when_nothing_is_lost(self):
        """The source has one more."""
        result, digest = self.tagged(self.MORE, COSIGNED[1])
        assert (result.status, digest) == ("copied", self.MORE.digest)

    def test_stays_when_it_has_more_already(self):
        """Signed once more at the target."""
        result, digest = self.tagged(COSIGNED[1], self.MORE)
        assert (result.status, digest) == ("copied", self.MORE.digest)

    def test_is_a_conflict_when_each_has_its_own(self):
        """Nothing is lost without --force."""
        result, digest = self.tagged(COSIGNED[1], self.OTHER)
        assert isinstance(result.error, TagConflict)
        assert digest == self.OTHER.digest
        result, digest = self.tagged(COSIGNED[1], self.OTHER, force=True)
        assert (result.status, digest) == ("copied", COSIGNED[1].digest)


def test_entry_that_refers_to_something_else_is_left_out():
    """A list may say what it likes; the manifest says to whom it refers."""
    source, target = stores()
    honest = source.referrers
    source.referrers = lambda subject: [*honest(subject), *honest(source_of(SBOM))]
    result = imported(source, target)
    assert result.status == "copied"
    assert complete(target, INDEX.digest)


def test_index_that_names_another_images_digest_attaches_nothing_to_it():
    """It was there before: by what is said at another source, nobody vouches for it here."""
    target = MemoryStore("target.test", "new").hold(CHILD, "theirs")
    evil = images.index([("linux/arm64/v8", CHILD), ("linux/386", images.image("evil"))])
    sbom, own = referrer(CHILD, "lie"), referrer(evil, "own")
    source = MemoryStore("evil.test").hold(evil, "1").hold(sbom).hold(referrer(sbom, "signed lie")).hold(own)
    tag, cosigned = images.cosign(CHILD, ".sig", b"lie")
    source.hold(cosigned, tag)
    result = imported(source, target)
    assert result.status == "copied"
    assert target.referrers(source_of(CHILD)) == target.referrers(source_of(sbom)) == []
    assert set(target.tags) == {"theirs", "1"}
    assert [found.digest for found in target.referrers(source_of(evil))] == [source_of(own)]
    assert "3 referrers of images" in result.notices[0]


def test_images_that_share_a_part_say_nothing_of_what_each_other_has_brought():
    """Two tags, one platform's image in both, with its signature: it is there once, and nothing is left out."""
    later = images.index([*CHILDREN[1:], ("linux/386", images.image("later"))])
    for jobs in (1, 8):
        source, target = stores()
        source.hold(later, "2")
        target.referrers = lambda subject: []  # its lists are not up to date within the moment
        requests = [
            CopyRequest(source, tag, (Destination(target, (tag,)),), referrers=True) for tag in ("1", "2", "1", "2")
        ]
        report = copy_images(requests, Cancellation(), jobs=jobs)
        assert report.ok and not any(item.notices for item in report.items)
        assert target.manifests == source.manifests


def test_part_that_refers_to_another_image_is_refused():
    """To put it would be to attach it; the image itself may refer to what it likes."""
    theirs = images.image("theirs")
    target = MemoryStore("target.test", "new").hold(theirs, "theirs")
    lie = referrer(theirs, "lie")
    raw = json.dumps({"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": [lie.descriptor()]}).encode()
    source = MemoryStore("evil.test").hold(lie, "lie")
    source.manifests[images.digest_of(raw)] = raw, images.OCI_INDEX
    source.tags["1"] = images.digest_of(raw)
    for wanted in (True, False):
        result = copy(source, target, referrers=wanted)
        assert (result.status, result.error.code) == ("failed", "source-manifest")
        assert target.referrers(source_of(theirs)) == []
    assert copy(source, target, tag="lie").status == "copied"


@pytest.mark.parametrize("jobs", [1, 4])
def test_interrupted_import_brings_the_rest_of_what_vouches(jobs):
    """What is there of an image has all that vouches for it, so the second run need not know of the first."""
    for step in range(1, 12):
        source, target = stores()
        count = iter(range(step))

        def fail(method: str, what: str, count=count) -> None:
            if method in ("put_manifest", "tag") and next(count, None) is None:
                raise ServerError("target.test", origin="target", status=500)

        target.before = fail
        imported(source, target, jobs=jobs)
        target.before = lambda method, what: None
        imported(source, target, jobs=jobs)
        assert (target.manifests, target.tags) == (source.manifests, source.tags)


def source_of(artifact: images.Artifact):
    """Its digest, as a value."""
    from azext_acrimport.engine import Digest

    return Digest.parse(artifact.digest)


def test_entry_that_is_not_there_is_left_out_and_said():
    """Whoever deleted it did not mend the list."""
    source, target = stores()
    honest = source.referrers
    gone = referrer(INDEX, "gone")
    from azext_acrimport.engine import Descriptor

    entry = Descriptor(gone.media_type, source_of(gone), len(gone.raw))
    twice = [entry, entry]  # and has written it twice
    source.referrers = lambda subject: [*honest(subject), *(twice if subject == source_of(INDEX) else [])]
    result = imported(source, target)
    assert (result.status, result.referrers) == ("copied", 5)
    assert any(gone.digest in notice for notice in result.notices)


def test_lists_that_lead_round_in_circles_end():
    """A lists B, B lists A: what is known is not asked about again."""
    source, target = stores()
    from azext_acrimport.engine import Descriptor

    both = [Descriptor(a.media_type, source_of(a), len(a.raw)) for a in (SBOM, SBOM_SIGNATURE, INDEX)]
    source.referrers = lambda subject: both
    assert imported(source, target).status == "copied"


@pytest.mark.parametrize(("limit", "value"), [("MAX_DEPTH", 1), ("MAX_ATTACHMENTS", 3)])
def test_more_than_any_real_image_has(monkeypatch, limit, value):
    """A source cannot keep us busy for ever."""
    monkeypatch.setattr(attachments_module, limit, value)
    source, target = stores()
    assert imported(source, target).error.code == "source-manifest"
    assert target.tags == {}


def test_dry_run_counts_them():
    """And writes nothing."""
    source, target = stores()
    foreseen = planned(source, target, referrers=True)
    done = imported(source, MemoryStore("target.test", "new"))
    assert (foreseen.status, foreseen.referrers, foreseen.blobs) == ("planned", 5, done.blobs)
    assert target.manifests == {}
