# SPDX-License-Identifier: MIT
"""Many images at once, over sockets: nobody's trouble is another one's, and nothing is asked twice."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

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
from azext_acrimport.engine.waiting import Attempts
from tests.sandbox import images
from tests.sandbox.registry import Registry, failure
from tests.sandbox.server import Handler, Listener, Request, Response
from tests.sandbox.storage import Storage
from tests.support.content import everything, tag_digest, tree


@dataclass
class Place:
    """A registry on loopback, what it holds, and what it was asked; ``answer`` may answer in its stead."""

    content: Registry
    asked: list[Request] = field(default_factory=list)
    answer: Callable[[Request], Response | None] = lambda request: None
    address: str = ""

    def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        return self.answer(request) or self.content(request)

    def count(self, method: str, path: str) -> int:
        """How many requests of this method to such a path."""
        return sum(request.method == method and bool(re.search(path, request.path)) for request in self.asked)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[[], Place]]:
    """Makes places."""
    with contextlib.ExitStack() as stack:

        def make(around: Callable[[Handler], Handler] = lambda handler: handler) -> Place:
            place = Place(Registry(Storage(tmp_path / str(time.monotonic_ns()))))
            place.address = stack.enter_context(Listener(around(place))).address
            return place

        yield make


def run(
    pairs: list[tuple[Place, str, Place, str]], jobs: int | None = None, attempts: int = 3, **wanted: object
) -> CopyReport:
    """Copy ``repository:tag`` of one place to ``repository:tag`` of another; one client a place and side."""
    options = TransportOptions(retry=RetryPolicy(attempts=attempts, base=0.02))
    cancellation, clients = Cancellation(), {}

    def repository(side: str, place: Place, name: str) -> RegistryRepository:
        key = side, place.address
        if key not in clients:
            transport = Transport(side, options, cancellation)
            clients[key] = RegistryClient(place.address, place.address, transport, lambda: ANONYMOUS)
        return RegistryRepository(clients[key], name)

    requests = []
    for source, here, target, there in pairs:
        (name, _, identifier), (other, _, tag) = here.partition(":"), there.partition(":")
        destination = Destination(repository("target", target, other), (tag,))
        content = {"referrers": bool(wanted.get("referrers")), "force": bool(wanted.get("force"))}
        requests.append(CopyRequest(repository("source", source, name), identifier, (destination,), **content))
    try:
        return copy_images(requests, cancellation, jobs=jobs)
    finally:
        for client in clients.values():
            client.transport.close()


def codes(report: CopyReport) -> list[str | None]:
    """Of each image."""
    return [item.error.code if item.error else None for item in report.items]


def is_blob(request: Request, digest: str) -> bool:
    """The blob is read."""
    return request.method == "GET" and request.path.endswith(f"/blobs/{digest}")


SHARED = images.layer("many shared", 2000)
LAYER = images.digest_of(SHARED)


class TestTroubleOfOneImage:
    """Is nobody else's."""

    @pytest.mark.parametrize("jobs", [1, 8, None])
    @pytest.mark.parametrize(
        ("names", "poor_again"),
        [(("p0:1", "p1:1", "r:1"), "source-not-found"), (("app:p0", "app:p1", "app:r"), None)],
        ids=["repositories", "one repository"],
    )
    def test_layer_that_is_missing_at_its_source(self, served, jobs, names, poor_again):
        """Nobody else's image is worse for it; and another source that has it does not give it to who has it not.

        But what is in the repository, by whomever, is there.
        """
        poor, rich, target = served(), served(), served()
        poor.answer = lambda request: failure(404, "BLOB_UNKNOWN") if is_blob(request, LAYER) else None
        for number in range(2):
            images.image(f"poor {number}", shared=[SHARED]).push(poor.content, f"poor-{number}", "1")
        images.image("rich", shared=[SHARED]).push(rich.content, "rich", "1")
        images.image("other").push(poor.content, "other", "1")
        pairs = [(poor, f"poor-{n}:1", target, names[n]) for n in range(2)] + [(poor, "other:1", target, "other:1")]
        report = run(pairs, jobs)
        assert codes(report) == ["source-not-found"] * 2 + [None]
        assert tag_digest(target.content, *names[0].split(":")) is None
        report = run([*pairs[:2], (rich, "rich:1", target, names[2])], jobs)
        assert codes(report) == [poor_again] * 2 + [None]
        tree(target.content, *names[2].split(":"))
        poor.answer = lambda request: None
        assert codes(run(pairs[:2], jobs)) == [None] * 2

    @pytest.mark.parametrize("jobs", [1, 8])
    @pytest.mark.parametrize(
        ("path", "answer", "code"),
        [
            ("/v2/two/manifests/.*", failure(405, "UNSUPPORTED", "The operation is disallowed."), "target-disallowed"),
            ("/v2/two/blobs/uploads/.*", failure(403, "DENIED", "no right to push"), "target-denied"),
        ],
        ids=["locked", "refused"],
    )
    def test_repository_that_takes_nothing(self, served, jobs, path, answer, code):
        """The images of other repositories arrive, also those that share a layer with its own."""
        source, target = served(), served()
        for name in ("one", "two", "three"):
            images.image(f"taken {name}", shared=[SHARED]).push(source.content, name, "1")
        target.answer = lambda request: (
            answer if request.method in ("PUT", "POST") and re.fullmatch(path, request.path) else None
        )
        report = run([(source, f"{name}:1", target, f"{name}:1") for name in ("two", "one", "three")], jobs)
        assert codes(report) == [code, None, None]
        for name in ("one", "three"):
            tree(target.content, name, "1")
        assert tag_digest(target.content, "two", "1") is None

    @pytest.mark.parametrize("jobs", [1, 8])
    def test_blob_that_is_not_what_it_is_named(self, served, jobs):
        """Both images that need it fail, and say so; the third arrives."""
        source, target = served(), served()
        for number in range(3):
            shared = [SHARED] if number < 2 else []
            images.image(f"corrupt {number}", shared=shared).push(source.content, "app", str(number))
        wrong = Response(200, {}, bytes(reversed(SHARED)))
        source.answer = lambda request: wrong if is_blob(request, LAYER) else None
        report = run([(source, f"app:{n}", target, f"app:{n}") for n in range(3)], jobs)
        assert codes(report) == ["source-digest-mismatch"] * 2 + [None]
        assert [tag_digest(target.content, "app", str(n)) is None for n in range(3)] == [True, True, False]

    @pytest.mark.parametrize("jobs", [1, 8])
    def test_tag_that_names_something_else(self, served, jobs):
        """A conflict stops its own image, before anything of it moves."""
        source, target = served(), served()
        for number in range(3):
            images.image(f"conflict {number}").push(source.content, "app", str(number))
        other = images.image("conflict other")
        other.push(target.content, "app", "1")
        report = run([(source, f"app:{n}", target, f"app:{n}") for n in range(3)], jobs)
        assert codes(report) == [None, "target-tag-conflict", None]
        assert tag_digest(target.content, "app", "1") == other.digest

    @pytest.mark.parametrize("jobs", [1, 4])
    def test_tag_that_is_written_by_another_while_we_wait_to_put_it_again(self, served, jobs):
        """Is looked at before each time that it is put, and is not taken from them; the image beside it arrives."""
        source, target = served(), served()
        for number in range(2):
            images.image(f"waits {number}").push(source.content, "app", str(number))
        theirs, busy = images.image("theirs"), [1]

        def write_meanwhile(request: Request) -> Response | None:
            if request.method == "PUT" and request.path == "/v2/app/manifests/0" and busy:
                busy.pop()
                theirs.push(target.content, "app", "0")
                return failure(503, "UNAVAILABLE", Retry_After="0")
            return None

        target.answer = write_meanwhile
        report = run([(source, f"app:{n}", target, f"app:{n}") for n in range(2)], jobs)
        assert codes(report) == ["target-tag-conflict", None]
        assert tag_digest(target.content, "app", "0") == theirs.digest


