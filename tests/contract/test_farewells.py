# SPDX-License-Identifier: MIT
"""An import that ends leaves no upload open at the target, whatever ended it; and it takes no longer than it may."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from azext_acrimport.engine import (
    ANONYMOUS,
    Cancellation,
    CopyReport,
    CopyRequest,
    Destination,
    RegistryClient,
    RegistryRepository,
    RetryPolicy,
    Transport,
    TransportOptions,
    copy_images,
)
from azext_acrimport.engine.copy import driver as driver_module
from azext_acrimport.engine.registry import upload as upload_module
from tests.sandbox import images
from tests.sandbox.registry import Registry, failure
from tests.sandbox.server import Handler, Listener, Request, Response
from tests.sandbox.storage import Storage

LAYERS = [images.layer(f"farewell {number}", 900) for number in range(4)]
HELD = [images.digest_of(layer) for layer in LAYERS[:3]]
BAD = images.digest_of(LAYERS[3])
IMAGE = images.image("farewell", (), shared=LAYERS)
CONFIG = next(digest for digest in IMAGE.blobs if digest not in (*HELD, BAD))
OTHER = images.image("farewell other", (700,), shared=LAYERS[:1])
OWN = images.digest_of(images.layer("farewell other-0", 700))


@dataclass
class Scene:
    """A source of which one layer is missing, and a target; three other layers are on their way when that is heard.

    The config has come by then: of no request it depends on the moment whether it is answered.
    ``held``: what keeps each of the three there until ``over``. ``in_vain``: somebody had to wait for the end of a
    test that has no end.
    """

    source: Registry
    target: Registry
    cancellation: Cancellation = field(default_factory=Cancellation)
    held: Callable[[str, Request], Response | None] = lambda digest, request: None
    at_target: Callable[[Request], Response | None] = lambda request: None
    until: Callable[[], object] = lambda: None
    under_way: dict[str, threading.Event] = field(default_factory=lambda: {d: threading.Event() for d in HELD})
    opened: dict[str, threading.Event] = field(default_factory=lambda: {d: threading.Event() for d in HELD})
    config_has_come: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    in_vain: bool = False
    answered: list[tuple[str, str, int]] = field(default_factory=list)

    def wait(self, event: threading.Event | None = None) -> None:
        """For the end of the test, or for this."""
        if not (event or self.over).wait(30):
            self.in_vain = True

    def all_under_way(self) -> None:
        """The three, and nothing else."""
        for event in (*self.under_way.values(), *self.opened.values(), self.config_has_come):
            self.wait(event)

    def at_source(self, request: Request) -> Response:
        """What it answers."""
        digest = request.path.rpartition("/")[2]
        if request.method == "GET" and digest == BAD:
            self.all_under_way()
            self.until()
            return failure(404, "BLOB_UNKNOWN")
        held = self.held(digest, request) if request.method == "GET" and digest in HELD else None
        return held or self.source(request)

    def target_answers(self, request: Request) -> Response:
        """And notes it."""
        digest = request.param("mount") or request.param("digest")
        held = self.held(digest, request) if request.method in ("POST", "PUT") and digest in HELD else None
        response = self.at_target(request) or held or self.target(request)
        self.answered.append((request.method, request.path, response.status))
        if (request.method, digest, response.status) == ("PUT", CONFIG, 201):
            self.config_has_come.set()
        if (request.method, response.status) == ("POST", 202) and digest in self.opened:
            self.opened[digest].set()
        return response

    def count(self, method: str, status: int) -> int:
        """How many uploads were asked so, and got this answer."""
        return sum(entry[0] == method and entry[2] == status and "/uploads/" in entry[1] for entry in self.answered)

    @property
    def open_uploads(self) -> list[str]:
        """At the target."""
        return [identifier for kept in self.target.storage.repositories.values() for identifier in kept.uploads]

    def run(
        self,
        jobs: int | None = 8,
        around: Callable[[Handler], Handler] = lambda handler: handler,
        tags: tuple[str, ...] = ("1",),
        acr: bool = False,
        **wanted: Any,
    ) -> CopyReport:
        """The import, and the end of its threads; then nobody is held any more."""
        options = TransportOptions(retry=RetryPolicy(attempts=1))
        with contextlib.ExitStack() as stack:
            here = stack.enter_context(Listener(self.at_source)).address
            there = stack.enter_context(Listener(around(self.target_answers))).address
            stack.callback(self.over.set)
            stores = []
            for side, address in (("source", here), ("target", there)):
                way = stack.enter_context(contextlib.closing(Transport(side, options, self.cancellation)))
                client = RegistryClient(address, address, way, lambda: ANONYMOUS, acr=acr and side == "target")
                stores.append(RegistryRepository(client, "app"))
            requests = [CopyRequest(stores[0], tag, (Destination(stores[1], (tag,)),)) for tag in tags]
            report = copy_images(requests, self.cancellation, jobs=jobs, **wanted)
            for thread in [one for one in threading.enumerate() if one.name.startswith("acrimport")]:
                thread.join(30)
                self.in_vain |= thread.is_alive()
            return report


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """A process that was begun in the background does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """With the three held before their first byte."""
    made = Scene(Registry(Storage(tmp_path / "source")), Registry(Storage(tmp_path / "target")))
    IMAGE.push(made.source, "app", "1")
    OTHER.push(made.source, "app", "2")
    made.held = before_the_first_byte(made)
    yield made
    made.over.set()
    assert not made.in_vain


