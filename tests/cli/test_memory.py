# SPDX-License-Identifier: MIT
"""The files by which one az leaves something to the next: small, never in the way, and right when two write them."""

from __future__ import annotations

import json
import os
import threading

import pytest

from azext_acrimport.registries import memory
from azext_acrimport.registries.hints import NAME, RememberedHints, hints_for
from azext_acrimport.registries.memory import Memory

FILE = "acrimport-some.json"
HOST = "registry-1.docker.io"
REALM = "https://auth.docker.io/token", "registry.docker.io"


def opened(folder, most: int = 100) -> Memory:
    """As one run of az has it."""
    return Memory(str(folder), FILE, most)


def remember(folder, most: int = 100, **entries: str) -> None:
    """One run of az, to its end."""
    run = opened(folder, most)
    for name, text in entries.items():
        run.put(name, text)
    run.save()


def test_next_process_knows(tmp_path):
    """And nobody else on the machine."""
    remember(tmp_path, a="old", b="gone")
    remember(tmp_path, a="new", b="")
    assert json.loads((tmp_path / FILE).read_text()) == {"a": "new"}
    assert [opened(tmp_path).get(name) for name in "abc"] == ["new", "", ""]
    if os.name != "nt":
        assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_nothing_new_writes_nothing(tmp_path):
    """Most runs."""
    remember(tmp_path)
    remember(tmp_path, a="")
    assert list(tmp_path.iterdir()) == []
    remember(tmp_path, a="1")
    before = (tmp_path / FILE).stat()
    remember(tmp_path, a="1")
    assert (tmp_path / FILE).stat().st_ino == before.st_ino


def test_oldest_entries_go(tmp_path):
    """And one that is written again is young."""
    remember(tmp_path, 3, a="1", b="1", c="1")
    remember(tmp_path, 3, a="2")
    remember(tmp_path, 3, d="1")
    assert json.loads((tmp_path / FILE).read_text()) == {"c": "1", "a": "2", "d": "1"}


def test_two_at_once_lose_nothing(tmp_path):
    """Whoever saves last reads what the other one has written."""
    first, second = opened(tmp_path), opened(tmp_path)
    assert first.get("a") == second.get("a") == ""
    first.put("a", "1")
    second.put("b", "2")
    first.save()
    second.save()
    assert json.loads((tmp_path / FILE).read_text()) == {"a": "1", "b": "2"}


def test_two_that_write_at_the_same_moment_lose_nothing(tmp_path, monkeypatch):
    """The second one waits until the first has written what it had read before."""
    first, second = opened(tmp_path), opened(tmp_path)
    first.put("a", "1")
    second.put("b", "2")
    other = threading.Thread(target=second.save)
    write = first._write

    def slowly(entries) -> None:
        other.start()
        other.join(0.2)  # all that it needs where it does not wait
        write(entries)

    monkeypatch.setattr(first, "_write", slowly)
    first.save()
    other.join()
    assert json.loads((tmp_path / FILE).read_text()) == {"a": "1", "b": "2"}
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_lock_of_a_process_that_was_killed_is_not_for_ever(tmp_path):
    """It is as old as its owner's last breath."""
    lock = (tmp_path / FILE).with_suffix(".lock")
    lock.touch()
    os.utime(lock, (1, 1))
    remember(tmp_path, a="1")
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"a": 1}', b'{"a": "1", "b": null}', b"[" * 100_000, b"\x00", b'{"a": "\xff"}'],
)
def test_file_that_is_damaged_is_made_anew(tmp_path, content):
    """Nobody hears of it, and nothing of it is used."""
    (tmp_path / FILE).write_bytes(content)
    assert opened(tmp_path).get("a") == ""
    remember(tmp_path, b="2")
    assert json.loads((tmp_path / FILE).read_text()) == {"b": "2"}


def test_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    """We write none of that size, nor an entry that nobody has."""
    monkeypatch.setattr(memory, "MAX_ENTRY", 20)
    (tmp_path / FILE).write_text(json.dumps({"a": "1" * 33}))
    assert opened(tmp_path, 2).get("a") == ""
    remember(tmp_path, 2, a="1" * 11, b="2" * 11, c="3" * 12)
    assert [opened(tmp_path, 2).get(name) for name in "abc"] == ["1" * 11, "2" * 11, ""]


def test_folder_that_is_not_there_is_no_failure(tmp_path):
    """Nothing is remembered then."""
    remember(tmp_path / "none", a="1")
    assert opened(tmp_path / "none").get("a") == ""


def test_where_tokens_are_fetched_is_left_to_the_next(tmp_path):
    """With the name of the registry there, which may be empty; what was of no use is forgotten."""
    first = RememberedHints(str(tmp_path))
    first.learned_token_service(HOST, *REALM)
    first.learned_token_service("other.test", "https://other.test/token", "")
    first.save()
    second = RememberedHints(str(tmp_path))
    assert (second.token_service(HOST), second.token_service("other.test")) == (REALM, ("https://other.test/token", ""))
    assert second.token_service("third.test") is None
    second.forget_token_service(HOST)
    second.save()
    assert RememberedHints(str(tmp_path)).token_service(HOST) is None


def test_where_blobs_come_from_is_left_to_the_next(tmp_path):
    """Beside where tokens are fetched."""
    first = RememberedHints(str(tmp_path))
    first.learned_token_service(HOST, *REALM)
    first.learned_storage(HOST, "https://storage.test")
    first.learned_storage("other.test", "")
    first.save()
    second = RememberedHints(str(tmp_path))
    assert (second.storage(HOST), second.storage("other.test"), second.token_service(HOST)) == (
        "https://storage.test",
        "",
        REALM,
    )
    second.learned_storage(HOST, "")
    second.save()
    third = RememberedHints(str(tmp_path))
    assert (third.storage(HOST), third.token_service(HOST)) == ("", REALM)


def test_what_is_no_entry_is_none(tmp_path):
    """Anybody may have written it."""
    (tmp_path / NAME).write_text(json.dumps({HOST: REALM[0]}))
    assert RememberedHints(str(tmp_path)).token_service(HOST) is None


@pytest.mark.parametrize("jobs", [None, 1, 8])
def test_one_job_begins_nothing_before_its_time(cli_ctx, tmp_path, monkeypatch, jobs):
    """It neither has what others left nor leaves anything: what it asks is the same each time."""
    monkeypatch.setattr(cli_ctx.config, "config_dir", str(tmp_path))
    with hints_for(cli_ctx, jobs) as hints:
        hints.learned_token_service(HOST, *REALM)
    with hints_for(cli_ctx, jobs) as hints:
        assert hints.token_service(HOST) == (None if jobs == 1 else REALM)