class TestSlowHosts:
    """What one host cannot do now keeps nobody from asking another."""

    def test_images_of_a_throttled_host_do_not_delay_those_of_another(self, served):
        """Forty images wait for a host that says 429 until the one behind them has arrived."""
        throttled, free, target = served(), served(), served()
        for number in range(40):
            images.image(f"throttled {number}").push(throttled.content, "app", str(number))
        images.image("free").push(free.content, "free", "1")
        arrived = threading.Event()

        def wait(request: Request) -> Response | None:
            ready = arrived.is_set() or request.path == "/v2/"
            return None if ready else failure(429, "TOOMANYREQUESTS", Retry_After="1")

        def see(request: Request) -> None:
            if request.method == "PUT" and request.path == "/v2/free/manifests/1":
                arrived.set()

        throttled.answer, target.answer = wait, see
        pairs = [(throttled, f"app:{n}", target, f"app:{n}") for n in range(40)]
        report = run([*pairs, (free, "free:1", target, "free:1")], attempts=5)
        assert codes(report) == [None] * 41
        assert len(throttled.asked) < 40 * 8

    @pytest.mark.leaves_uploads  # a host that asks for quiet is not asked to forget what it refused
    def test_throttling_without_a_word_about_when(self, served):
        """Thirty images, a target that takes six requests in each tenth of a second: all arrive.

        No upload stays open but those that it would not hear of.
        """
        source, target = served(), served()
        for number in range(30):
            images.image(f"silent {number}").push(source.content, "app", str(number))
        window: Counter[int] = Counter()
        refused: set[str] = set()

        def throttle(request: Request) -> Response | None:
            window[int(time.monotonic() * 10)] += 1
            if window[int(time.monotonic() * 10)] <= 6:
                return None
            refused.add(request.path.rpartition("/")[2])
            return failure(429, "TOOMANYREQUESTS")

        target.answer = throttle
        report = run([(source, f"app:{n}", target, f"app:{n}") for n in range(30)], attempts=5)
        assert codes(report) == [None] * 30
        assert refused.issuperset(target.content.storage.repository("app").uploads)

    @pytest.mark.leaves_uploads  # whose answers were lost with the connections
    def test_port_that_is_closed_for_a_while(self, tmp_path, served):
        """A registry that is started anew in the middle of sixty images costs none of them."""
        source = served()
        content = Registry(Storage(tmp_path / "target"))
        target = Place(content)
        for number in range(60):
            images.image(f"closed {number}").push(source.content, "app", str(number))
        reached = threading.Event()
        target.answer = lambda request: reached.set() if target.count("PUT", "manifests/") > 10 else None
        listener = Listener(target)
        target.address = listener.address

        def restart() -> None:
            reached.wait(30)
            listener.stop()
            with socket.socket() as kept:  # nobody else gets the port meanwhile, and nobody listens
                kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                kept.bind(("127.0.0.1", listener.port))
                time.sleep(3)
                restarted.append(Listener(target, port=listener.port))

        restarted: list[Listener] = []
        thread = threading.Thread(target=restart)
        thread.start()
        try:
            report = run([(source, f"app:{n}", target, f"app:{n}") for n in range(60)], attempts=5)
        finally:
            reached.set()
            thread.join()
            restarted[0].stop()
        assert codes(report) == [None] * 60