def before_the_first_byte(scene: Scene) -> Callable[[str, Request], Response | None]:
    """The source does not answer."""

    def held(digest: str, request: Request) -> None:
        if request.method == "GET":
            scene.under_way[digest].set()
            scene.wait()

    return held


def in_the_middle(scene: Scene) -> Callable[[str, Request], Response | None]:
    """The source goes silent."""

    def held(digest: str, request: Request) -> Response | None:
        raw = LAYERS[HELD.index(digest)]

        def blocks() -> Iterator[bytes]:
            yield raw[:100]
            scene.under_way[digest].set()
            scene.wait()

        return Response(200, {}, blocks(), len(raw)) if request.method == "GET" else None

    return held


def after_the_last_byte(scene: Scene) -> Callable[[str, Request], Response | None]:
    """The target does not say that it has it."""

    def held(digest: str, request: Request) -> Response | None:
        if request.method != "PUT":
            return None
        request.body.read_all()
        scene.under_way[digest].set()
        scene.wait()
        return failure(500, "UNKNOWN")

    return held


def being_opened(scene: Scene) -> Callable[[str, Request], Response | None]:
    """The target answers when nobody wants the upload any more."""
    scene.opened.clear()

    def held(digest: str, request: Request) -> None:
        if request.method == "POST":
            scene.under_way[digest].set()
            scene.wait(scene.cancellation._event)

    return held


@pytest.mark.parametrize("jobs", [8, None])
@pytest.mark.parametrize(
    "where", [before_the_first_byte, in_the_middle, after_the_last_byte, being_opened], ids=lambda kind: kind.__name__
)
def test_blob_that_fails_for_good_ends_the_uploads_of_the_others(scene, where, jobs, monkeypatch):
    """Each that was opened is finished or cancelled; the failure is what is told. An interruption would not wait."""
    monkeypatch.setattr(driver_module, "FAREWELL", 0.0)
    scene.held = where(scene)
    item = scene.run(jobs).items[0]
    assert (item.status, item.error.code) == ("failed", "source-not-found")
    assert scene.open_uploads == []
    assert scene.count("DELETE", 204) == scene.count("POST", 202) - scene.count("PUT", 201) >= 3


@pytest.mark.parametrize("fail_fast", [False, True])
def test_layer_that_another_image_waits_for_goes_on(scene, fail_fast):
    """It is brought once, by the image that fails for another reason; of that nothing else stays open."""
    other_waits, failed = threading.Event(), threading.Event()
    begin, shared = scene.held, HELD[0]

    def held(digest: str, request: Request) -> None:
        if digest != shared:
            return begin(digest, request)
        if request.method == "GET":
            scene.under_way[digest].set()
            scene.wait(failed)
        return None

    def watch(progress: Any) -> None:
        if progress.ended.get("failed"):
            failed.set()

    answer = scene.source

    def source(request: Request) -> Response:
        if request.method == "GET" and request.path.endswith(OWN):
            other_waits.set()
        return answer(request)

    scene.held, scene.source, scene.until = held, source, lambda: scene.wait(other_waits)
    report = scene.run(tags=("1", "2"), fail_fast=fail_fast, on_progress=watch)
    assert [item.status for item in report.items] == ["failed", "copied"]
    assert report.items[0].error.code == "source-not-found"
    assert scene.open_uploads == []
    assert scene.count("DELETE", 204) == scene.count("POST", 202) - scene.count("PUT", 201) >= 3


