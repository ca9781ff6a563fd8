# SPDX-License-Identifier: MIT
"""Only some platforms: which children stay, what the index looks like then, and what it is called."""

from __future__ import annotations

import json

import pytest

from azext_acrimport.engine import Digest, NoMatchingPlatform, Platform
from azext_acrimport.engine.copy import platforms
from tests.sandbox import images
from tests.support.stores import MemoryStore, complete, copy

PLATFORMS = ("linux/amd64", "linux/arm/v5", "linux/arm/v7", "linux/arm64/v8", "linux/386")
WINDOWS = ("windows/amd64:10.0.17763.6532", "windows/amd64:10.0.20348.2700")


def built(*platforms: str, **members: object) -> images.Artifact:
    """An index with one image for each."""
    return images.index([(p, images.image(p, platform=p)) for p in platforms], **members)


def reduced(artifact: images.Artifact, *wanted: str, **more: object) -> tuple[MemoryStore, object]:
    """Copied with only these platforms: the target, and the result."""
    source, target = MemoryStore("source.test").hold(artifact, "1"), more.pop("target", None)
    target = target or MemoryStore("target.test", "new")
    return target, copy(source, target, platforms=tuple(map(Platform.parse, wanted)), **more)


def entries(store: MemoryStore, tag: str = "1") -> list[dict[str, object]]:
    """The children that the index under the tag names."""
    return json.loads(store.manifests[store.tags[tag]][0])["manifests"]


def names(store: MemoryStore) -> list[str]:
    """Their platforms."""
    return ["/".join(entry["platform"][part] for part in ("os", "architecture", "variant") if part in entry["platform"])
            for entry in entries(store)]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (["linux/amd64"], ["linux/amd64"]),
        (["linux/amd64/v1"], ["linux/amd64"]),
        (["LINUX/x86_64"], ["linux/amd64"]),
        (["linux/arm/v7"], ["linux/arm/v7"]),
        (["linux/armhf"], ["linux/arm/v7"]),
        (["linux/arm"], ["linux/arm/v5", "linux/arm/v7"]),
        (["linux/arm64"], ["linux/arm64/v8"]),
        (["linux/arm64/v8", "linux/amd64"], ["linux/amd64", "linux/arm64/v8"]),
    ],
)
def test_children_stay_in_their_order(wanted, left):
    """A variant that is not named may be any; arm64 and arm64/v8 are the same."""
    target, result = reduced(built(*PLATFORMS), *wanted)
    assert names(target) == left
    assert complete(target, target.tags["1"])
    assert result.manifests == len(left) + 1
    assert len(target.blobs) == 3 * len(left)


def test_unnamed_variant_of_the_image_is_the_usual_one():
    """The other way round."""
    target, _ = reduced(built("linux/amd64", "linux/arm64"), "linux/arm64/v8")
    assert names(target) == ["linux/arm64"]


@pytest.mark.parametrize(("wanted", "count"), [("windows/amd64", 2), (WINDOWS[0], 1), ("windows/amd64:10.0.20348", 1)])
def test_windows_has_versions(wanted, count):
    """Named in full, by their first parts, or not at all."""
    target, _ = reduced(built(*WINDOWS, "linux/amd64"), wanted)
    assert len(entries(target)) == count


def test_each_index_is_read_once_however_many_name_it():
    """Four levels, each of which names the next one thirty times."""
    whole = built("linux/amd64", "linux/arm64")
    source = MemoryStore("source.test").hold(whole)
    named = whole.descriptor()
    for _ in range(4):
        raw = json.dumps({"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": [named] * 30}).encode()
        named = {"mediaType": images.OCI_INDEX, "digest": images.digest_of(raw), "size": len(raw)}
        source.manifests[named["digest"]] = raw, images.OCI_INDEX
    source.tags["1"] = named["digest"]
    target = MemoryStore("target.test", "new")
    result = copy(source, target, platforms=(Platform.parse("linux/amd64"),))
    assert result.status == "copied"
    assert source.count("manifest") <= 5 + 1


def test_indexes_beyond_every_measure_are_refused(monkeypatch):
    """By what their descriptors say, before they are asked for."""
    monkeypatch.setattr(platforms, "MAX_INDEXES_BYTES", 1000)
    source = MemoryStore("source.test").hold(images.index([("linux/amd64", built(*PLATFORMS))]), "1")
    result = copy(source, MemoryStore("target.test", "new"), platforms=(Platform.parse("linux/386"),))
    assert result.error.code == "source-manifest"
    assert source.count("manifest") == 1