class TestWhatIsAskedOnce:
    """What one image has found out, the others know."""

    def test_ten_tags_of_one_digest_cost_one_reading(self, served):
        """Children and blobs once; the second run is one HEAD a side for each tag."""
        source, target = served(), served()
        index = images.index([(p, images.image(f"ten {p}")) for p in ("linux/amd64", "linux/arm64/v8")])
        for number in range(10):
            index.push(source.content, "app", str(number))
        source.asked.clear()
        pairs = [(source, f"app:{n}", target, f"app:{n}") for n in range(10)]
        assert codes(run(pairs, 4)) == [None] * 10
        read = Counter(request.path for request in source.asked if request.method == "GET")
        root = [path for path in read if path.rpartition("/")[2] in (*map(str, range(10)), index.digest)]
        below = {path: count for path, count in read.items() if path not in root}
        assert len(below) == len(index.blobs) + 2 and set(below.values()) == {1}
        assert sum(read[path] for path in root) <= 8  # those that had begun before anybody knew that it is the same
        assert target.count("PUT", "manifests/sha256:") == 2
        source.asked.clear(), target.asked.clear()
        assert [item.status for item in run(pairs, 4).items] == ["unchanged"] * 10
        assert [Counter(request.method for request in place.asked if request.path != "/v2/") for place in
                (source, target)] == [{"HEAD": 10}] * 2  # fmt: skip

    @pytest.mark.parametrize("jobs", [1, 8])
    def test_referrers_cost_one_request_a_digest(self, served, jobs):
        """And cosign's tags one listing for all of them."""
        source, target = served(), served()
        artifacts = [images.image(f"signed {number}") for number in range(5)]
        for number, image in enumerate(artifacts):
            for tag in (str(number), f"{number}-again"):
                image.push(source.content, "app", tag)
        tag, signature = images.cosign(artifacts[3], ".sig", b"payload")
        signature.push(source.content, "app", tag)
        pairs = [(source, f"app:{n}{more}", target, f"app:{n}{more}") for n in range(5) for more in ("", "-again")]
        assert codes(run(pairs, jobs, referrers=True)) == [None] * 10
        assert tag_digest(target.content, "app", tag) == signature.digest
        assert everything(target.content, "app", "3") == everything(source.content, "app", "3")
        source.asked.clear(), target.asked.clear()
        assert [item.status for item in run(pairs, jobs, referrers=True).items] == ["unchanged"] * 10
        assert source.count("GET", "/referrers/") == 6  # one each, and one for the signature
        assert source.count("GET", "/tags/list") == 1
        assert source.count("HEAD", "manifests/") == 10 + 1
        assert target.count("HEAD", "manifests/") == 10 + 2

    def test_tokens_of_many_repositories_are_fetched_at_the_same_time(self, served):
        """Twenty-four, each once."""
        count, lock, fetched = 24, threading.Lock(), Counter()
        all_at_once = threading.Barrier(count, timeout=30)

        def signed_in(handler: Handler) -> Handler:
            def handle(request: Request) -> Response:
                if request.path == "/token":
                    with lock:
                        fetched[request.param("scope")] += 1
                    all_at_once.wait()
                    return Response(200, {}, json.dumps({"token": "t", "expires_in": 300}).encode())
                if request.path != "/v2/" and not request.headers.get("Authorization"):
                    return Response(401, {"WWW-Authenticate": 'Bearer realm="/token",service="x"'})
                return handler(request)

            return handle

        source, target = served(signed_in), served()
        for number in range(count):
            images.image(f"token {number}").push(source.content, f"app-{number}", "1")
        report = run([(source, f"app-{n}:1", target, f"app-{n}:1") for n in range(count)])
        assert codes(report) == [None] * count
        assert set(fetched.values()) == {1} and len(fetched) == count

    def test_token_that_ends_while_blobs_are_sent_costs_no_upload(self, served, monkeypatch):
        """Of two, one fetches a new token, and the other waits for it with its upload open. Nothing is begun anew."""
        both_sent, waits, wait_for = threading.Barrier(2, timeout=30), threading.Event(), Attempts.wait_for
        tokens, posted = iter("ab"), []

        def waited(*args: object) -> None:
            waits.set()
            wait_for(*args)

        monkeypatch.setattr(Attempts, "wait_for", waited)

        def signed_in(handler: Handler) -> Handler:
            def handle(request: Request) -> Response:
                if request.path == "/token":
                    token = next(tokens)
                    if token == "b":
                        assert waits.wait(30)
                    return Response(200, {}, json.dumps({"token": token}).encode())
                header, sends = request.headers.get("Authorization"), "/uploads/" in request.path
                posted.extend([request.path] if sends and request.method == "POST" and header else [])
                if sends and request.method == "PUT" and header == "Bearer a":
                    request.body.read_all()
                    both_sent.wait()
                if not header or (sends and request.method == "PUT" and header == "Bearer a"):
                    return Response(401, {"WWW-Authenticate": 'Bearer realm="/token",service="x"'})
                return handler(request)

            return handle

        source, target = served(), served(signed_in)
        image = images.image("ends").push(source.content, "app", "1")
        assert codes(run([(source, "app:1", target, "app:1")], 2)) == [None]
        assert len(posted) == len(image.blobs)