@pytest.mark.leaves_uploads  # which ACR cleans up
@pytest.mark.parametrize(
    ("granted", "cancelled"), [(("pull", "push"), 0), (("delete", "pull", "push"), 3)], ids=["may push", "may delete"]
)
def test_acr_is_asked_to_cancel_where_the_token_allows_it(scene, granted, cancelled):
    """Else nothing is asked: neither for the upload, nor for another token."""
    access = [{"type": "repository", "name": "app", "actions": granted}]
    claims = base64.urlsafe_b64encode(json.dumps({"access": access}).encode()).decode().rstrip("=")
    tokens, late = [], []

    def signed_in(handler: Handler) -> Handler:
        def handle(request: Request) -> Response:
            if scene.cancellation.requested:
                late.append(request.method)
            if request.path == "/token":
                tokens.append(request)
                return Response(200, {}, json.dumps({"access_token": f"h.{claims}.s"}).encode())
            if not request.headers.get("Authorization"):
                return Response(401, {"WWW-Authenticate": f'Bearer realm="/token",service="{request.host}"'})
            return handler(request)

        return handle

    item = scene.run(around=signed_in, acr=True).items[0]
    assert item.error.code == "source-not-found"
    assert scene.count("DELETE", 204) >= cancelled
    assert set(late) <= ({"DELETE"} if cancelled else set())
    assert len(tokens) == 1


@pytest.mark.leaves_uploads
@pytest.mark.parametrize("answer", [failure(500, "UNKNOWN"), failure(403, "DENIED"), Response(200, {}, b"?", 9, 0)])
def test_upload_that_cannot_be_cancelled_changes_nothing(scene, caplog, answer):
    """And nobody hears of it who has not asked for everything."""
    caplog.set_level(logging.DEBUG)
    scene.at_target = lambda request: answer if request.method == "DELETE" else None
    item = scene.run().items[0]
    assert (item.status, item.error.code, item.error.origin) == ("failed", "source-not-found", "source")
    assert len([line for line in caplog.messages if line.startswith("an upload stays open: ")]) >= 3
    assert {record.levelname for record in caplog.records} == {"DEBUG"}


def ctrl_c(cancellation: Cancellation) -> None:
    """From another thread, to the one that waits; once more where nothing comes of it, as anybody would press it.

    Python drops an interruption that comes while it clears a weak reference away, which asyncio has for each task.
    """
    for _ in range(4):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        until = time.monotonic() + 3
        while time.monotonic() < until:
            if cancellation.over:
                return
            time.sleep(0.05)


@pytest.mark.leaves_uploads
@pytest.mark.parametrize(
    "hurry",
    [
        None,
        Cancellation.cancel,
        Cancellation._expire,
        pytest.param(ctrl_c, marks=pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")),
    ],
    ids=["time", "cancelled", "deadline", "interrupted"],
)
@pytest.mark.filterwarnings("ignore:Exception ignored in.*WeakSet:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("heeds_ctrl_c")
def test_target_that_does_not_answer_a_farewell_keeps_nobody(scene, monkeypatch, hurry):
    """Neither for longer than farewells may take, nor when the user will not wait for them; it has failed before."""
    for module in (driver_module, upload_module):
        monkeypatch.setattr(module, "PARTING", 60.0 if hurry else 0.1)
    hurried = threading.Lock()

    def silent(request: Request) -> None:
        if request.method == "DELETE" and scene.cancellation.requested:
            if hurry and hurried.acquire(blocking=False):
                hurry(scene.cancellation)
            scene.wait()

    scene.at_target = silent
    item = scene.run().items[0]
    assert (item.status, item.error.code) == ("failed", "source-not-found")


@pytest.mark.parametrize("how", ["interrupted", "deadline"])
def test_user_who_ends_it_leaves_no_upload_that_can_be_cancelled_at_once(scene, monkeypatch, how):
    """In the time that the end takes anyway; here that is long enough for any machine."""
    for name in ("cancellation", "copy.driver", "registry.upload"):
        monkeypatch.setattr(f"azext_acrimport.engine.{name}.FAREWELL", 60.0)
    ready, told = threading.Event(), threading.Lock()

    def interrupt(_: Any) -> None:
        if ready.is_set() and told.acquire(blocking=False):
            if how == "interrupted":
                raise KeyboardInterrupt
            scene.cancellation._expire()

    def all_there() -> None:
        ready.set()
        scene.wait()

    scene.until = all_there
    item = scene.run(on_progress=interrupt).items[0]
    assert (item.status, scene.cancellation.expired) == ("cancelled", how == "deadline")
    assert scene.open_uploads == []
    assert scene.count("DELETE", 204) == scene.count("POST", 202) - scene.count("PUT", 201) >= 3
