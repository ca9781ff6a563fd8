# SPDX-License-Identifier: MIT
"""The engine as a program: one image, a list of images, and what its exit code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox import images
from tests.sandbox.registry import Registry
from tests.sandbox.server import Listener
from tests.sandbox.storage import Storage
from tests.support.content import tree

ROOT = Path(__file__).parent.parent.parent
INDEX = images.index([(p, images.image(f"program-{p}")) for p in ("linux/amd64", "linux/arm64/v8")])


@pytest.fixture
def places(tmp_path):
    """A registry with team/app:1 to 3, and an empty one; each with its address."""
    source, target = Registry(Storage(tmp_path / "source")), Registry(Storage(tmp_path / "target"))
    for number in (1, 2, 3):
        (INDEX if number == 1 else images.image(f"program-{number}")).push(source, "team/app", str(number))
    with Listener(source) as from_listener, Listener(target) as to_listener:
        yield source, target, from_listener.address, to_listener.address


def program(*words: str) -> subprocess.CompletedProcess[str]:
    """engine_copy.py with these words."""
    command = [sys.executable, str(ROOT / "benchmarks" / "engine_copy.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_one_image(places):
    """SRC DST."""
    source, target, here, there = places
    done = program(f"{here}/team/app:1", f"{there}/app:1", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    assert tree(target, "app", "1") == tree(source, "team/app", "1")


def test_list_of_images(places, tmp_path):
    """One that is not there fails alone, and fails the whole."""
    source, target, here, there = places
    lines = [f"{here}/team/app:{n} {there}/{n}/app:new" for n in (1, 2, 3)]
    listing = tmp_path / "list"
    listing.write_text("\n".join(["# all of them", *lines, ""]))
    done = program("--list", str(listing))
    assert done.returncode == 0, done.stderr
    assert "3 of 3" in done.stdout
    for number in (1, 2, 3):
        assert tree(target, f"{number}/app", "new") == tree(source, "team/app", str(number))
    listing.write_text(f"{here}/team/app:4 {there}/app:4\n{here}/team/app:2 {there}/app:2\n")
    done = program("--list", str(listing))
    assert done.returncode == 1
    assert "[source-not-found]" in done.stderr and "Traceback" not in done.stderr
    assert tree(target, "app", "2") == tree(source, "team/app", "2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one.test/a:1\n", "line 1: not SRC DST"),
        ("one.test/a:1 two.test/a:1\none.test/b:1 two.test/a:1\n", "line 2: two.test/a:1 is written by another line"),
        ("one.test/a:1 nowhere\n", "nowhere"),
        ("# nothing\n", "names no image"),
    ],
)
def test_list_that_makes_no_sense(tmp_path, text, said):
    """Wrong usage; nothing is asked of anybody."""
    listing = tmp_path / "list"
    listing.write_text(text)
    done = program("--list", str(listing))
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr


def test_neither_or_both():
    """SRC DST or --list."""
    assert program().returncode == program("one.test/a:1").returncode == 2
    assert program("one.test/a:1", "two.test/a:1", "--list", "x").returncode == 2
