# SPDX-License-Identifier: MIT
"""A small blob is asked for while the target is asked for the upload, and declined where it is not wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from azext_acrimport.engine import Reference
from azext_acrimport.engine.registry import download
from benchmarks.engine_copy import copy_all
from tests.sandbox import images
from tests.sandbox.registry import Registry
from tests.sandbox.server import Listener, Request, Response
from tests.sandbox.storage import Storage
from tests.support.content import tree

LAYERS = (300, 200_000)
IMAGE = images.image("early", LAYERS)
BLOBS = len(LAYERS) + 1


class Source:
    """A registry whose blobs are with a storage host.

    ``asked``: for which blobs it was; ``sent``: what the storage host was shown each time.
    """

    def __init__(self, folder) -> None:
        self.content = Registry(Storage(folder))
        IMAGE.push(self.content, "app", "1")
        self.asked: list[str] = []
        self.sent: list[str | None] = []
        self.before: Callable[[Request], Response | None] = lambda request: None
        self.there: Callable[[Request], Response | None] = lambda request: None
        self.storage = ""
        self.is_closed = False

    def registry(self, request: Request) -> Response:
        """The registry; where it is closed it wants a token, which it gives to everybody."""
        if request.path == "/token":
            return Response(200, {}, b'{"token": "canary"}')
        if self.is_closed and request.headers.get("Authorization") != "Bearer canary":
            return Response(401, {"WWW-Authenticate": 'Bearer realm="/token"'})
        if request.method != "GET" or "/blobs/" not in request.path:
            return self.content(request)
        self.asked.append(request.path)
        found = self.before(request)
        return found or Response(307, {"Location": f"http://{self.storage}{request.path}?sig={len(self.asked)}"})

    def blobs(self, request: Request) -> Response:
        """The storage host."""
        self.sent.append(request.headers.get("Authorization"))
        return self.there(request) or self.content(request)


@pytest.fixture
def world(tmp_path):
    """A source, a target that may be told to wait, and a function that imports to a tag, with so many jobs."""
    source, target = Source(tmp_path / "source"), Registry(Storage(tmp_path / "target"))
    before: list[Callable[[Request], None]] = []

    def waiting(request: Request) -> Response:
        for wait in before:
            wait(request)
        return target(request)

    with Listener(source.registry) as here, Listener(source.blobs) as storage, Listener(waiting) as there:
        source.storage = storage.address

        def imported(tag: str = "1", jobs: int = 8):
            pair = Reference.parse(f"{here.address}/app:1"), Reference.parse(f"{there.address}/app:{tag}")
            (result,) = copy_all([pair], jobs)
            assert result.error is None, result.error
            assert tree(target, "app", tag) == tree(source.content, "app", "1")
            return result

        yield source, before, imported


def opens(request: Request) -> bool:
    """Whether an upload is to be opened."""
    return request.method == "POST"


def test_both_sides_are_asked_at_once(world):
    """The target answers only when the source was asked, too; and each blob is asked for, and sent, once."""
    source, before, imported = world
    asked, seen = threading.Event(), []

    def wait(request: Request) -> None:
        if opens(request):
            asked.wait(30)
            seen.append(asked.is_set())

    source.before = lambda request: asked.set()
    before.append(wait)
    imported()
    assert seen == [True] * BLOBS
    assert (len(set(source.asked)), len(source.asked), len(source.sent)) == (BLOBS, BLOBS, BLOBS)


def test_with_one_job_one_thing_comes_after_the_other(world):
    """The upload is open before the source is asked; recordings replay."""
    source, before, imported = world
    order: list[str] = []
    source.before = lambda request: order.append("source")
    before.append(lambda request: order.append("target") if opens(request) else None)
    imported(jobs=1)
    assert order == ["target", "source"] * BLOBS


def test_what_is_there_is_declined(world):
    """Its storage is never asked; nor is the registry, where an upload has told that the repository has such blobs."""
    source, _, imported = world
    imported()
    source.asked.clear(), source.sent.clear()
    result = imported("2")
    assert result.blobs.existing == BLOBS
    assert len(source.asked) <= BLOBS and source.sent == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_answer_that_was_not_wanted_is_let_go(world, when, monkeypatch):
    """Whether it came before the target has told, or after; with its body, where the registry sends that itself."""
    source, before, imported = world
    imported()
    source.asked.clear()
    told, closed = threading.Event(), threading.Semaphore(0)
    close = download.BlobDownload.close

    def closing(self) -> None:
        close(self)
        assert self._response is None
        closed.release()

    monkeypatch.setattr(download.BlobDownload, "close", closing)
    counted = threading.Semaphore(0)

    def answer(request: Request) -> Response:
        if when == "after":
            assert told.wait(30)
        counted.release()
        return source.content(request)

    source.before = answer
    if when == "before":
        before.append(lambda request: opens(request) and counted.acquire(timeout=30) and None)
    assert imported("2").blobs.existing == BLOBS
    told.set()
    for _ in source.asked:
        assert closed.acquire(timeout=30)


@pytest.mark.parametrize("trouble", ["registry", "storage", "no address", "no content"])
def test_what_goes_wrong_before_it_is_wanted_is_nobodys_business(world, trouble):
    """It is asked for anew, as if it had not been asked for; a signed address may have ended meanwhile."""
    source, _, imported = world
    failed: set[str] = set()

    def once(answer: Response) -> Callable[[Request], Response | None]:
        def fail(request: Request) -> Response | None:
            if request.path in failed:
                return None
            failed.add(request.path)
            return answer

        return fail

    if trouble == "storage":
        source.there = once(Response(403))
    else:
        source.before = once(
            {
                "registry": Response(503),
                "no address": Response(307),
                "no content": Response(307, {"Location": "ftp://127.0.0.1/secret"}),
            }[trouble]
        )
    assert imported().blobs.copied == BLOBS
    assert len(source.asked) == 2 * BLOBS
    assert len(source.sent) == BLOBS * (2 if trouble == "storage" else 1)


def test_nothing_is_shown_to_the_storage_host(world):
    """A registry's token is for the registry alone."""
    source, _, imported = world
    source.is_closed = True
    imported()
    assert len(source.sent) == BLOBS and set(source.sent) == {None}
