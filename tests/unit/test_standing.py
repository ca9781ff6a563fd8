# SPDX-License-Identifier: MIT
"""What many tags of one target name: from its list where there is one, else one by one, and never guessed."""

from __future__ import annotations

import time

import pytest

from azext_acrimport.engine import Cancellation, CopyRequest, Destination, Digest, ServerError, TagPage, copy_images
from azext_acrimport.engine.copy import standing
from tests.sandbox import images
from tests.support.stores import MemoryStore

MANY = [f"v{number:03}" for number in range(30)]
IMAGE, OTHER = images.image("image"), images.image("other")


def places(held: list[str], *pages: list[str], tags: list[str] = MANY) -> tuple[MemoryStore, MemoryStore]:
    """A source with these tags, and a target that has some of them, and lists them on so many pages."""
    target = MemoryStore("target.test")
    if held:
        target.hold(IMAGE, *held)
    last = len(pages) - 1
    named = [{tag: Digest.parse(target.tags[tag]) for tag in page} for page in pages]
    target.pages = [TagPage(page, "" if at == last else str(at + 1)) for at, page in enumerate(named)]
    return MemoryStore("source.test").hold(IMAGE, *tags), target


def run(source: MemoryStore, target: MemoryStore, *, jobs: int | None = 4, tags: list[str] = MANY) -> list[str]:
    """The status of each, in order."""
    requests = [CopyRequest(source, tag, (Destination(target, (tag,)),)) for tag in tags]
    return [item.status for item in copy_images(requests, Cancellation(), jobs=jobs).items]


@pytest.mark.parametrize("jobs", [1, 4, None])
def test_unchanged_tags_are_read_from_the_list(jobs):
    """But for the first one, by which we are let in; the source is asked for each."""
    source, target = places(MANY, MANY[:20], MANY[20:])
    assert run(source, target, jobs=jobs) == ["unchanged"] * 30
    assert (target.count("find"), target.count("tag_page"), source.count("resolve")) == (1, 2, 30)


def test_tag_that_is_not_listed_is_asked_for():
    """It may be hidden: what it names is not overwritten, and nothing moves for it."""
    hidden = MANY[7]
    source, target = places(MANY, [tag for tag in MANY if tag != hidden])
    target.hold(OTHER, hidden)
    assert run(source, target) == ["failed" if tag == hidden else "unchanged" for tag in MANY]
    assert (target.count("find"), target.count("put_blob"), target.tags[hidden]) == (2, 0, OTHER.digest)


def test_tags_of_a_repository_that_is_not_there_are_not_asked_for():
    """Each is looked at once, just before it is written; who has made one meanwhile keeps it."""
    source, target = places([])
    target.pages = [TagPage({}, "", is_new=True)]
    target.before = lambda method, what: target.hold(OTHER, MANY[7]) if method == "put_blob" else None
    assert run(source, target) == ["failed" if tag == MANY[7] else "copied" for tag in MANY]
    assert target.count("find") == 1 + 30
    assert target.tags == dict.fromkeys(MANY, IMAGE.digest) | {MANY[7]: OTHER.digest}


def test_list_that_is_not_worth_it_is_not_read_on():
    """Where most of a page is of no use, each tag is asked for."""
    strangers = [f"x{number}" for number in range(60)]
    source, target = places([*strangers, *MANY], strangers[:30], [*strangers[30:], *MANY])
    assert run(source, target) == ["unchanged"] * 30
    assert (target.count("tag_page"), target.count("find")) == (1, 30)


def test_few_tags_are_asked_for_one_by_one():
    """As many as a page is worth it is read for; one less not."""
    for count, pages in ((9, 0), (10, 1)):
        tags = MANY[:count]
        source, target = places(tags, tags, tags=tags)
        assert run(source, target, tags=tags) == ["unchanged"] * count
        assert target.count("tag_page") == pages


@pytest.mark.parametrize("fails", ["tag_page", "find"])
def test_failure_is_nobodys_but_of_who_asks(fails):
    """A list that fails is no failure of a tag; a tag that fails is none of the others."""
    source, target = places(MANY, MANY)
    left = [ServerError("target.test", origin="target", method="GET", path="/", status=500)] * 4

    def before(method: str, what: str) -> None:
        if method == fails and left:
            raise left.pop()

    target.before = before
    assert run(source, target) == ["unchanged"] * 30


def test_old_list_is_not_believed(monkeypatch):
    """Others write tags, too."""
    monkeypatch.setattr(standing, "BELIEVED", 0.0)
    source, target = places(MANY, MANY)
    assert run(source, target) == ["unchanged"] * 30
    assert target.count("find") == 30


@pytest.mark.parametrize("is_new", [True, False])
def test_parts_are_not_looked_for_in_a_repository_that_is_new(is_new):
    """Once it has told so, which is waited for; where nothing tells, each is looked for."""
    index = images.index([("linux/amd64", IMAGE), ("linux/arm64", OTHER)])
    source, target = MemoryStore("source.test").hold(index, "v1"), MemoryStore("target.test")
    target.tells_locks = True

    def tell(called: str, what: str) -> None:
        if called == "look_at_locks":
            time.sleep(0.1)
            target.is_new = is_new

    target.before = tell
    assert run(source, target, tags=["v1"]) == ["copied"]
    looks = [what for called, what in target.calls if called == "find"]
    assert (looks[0], looks[-1]) == ("v1", "v1")
    assert set(looks[1:-1]) == (set() if is_new else {index.digest, IMAGE.digest, OTHER.digest})


def test_locks_are_looked_at_while_the_source_is_asked():
    """Of a repository for which something is new: once, whatever the number of images; and not where nothing is."""
    source, target = places([])
    target.tells_locks = True
    assert run(source, target) == ["copied"] * 30
    assert target.count("look_at_locks") == 1
    target.calls.clear()
    assert run(source, target) == ["unchanged"] * 30
    assert target.count("look_at_locks") == 0
