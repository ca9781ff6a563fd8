# SPDX-License-Identifier: MIT
"""What is remembered of where blobs were. How the file is kept stands in ``test_memory``."""

from __future__ import annotations

import json

import pytest

from azext_acrimport.engine import Descriptor, Digest
from azext_acrimport.registries.blob_places import NAME, PLATFORMS, WORTH_BYTES, RememberedPlaces

HOST = "myregistry.azurecr.io"
BLOBS = [Descriptor("x", Digest.of(bytes([n])), WORTH_BYTES) for n in range(2)]


def remember(folder, repository: str, *blobs: Descriptor) -> None:
    """As one run of az does it."""
    places = RememberedPlaces(str(folder))
    for blob in blobs:
        places.holds(HOST, repository, blob)
    places.save()


def test_next_process_knows(tmp_path):
    """Of this registry, and of blobs that are worth it; the latest place counts."""
    small = Descriptor("x", BLOBS[1].digest, WORTH_BYTES - 1)
    remember(tmp_path, "old", BLOBS[0], small)
    remember(tmp_path, "app", BLOBS[0])
    places = RememberedPlaces(str(tmp_path))
    assert places.where(HOST, BLOBS[0]) == "app"
    assert places.where("other.azurecr.io", BLOBS[0]) == places.where(HOST, BLOBS[1]) == ""


def test_what_is_left_of_an_image_is_known_too(tmp_path):
    """For these platforms; a text that is no digest is none."""
    image, left = Digest.of(b"image"), Digest.of(b"left")
    places = RememberedPlaces(str(tmp_path))
    places.leaves(image, "linux/amd64", left)
    places.save()
    places = RememberedPlaces(str(tmp_path))
    assert (places.left_of(image, "linux/amd64"), places.left_of(image, "linux/arm64")) == (left, None)
    (tmp_path / PLATFORMS).write_text(json.dumps({f"{image} linux/arm64": "sha256:short"}))
    assert RememberedPlaces(str(tmp_path)).left_of(image, "linux/arm64") is None


@pytest.mark.parametrize(
    "name",
    ["a:pull repository:secret", "a b", "../secret", "a?x=y", "A", "a:1", "a@sha256:" + "0" * 64, "/a", "a/", "a\r\nb"],
)
def test_name_that_is_none_is_not_used(tmp_path, name):
    """It would become part of a scope and of a URL."""
    (tmp_path / NAME).write_text(json.dumps({f"{HOST}/{BLOBS[0].digest}": name}))
    assert RememberedPlaces(str(tmp_path)).where(HOST, BLOBS[0]) == ""
