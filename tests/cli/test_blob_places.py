# SPDX-License-Identifier: MIT
"""The file that says where blobs were: small, never in the way, and right when two write it."""

from __future__ import annotations

import json
import os
import threading

import pytest

from azext_acrimport.engine import Descriptor, Digest
from azext_acrimport.registries import blob_places
from azext_acrimport.registries.blob_places import NAME, WORTH_BYTES, RememberedPlaces

HOST = "myregistry.azurecr.io"
BLOBS = [Descriptor("x", Digest.of(bytes([n])), WORTH_BYTES) for n in range(6)]


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
    if os.name != "nt":
        assert (tmp_path / NAME).stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_oldest_entries_go(tmp_path, monkeypatch):
    """And one that is seen again is young."""
    monkeypatch.setattr(blob_places, "MAX_ENTRIES", 3)
    remember(tmp_path, "a", *BLOBS[:3])
    remember(tmp_path, "b", BLOBS[0])
    remember(tmp_path, "c", BLOBS[3])
    places = RememberedPlaces(str(tmp_path))
    assert [places.where(HOST, blob) for blob in BLOBS[:4]] == ["b", "", "a", "c"]


def test_two_at_once_lose_nothing(tmp_path):
    """Whoever saves last reads what the other one has written."""
    first, second = (RememberedPlaces(str(tmp_path)) for _ in range(2))
    assert first.where(HOST, BLOBS[0]) == second.where(HOST, BLOBS[0]) == ""
    first.holds(HOST, "one", BLOBS[0])
    second.holds(HOST, "two", BLOBS[1])
    first.save()
    second.save()
    places = RememberedPlaces(str(tmp_path))
    assert [places.where(HOST, blob) for blob in BLOBS[:2]] == ["one", "two"]


def test_two_that_write_at_the_same_moment_lose_nothing(tmp_path, monkeypatch):
    """The second one waits until the first has written what it had read before."""
    first, second = (RememberedPlaces(str(tmp_path)) for _ in range(2))
    first.holds(HOST, "one", BLOBS[0])
    second.holds(HOST, "two", BLOBS[1])
    other = threading.Thread(target=second.save)
    write = first._write

    def slowly(entries) -> None:
        other.start()
        other.join(0.2)  # all that it needs where it does not wait
        write(entries)

    monkeypatch.setattr(first, "_write", slowly)
    first.save()
    other.join()
    places = RememberedPlaces(str(tmp_path))
    assert [places.where(HOST, blob) for blob in BLOBS[:2]] == ["one", "two"]
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_lock_of_a_process_that_was_killed_is_not_for_ever(tmp_path):
    """It is as old as its owner's last breath."""
    lock = (tmp_path / NAME).with_suffix(".lock")
    lock.touch()
    os.utime(lock, (1, 1))
    remember(tmp_path, "app", BLOBS[0])
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"a": 1}', "[" * 100_000, "\x00"])
def test_file_that_is_damaged_is_made_anew(tmp_path, content):
    """Nobody hears of it."""
    (tmp_path / NAME).write_text(content)
    assert RememberedPlaces(str(tmp_path)).where(HOST, BLOBS[0]) == ""
    remember(tmp_path, "app", BLOBS[0])
    assert json.loads((tmp_path / NAME).read_text()) == {f"{HOST}/{BLOBS[0].digest}": "app"}


@pytest.mark.parametrize(
    "name",
    ["a:pull repository:secret", "a b", "../secret", "a?x=y", "A", "a:1", "a@sha256:" + "0" * 64, "/a", "a/", "a\r\nb"],
)
def test_name_that_is_none_is_not_used(tmp_path, name):
    """It would become part of a scope and of a URL."""
    (tmp_path / NAME).write_text(json.dumps({f"{HOST}/{BLOBS[0].digest}": name}))
    assert RememberedPlaces(str(tmp_path)).where(HOST, BLOBS[0]) == ""


def test_folder_that_is_not_there_is_no_failure(tmp_path):
    """Nothing is remembered then."""
    remember(tmp_path / "none", "app", BLOBS[0])
    assert RememberedPlaces(str(tmp_path / "none")).where(HOST, BLOBS[0]) == ""
