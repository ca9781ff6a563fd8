# SPDX-License-Identifier: MIT
"""Registries as they are met: each oddity is a server, and an image goes through it whole."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from azext_acrimport.engine import Credential, RegistryClient, RegistryRepository, RetryPolicy, Transport
from azext_acrimport.engine.transport.options import TransportOptions
from tests.sandbox import images
from tests.sandbox.faults import Faults
from tests.sandbox.registry import Oddities, Registry, failure
from tests.sandbox.server import Handler, Listener, Request, Response
from tests.sandbox.storage import Storage
from tests.support.content import tree
from tests.support.stores import copy

IMAGE = images.index([(p, images.image(f"odd-{p}", (400_000, 20))) for p in ("linux/amd64", "linux/arm64/v8")])
PASSWORD = Credential("user name and password", username="AWS", password="secret")
Wrap = Callable[[Handler], Handler]


@contextlib.contextmanager
def served(handler: Handler, origin: str) -> Iterator[RegistryRepository]:
    """team/app of a registry on loopback, as Source or as Target."""
    options = TransportOptions(retry=RetryPolicy(attempts=3, base=0.0))
    with Listener(handler) as listener, contextlib.closing(Transport(origin, options)) as transport:
        client = RegistryClient(listener.address, listener.address, transport, lambda: PASSWORD)
        yield RegistryRepository(client, "team/app")


def changed(change: Callable[[Request, Response], Response]) -> Wrap:
    """What the content answers, with something changed."""
    return lambda content: lambda request: change(request, content(request))


def first(condition: Callable[[Request], bool], response: Response) -> Wrap:
    """One request is answered in another way."""

    def wrap(content: Handler) -> Handler:
        left = [response]
        return lambda request: left.pop() if left and condition(request) else content(request)

    return wrap


def with_headers(**headers: str) -> Callable[[Response], Response]:
    """The same answer with other headers."""

    def change(response: Response) -> Response:
        response.headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        return response

    return change


def is_manifest(request: Request) -> bool:
    """About a manifest."""
    return "/manifests/" in request.path


def is_blob_get(request: Request) -> bool:
    """The first byte of a blob."""
    return request.method == "GET" and "/blobs/" in request.path and not request.headers.get("Range")


def breaks_off(content: Handler) -> Handler:
    """The first layer, after five bytes."""
    faults = Faults()
    faults.add(method="GET", path=".*/blobs/.*", cut_after=5)
    return faults.around(content)


def tokens(challenge: str, answer: dict[str, object], *, forget: bool = False) -> Wrap:
    """A registry with a token service of its own; ``forget``: later refusals come without a challenge."""

    def wrap(content: Handler) -> Handler:
        seen: list[str] = []

        def handler(request: Request) -> Response:
            if request.path == "/auth":
                seen.append("token")
                value = {name: f"t{len(seen)}" if text == "*" else text for name, text in answer.items()}
                return Response(200, {"Content-Type": "text/plain"}, json.dumps(value).encode())
            authorization = request.headers.get("Authorization", "")
            if not authorization.startswith("Bearer t") or (forget and authorization == "Bearer t1" and len(seen) == 1
                                                            and is_blob_get(request)):  # fmt: skip
                challenged = {} if forget and seen else {"WWW-Authenticate": challenge}
                return Response(401, challenged, b"who are you?")
            return content(request)

        return handler

    return wrap


def three_times(content: Handler) -> Handler:
    """Each token lets in three times."""
    lock, left = threading.Lock(), {}

    def handler(request: Request) -> Response:
        with lock:
            if request.path == "/auth":
                token = f"t{len(left)}"
                left[token] = 3
                return Response(200, {}, json.dumps({"token": token}).encode())
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not left.get(token):
                return Response(401, {"WWW-Authenticate": 'Bearer realm="/auth"'})
            left[token] -= 1
        return content(request)

    return handler


def basic(content: Handler) -> Handler:
    """ECR: Basic, with the user name AWS."""
    expected = f"Basic {base64.b64encode(b'AWS:secret').decode()}"
    challenge = {"WWW-Authenticate": 'Basic realm="https://ecr/",service="ecr.amazonaws.com"'}
    return lambda request: (
        content(request)
        if request.headers.get("Authorization") == expected
        else Response(401, challenge, b"Not Authorized")
    )


def chunks_are_created(request: Request, response: Response) -> Response:
    """ECR: 201 to a PATCH."""
    if request.method == "PATCH" and response.status == 202:
        response.status = 201
    return response


def elsewhere(content: Handler) -> Handler:
    """registry.k8s.io: everything is a redirect to a registry that serves it; here to another name of the same one."""

    def handler(request: Request) -> Response:
        name, _, port = request.host.partition(":")
        if name == "localhost" or request.path == "/v2/":
            return content(request)
        return Response(307, {"Location": f"http://localhost:{port}{request.path}"})

    return handler


SOURCES: dict[str, tuple[Oddities, Wrap]] = {
    "no Docker-Content-Digest": (Oddities(digest_header=False), changed(lambda _, response: response)),
    "HEAD is refused": (Oddities(head=False), changed(lambda _, response: response)),
    "Range is ignored, and a blob breaks off": (
        Oddities(ranges=False),
        breaks_off,
    ),
    "Harbor: HEAD states another length than GET": (
        Oddities(),
        changed(lambda request, response: with_headers(Content_Length="7")(response)
                if request.method == "HEAD" and is_manifest(request) else response),
    ),
    "media types with a charset": (
        Oddities(),
        changed(lambda request, response: with_headers(
            Content_Type=f"{response.headers['Content-Type']}; charset=utf-8")(response)
            if is_manifest(request) and response.status == 200 else response),
    ),
    "manifests served as text/plain": (
        Oddities(),
        changed(lambda request, response: with_headers(Content_Type="text/plain")(response)
                if is_manifest(request) else response),
    ),
    "MCR: 429 in plain text": (
        Oddities(),
        first(is_blob_get, Response(429, {"Retry-After": "0"}, b"Ref A: 0123 Ref B: 4567 Ref C: 2026-01-01T00:00:00Z")),
    ),
    "Red Hat: a challenge without scope, a relative realm": (
        Oddities(), tokens('Bearer realm="/auth",service="docker-registry"', {"token": "*"}),
    ),
    "a challenge without service; a token without a lifetime": (
        Oddities(), tokens('Bearer realm="/auth"', {"access_token": "*"}),
    ),
    "a token that lives for no time": (Oddities(), tokens('Bearer realm="/auth"', {"token": "*", "expires_in": 0})),
    "Bearer and Basic in one header, with a comma in a value": (
        Oddities(),
        tokens('Basic realm="a, b", Bearer realm="/auth",scope="repository:team/app:pull,push"', {"token": "*"}),
    ),
    "gcr.io: a 401 without a challenge in the middle": (
        Oddities(), tokens('Bearer realm="/auth",service="gcr.io"', {"token": "*"}, forget=True),
    ),
    "ECR: Basic with the user name AWS": (Oddities(), basic),
    "registry.k8s.io: redirects for manifests, too": (Oddities(), elsewhere),
}  # fmt: skip


@pytest.mark.parametrize("oddity", SOURCES)
def test_odd_source_is_read(tmp_path: Path, oddity: str):
    """Every byte of it arrives."""
    switches, wrap = SOURCES[oddity]
    content, target = Registry(Storage(tmp_path / "source"), switches), Registry(Storage(tmp_path / "target"))
    IMAGE.push(content, "team/app", "1")
    with served(wrap(content), "source") as source, served(target, "target") as destination:
        result = copy(source, destination)
    assert result.error is None
    assert tree(target, "team/app", "1") == tree(content, "team/app", "1")


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("jobs", [1, 12])
def test_token_that_is_good_for_three_requests_is_renewed(tmp_path: Path, side: str, jobs: int):
    """However many are on their way: as long as some are let in, it is not us whom the registry refuses."""
    image = images.image("three", tuple(range(100, 140)))
    content, target = Registry(Storage(tmp_path / "source")), Registry(Storage(tmp_path / "target"))
    image.push(content, "team/app", "1")
    wrapped = {"source": content, "target": target}
    wrapped[side] = three_times(wrapped[side])
    with served(wrapped["source"], "source") as source, served(wrapped["target"], "target") as destination:
        result = copy(source, destination, jobs=jobs)
    assert result.error is None
    assert tree(target, "team/app", "1") == tree(content, "team/app", "1")


def lost_port(request: Request, response: Response) -> Response:
    """Absolute locations by http, without the port that the client has asked."""
    if "Location" in response.headers and response.headers["Location"].startswith("/"):
        return with_headers(Location=f"http://127.0.0.1{response.headers['Location']}")(response)
    return response


TARGETS: dict[str, tuple[Oddities, Wrap]] = {
    "absolute locations": (Oddities(absolute_locations=True), changed(lambda _, response: response)),
    "locations without the port": (Oddities(), changed(lost_port)),
    "no mount": (Oddities(mount=False), changed(lambda _, response: response)),
    "HEAD is refused": (Oddities(head=False), changed(lambda _, response: response)),
    "bodies are limited, and PATCH answers 201 (ECR)": (Oddities(max_put=100_000), changed(chunks_are_created)),
    "Artifactory: 403 for what is not there": (
        Oddities(),
        changed(lambda request, response: failure(403, "DENIED", "no rights, or no such thing")
                if request.method in ("GET", "HEAD") and response.status == 404 and is_manifest(request) else response),
    ),
    "an HTML page for what is not there": (
        Oddities(),
        changed(lambda request, response: Response(404, {"Content-Type": "text/html"}, b"<html><h1>404</h1></html>")
                if request.method in ("GET", "HEAD") and response.status == 404 else response),
    ),
    "a first manifest that is not found at once": (
        Oddities(),
        first(lambda request: request.method == "PUT" and is_manifest(request),
              failure(404, "MANIFEST_UNKNOWN", "blob unknown to registry")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("oddity", TARGETS)
def test_odd_target_is_written(tmp_path: Path, oddity: str):
    """And what it then holds is the image."""
    switches, wrap = TARGETS[oddity]
    content, target = Registry(Storage(tmp_path / "source")), Registry(Storage(tmp_path / "target"), switches)
    IMAGE.push(content, "team/app", "1")
    with served(content, "source") as source, served(wrap(target), "target") as destination:
        result = copy(source, destination)
    assert result.error is None
    target.oddities.head = True
    assert tree(target, "team/app", "1") == tree(content, "team/app", "1")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"errors": [{"code": "UNKNOWN", "message": "Not Found"}]}', "Not Found"),
        (b"<html><h1>404</h1> nothing here</html>", "404 nothing here"),
        (b"", ""),
    ],
    ids=["Red Hat, Harbor", "HTML", "nothing"],
)
def test_missing_image_is_missing_in_any_words(tmp_path: Path, body: bytes, said: str):
    """By the status."""
    target = Registry(Storage(tmp_path / "target"))
    with served(lambda _: Response(404, {}, body), "source") as source, served(target, "target") as destination:
        result = copy(source, destination)
    assert result.error.code == "source-not-found"
    assert result.error.text == said