def test_index_keeps_all_but_children():
    """Media type, annotations, members that we do not know; the same bytes every time."""
    artifact = built(*PLATFORMS, docker=True, annotations={"a": "\u00fc"}, unknown={"b": [1, None]})
    digests = set()
    for _ in range(2):
        target, result = reduced(artifact, "linux/amd64")
        raw, media_type = target.manifests[target.tags["1"]]
        body = json.loads(raw)
        assert media_type == body["mediaType"] == images.DOCKER_LIST
        assert (body["annotations"], body["unknown"]) == ({"a": "\u00fc"}, {"b": [1, None]})
        assert body["manifests"] == [json.loads(artifact.raw)["manifests"][0]]
        assert (result.source_digest, result.digest) == (Digest.parse(artifact.digest), Digest.of(raw))
        assert str(result.digest) in result.notices[0]
        digests.add(result.digest)
    assert len(digests) == 1


def test_attestations_follow_what_they_attest():
    """And only that."""
    artifact = built(*PLATFORMS, attestations=True)
    target, _ = reduced(artifact, "linux/arm/v7")
    image, attestation = entries(target)
    assert attestation["annotations"]["vnd.docker.reference.digest"] == image["digest"]
    assert len(target.manifests) == 3


def test_all_platforms_keep_the_digest():
    """Nothing has to go, so nothing is written anew."""
    artifact = built(*PLATFORMS, attestations=True)
    target, result = reduced(artifact, *PLATFORMS)
    assert target.tags["1"] == artifact.digest == str(result.source_digest) == str(result.digest)
    assert result.notices == ()


def test_nested_index_is_reduced_too():
    """An index that is left without a child goes."""
    inner, other = built("linux/amd64", "linux/s390x"), built("linux/386")
    outer = images.index([("linux/amd64", inner), ("linux/386", other)])
    target, _ = reduced(outer, "linux/s390x")
    (entry,) = entries(target)
    nested = json.loads(target.manifests[entry["digest"]][0])["manifests"]
    assert [child["platform"]["architecture"] for child in nested] == ["s390x"]
    assert complete(target, target.tags["1"])


def test_second_run_is_unchanged():
    """The smaller index is known by the digest that it will have."""
    target, _ = reduced(built(*PLATFORMS), "linux/amd64")
    writes = len(target.calls)
    _, result = reduced(built(*PLATFORMS), "linux/amd64", target=target)
    assert result.status == "unchanged"
    assert {method for method, _ in target.calls[writes:]} == {"find"}


@pytest.mark.parametrize("artifact", [built(*PLATFORMS), built("linux/amd64", attestations=True)])
def test_platform_that_is_not_there(artifact):
    """All that is asked for must be there; what is there is listed, and nothing is written."""
    target, result = reduced(artifact, "linux/amd64", "linux/s390x")
    assert isinstance(result.error, NoMatchingPlatform)
    assert result.error.code == "source-no-matching-platform"
    assert "linux/amd64" in result.error.message and "unknown" not in result.error.message
    assert target.tags == {}


@pytest.mark.parametrize(("wanted", "status"), [("linux/arm64", "copied"), ("linux/amd64", "failed")])
def test_single_image_is_checked_by_its_config(wanted, status):
    """Its digest stays."""
    image = images.image("single", platform="linux/arm64/v8")
    target, result = reduced(image, wanted)
    assert (result.status, target.tags.get("1")) == (status, image.digest if status == "copied" else None)


def test_artifact_has_no_platform():
    """A chart or an SBOM is for none."""
    _, result = reduced(images.artifact("sbom"), "linux/amd64")
    assert result.error.available == ()


@pytest.mark.parametrize("text", ["linux", "linux/", "/amd64", "linux/amd64/v1/x", "linux amd64", ""])
def test_what_is_no_platform(text):
    """Is said before anything is asked."""
    with pytest.raises(ValueError, match="not a platform"):
        Platform.parse(text)


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm/v7", "windows/amd64:10.0.20348"])
def test_platform_is_written_as_it_is_read(text):
    """For messages, and to be read again."""
    assert str(Platform.parse(text)) == text
