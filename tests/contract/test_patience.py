# SPDX-License-Identifier: MIT
"""How long is waited for what: each kind of wait has its own patience, and one deadline ends all of them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from azext_acrimport.engine import (
    ANONYMOUS,
    Body,
    Cancellation,
    CopyRequest,
    Descriptor,
    Destination,
    Digest,
    NetworkError,
    RegistryClient,
    RegistryRepository,
    RetryPolicy,
    Transport,
    TransportOptions,
    copy_images,
)
from azext_acrimport.engine.registry import download as download_module
from azext_acrimport.engine.registry import upload as upload_module
from azext_acrimport.engine.transport import response as response_module
from tests.sandbox import images
from tests.sandbox.faults import Faults
from tests.sandbox.registry import Registry
from tests.sandbox.server import Listener, Request, Response
from tests.sandbox.storage import Storage
from tests.support.content import everything
from tests.support.stores import MemoryStore

IMAGE = images.image("patience")


def repository(side: str, address: str, cancellation: Cancellation, **options: float) -> RegistryRepository:
    """``app`` there; a test closes nothing, since what it connects to is gone after it."""
    transport = Transport(side, TransportOptions(retry=RetryPolicy(attempts=2, base=0.0), **options), cancellation)
    client = RegistryClient(address, address, transport, lambda: ANONYMOUS)
    client._meeting.known_base = f"http://{address}"
    return RegistryRepository(client, "app")


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """Takes connections, and says nothing for half a minute: by then nobody may be waiting for it."""
    ended = threading.Event()
    in_vain = threading.Timer(30, ended.set)
    in_vain.start()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)

        def take() -> None:
            with contextlib.ExitStack() as kept:
                while not ended.is_set():
                    with contextlib.suppress(TimeoutError):
                        kept.enter_context(server.accept()[0])

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
            assert not ended.is_set()
        finally:
            in_vain.cancel()
            ended.set()
            thread.join()


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "by chunks"])
def test_target_that_pauses_while_a_body_is_sent_is_not_given_up(monkeypatch, chunked):
    """For longer than a connection may take to be made: that is made already. Nor while it hashes what it got."""
    raw = bytes(30_000_000)  # more than the buffers of both sides take
    monkeypatch.setattr(upload_module, "CHUNK_BYTES", 20_000_000)

    asked = []

    def slow(request: Request) -> Response:
        if not asked:  # from now on
            transport = target._client.transport
            transport.options = replace(transport.options, connect_timeout=0.5, read_timeout=0.9)
        asked.append(request.method)
        if request.method in ("PATCH", "PUT") and len(asked) != 3:
            request.body.read(1000)
            time.sleep(1.2)
        status = {"POST": 202, "PATCH": 202, "PUT": 201}[request.method]
        # the body goes over a connection that is made for it
        return Response(status, {"Location": "/v2/app/blobs/uploads/1", "Connection": "close"})

    blob = Descriptor("x", Digest.of(raw), len(raw))
    with Listener(slow) as listener:
        target = repository("target", listener.address, Cancellation())
        target._client.too_large = 1 if chunked else target._client.too_large
        source = MemoryStore()
        source.blobs[str(blob.digest)] = raw
        target.put_blob(blob, Body(blob, source.blob(blob).opener))
    assert asked == (["POST", "PATCH", "PATCH", "PUT"] if chunked else ["POST", "PUT"])


@pytest.mark.parametrize("ranges", [True, False])
def test_source_that_brings_a_byte_now_and_then_is_given_up(monkeypatch, ranges):
    """No timeout of a socket sees it, and no block would ever be full."""
    monkeypatch.setattr(response_module, "SLICE_SECONDS", 0.02)
    monkeypatch.setattr(download_module, "PROGRESS_SECONDS", 0.2)
    raw = bytes(3_000)
    blob = Descriptor("x", Digest.of(raw), len(raw))

    def dripping(request: Request) -> Response:
        start = int(request.headers.get("Range", "bytes=0-")[6:-1]) if ranges else 0

        def drops() -> Iterator[bytes]:
            for _ in raw[start:]:
                time.sleep(0.01)
                yield b"\0"

        stated = {"Content-Range": f"bytes {start}-{len(raw) - 1}/{len(raw)}"}
        return Response(206 if start else 200, stated if start else {}, drops(), len(raw) - start)

    with Listener(dripping) as listener:
        reader = repository("source", listener.address, Cancellation()).blob(blob).open()
        with contextlib.closing(reader), pytest.raises(NetworkError, match="bytes of a blob came in") as caught:
            list(iter(reader.read, b""))
    assert (caught.value.code, caught.value.reason) == ("source-unreachable", "timeout")


@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize("side", ["source", "target"])
def test_deadline_ends_every_wait(jobs, side):
    """Also that for an answer which never begins; and it is known that it was the time."""
    cancellation, store = Cancellation(), MemoryStore("other.test").hold(IMAGE, "1")
    with silent() as address:
        there = repository(side, address, cancellation)
        source, target = (there, store) if side == "source" else (store, there)
        with cancellation.within(0.7):
            request = CopyRequest(source, "1", (Destination(target, ("1",)),))
            item = copy_images([request], cancellation, jobs=jobs).items[0]
    assert (item.status, item.error.code, cancellation.expired) == ("cancelled", "cancelled", True)


def test_whoever_cancels_ends_a_wait_for_an_answer_at_once():
    """With one job, too, where the thread that waits is the only one."""
    cancellation, store = Cancellation(), MemoryStore("other.test").hold(IMAGE, "1")
    with silent() as address:
        timer = threading.Timer(0.3, cancellation.cancel)
        timer.start()
        request = CopyRequest(store, "1", (Destination(repository("target", address, cancellation), ("1",)),))
        item = copy_images([request], cancellation, jobs=1).items[0]
        timer.join()
    assert item.status == "cancelled"


@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize(
    "path",
    [
        "/v2/app/manifests/1",
        "/v2/app/manifests/sha256:.*",
        "/v2/app/referrers/.*",
        "/v2/app/blobs/.*",
        "/v2/app/tags/list",
        "/token",
    ],
)
def test_answer_that_breaks_off_once_is_asked_for_again(tmp_path: Path, jobs, path):
    """Small ones as a whole."""
    index = images.index([("linux/amd64", IMAGE)])
    content, target = Registry(Storage(tmp_path / "source")), Registry(Storage(tmp_path / "target"))
    index.push(content, "app", "1")
    images.artifact("sbom", subject=index.descriptor()).push(content, "app")
    faults = Faults()
    fault = faults.add(method="GET", path=path, cut_after=3)

    def signed_in(request: Request) -> Response:
        if request.path == "/token":
            return Response(200, {}, b'{"token": "abc"}')
        if request.headers.get("Authorization") == "Bearer abc":
            return content(request)
        return Response(401, {"WWW-Authenticate": 'Bearer realm="/token"'})

    with Listener(faults.around(signed_in)) as here, Listener(target) as there:
        cancellation = Cancellation()
        stores = [repository("source", here.address, cancellation), repository("target", there.address, cancellation)]
        requests = [
            CopyRequest(stores[0], "1", (Destination(stores[1], (tag,)),), referrers=True) for tag in ("first", "1")
        ]
        report = copy_images(requests, cancellation, jobs=jobs)
    assert report.ok
    assert fault.seen > 1
    assert everything(target, "app", "1") == everything(content, "app", "1")
