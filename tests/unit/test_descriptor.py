# SPDX-License-Identifier: MIT
"""Digests, platforms and descriptors: what a manifest may say of its parts."""

from __future__ import annotations

import hashlib

import pytest

from azext_acrimport.engine import Descriptor, Digest, ManifestError, Platform
from azext_acrimport.engine.content.descriptor import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_ARTIFACT,
    OCI_INDEX,
    OCI_MANIFEST,
    SCHEMA1,
)

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_digest_is_read_written_and_computed(algorithm):
    """In the algorithms that the specification registers."""
    digest = Digest.of(b"content", algorithm)
    assert str(digest) == f"{algorithm}:{hashlib.new(algorithm, b'content').hexdigest()}"
    assert Digest.parse(str(digest)) == digest
    hasher = digest.hasher()
    hasher.update(b"content")
    assert hasher.hexdigest() == digest.hex


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        HEX,
        f"sha256:{HEX[:-1]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX.upper()}",
        f"sha256:{HEX[:-1]}g",
        f"sha256:{HEX}\n",
        f" sha256:{HEX}",
        f"SHA256:{HEX}",
        f"sha512:{HEX}",
        f"md5:{HEX[:32]}",
        f"sha256:{HEX}/../../x",
    ],
)
def test_what_is_no_digest_is_refused(text):
    """It becomes part of URLs, so nothing else gets through."""
    with pytest.raises(ValueError, match=".+"):
        Digest.parse(text)


@pytest.mark.parametrize(
    ("platform", "text"),
    [
        (Platform("linux", "amd64", None), "linux/amd64"),
        (Platform("linux", "arm", "v7"), "linux/arm/v7"),
        (Platform("unknown", "unknown", None), "unknown/unknown"),
    ],
)
def test_platform_is_written_as_people_do(platform, text):
    """OS, architecture, variant."""
    assert str(platform) == text


@pytest.mark.parametrize(
    ("media_type", "index", "manifest", "foreign"),
    [
        (OCI_INDEX, True, True, False),
        (DOCKER_LIST, True, True, False),
        (OCI_MANIFEST, False, True, False),
        (DOCKER_MANIFEST, False, True, False),
        (OCI_ARTIFACT, False, True, False),
        (min(SCHEMA1), False, True, False),
        ("application/vnd.oci.image.layer.v1.tar+gzip", False, False, False),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", False, False, True),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", False, False, True),
        ("application/octet-stream", False, False, False),
    ],
)
def test_media_type_tells_what_it_is(media_type, index, manifest, foreign):
    """Where it is read and written, and whether registries hold it: a layer that is nowhere else, they do."""
    descriptor = Descriptor(media_type, Digest.of(b""), 0, urls=("https://x.y/z",))
    assert (descriptor.is_index, descriptor.is_manifest, descriptor.is_foreign) == (index, manifest, foreign)
    assert not Descriptor(media_type, Digest.of(b""), 0).is_foreign


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mediaType": None}, "mediaType"),
        ({"mediaType": 1}, "mediaType"),
        ({"digest": None}, "digest"),
        ({"digest": f"sha256:{HEX}0"}, "64 lower-case"),
        ({"size": None}, "size"),
        ({"size": "1"}, "size"),
        ({"size": 1.0}, "size"),
        ({"size": True}, "size"),
        ({"size": -1}, "size"),
        ({"size": 2**63}, "size"),
    ],
)
def test_required_members_are_required(change, said):
    """Of the right type, and within what the specification's int64 holds."""
    with pytest.raises(ManifestError, match=said):
        Descriptor.from_json({"mediaType": "a/b", "digest": f"sha256:{HEX}", "size": 1, **change})


@pytest.mark.parametrize("nonsense", [5, "x", [1], {"a": 1}, None, True])
def test_other_members_may_be_nonsense(nonsense):
    """They are for people; what cannot be read is left out."""
    members = dict.fromkeys(("platform", "artifactType", "annotations", "urls"), nonsense)
    descriptor = Descriptor.from_json({"mediaType": "a/b", "digest": f"sha256:{HEX}", "size": 2**63 - 1, **members})
    assert descriptor.size == 2**63 - 1
    assert all(isinstance(url, str) for url in descriptor.urls)
