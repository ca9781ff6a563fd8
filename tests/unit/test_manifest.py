# SPDX-License-Identifier: MIT
"""What manifests name, and what is no manifest."""

from __future__ import annotations

import json

import pytest

from azext_acrimport.engine import Descriptor, Digest, Manifest, ManifestError, UnsupportedManifest
from azext_acrimport.engine.content.descriptor import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from azext_acrimport.engine.content.manifest import MAX_MANIFEST_BYTES
from tests.sandbox import images


def parse(raw: bytes, media_type: str = "") -> Manifest:
    """As the engine does once the digest is verified."""
    return Manifest.parse(raw, media_type, Digest.of(raw))


def described(name: str, media_type: str = images.OCI_LAYER, **members: object) -> dict:
    """A descriptor."""
    return {"mediaType": media_type, "digest": str(Digest.of(name.encode())), "size": len(name), **members}


@pytest.mark.parametrize("docker", [False, True])
def test_image_names_config_and_layers(docker):
    """In both formats, in order, the config first."""
    image = images.image("x", docker=docker)
    manifest = parse(image.raw, image.media_type)
    assert {str(blob.digest) for blob in manifest.blobs} == set(image.blobs)
    assert manifest.blobs[0].media_type == (images.DOCKER_CONFIG if docker else images.OCI_CONFIG)
    assert manifest.manifests == ()
    assert manifest.raw == image.raw


@pytest.mark.parametrize("docker", [False, True])
def test_index_names_its_images_and_attestations(docker):
    """An attestation is a child like any other."""
    index = images.index([("linux/amd64", images.image("a"))], docker=docker, attestations=True)
    manifest = parse(index.raw, index.media_type)
    assert manifest.descriptor.is_index
    assert [str(child.platform) for child in manifest.manifests] == ["linux/amd64", "unknown/unknown"]


def test_same_digest_is_named_once():
    """Duplicate layers, and the same image under two platforms."""
    body = {"schemaVersion": 2, "layers": [described("a"), described("b"), described("a")]}
    assert len(parse(json.dumps(body).encode(), OCI_MANIFEST).blobs) == 2


def test_foreign_layers_are_kept_apart():
    """Registries do not hold them."""
    foreign = described("f", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", urls=["https://x.y/z"])
    body = {"schemaVersion": 2, "layers": [foreign, described("a")]}
    manifest = parse(json.dumps(body).encode(), DOCKER_MANIFEST)
    assert [d.urls for d in manifest.foreign] == [("https://x.y/z",)]
    assert len(manifest.blobs) == 1


def test_index_entry_of_unknown_type_is_a_blob():
    """What is not known to be a manifest is fetched where blobs are."""
    body = {
        "schemaVersion": 2,
        "manifests": [described("a", "application/vnd.other+json"), described("b", OCI_MANIFEST)],
    }
    manifest = parse(json.dumps(body).encode(), OCI_INDEX)
    assert (len(manifest.blobs), len(manifest.manifests)) == (1, 1)


@pytest.mark.parametrize(
    ("stated", "served", "members", "expected"),
    [
        (None, OCI_INDEX, {"manifests": []}, OCI_INDEX),
        (DOCKER_LIST, "application/json", {"manifests": []}, DOCKER_LIST),
        (OCI_MANIFEST, OCI_INDEX, {"layers": []}, OCI_MANIFEST),
        (None, "text/plain", {"manifests": []}, OCI_INDEX),
        (None, "", {"layers": []}, OCI_MANIFEST),
    ],
)
def test_media_type_is_the_bodys_own_then_the_served_one(stated, served, members, expected):
    """And where neither helps, the members tell."""
    body = {"schemaVersion": 2, **({"mediaType": stated} if stated else {}), **members}
    assert parse(json.dumps(body).encode(), served).descriptor.media_type == expected


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"[" * 100_000, "not JSON"),
        (b'{"layers": 1}', "'layers' is not a list"),
        (b'{"layers": [1]}', "not a JSON object"),
        (b'{"layers": [{"digest": "sha256:1", "size": 1}]}', "lacks its mediaType"),
        (b'{"layers": [{"mediaType": "a", "digest": "sha256:1", "size": 1}]}', "64 lower-case"),
        (b'{"layers": [{"mediaType": "a", "digest": "sha256:%s", "size": -1}]}' % (b"a" * 64), "lacks its size"),
        (b'{"layers": [{"mediaType": "a", "digest": "sha256:%s", "size": true}]}' % (b"a" * 64), "lacks its size"),
        (b" " * (MAX_MANIFEST_BYTES + 1), "larger than"),
        (b'{"layers": [' + b"[]," * 300_000 + b"1]}", "not JSON"),
        (b'{"x": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, "not JSON"),
    ],
    ids=range(13),
)
def test_what_is_no_manifest_is_refused(raw, said):
    """With the reason, and as a fault of the source."""
    with pytest.raises(ManifestError, match=said) as caught:
        parse(raw, OCI_MANIFEST)
    assert caught.value.code == "source-manifest"


def test_schema_1_is_refused_by_name():
    """A retired format has a remedy of its own."""
    with pytest.raises(UnsupportedManifest, match="schema 1"):
        parse(b'{"schemaVersion": 1, "fsLayers": []}', "application/json")


def test_descriptors_are_equal_by_type_digest_and_size():
    """What a platform is called does not make it other content."""
    plain = Descriptor.from_json(described("a"))
    assert plain == Descriptor.from_json(described("a", platform={"os": "linux", "architecture": "arm"}))
    assert plain != Descriptor.from_json(described("b"))
