# SPDX-License-Identifier: MIT
"""A huge blob by several connections at once, over sockets: the right bytes in order, whatever the source does."""

from __future__ import annotations

import contextlib
import re
import threading

import pytest

from azext_acrimport.engine import (
    ANONYMOUS,
    Cancellation,
    Cancelled,
    Descriptor,
    Digest,
    DigestMismatch,
    Origin,
    RegistryClient,
    RegistryRepository,
    RetryPolicy,
    Transport,
)
from azext_acrimport.engine.content.stream import Spare
from azext_acrimport.engine.registry import ranges
from azext_acrimport.engine.transport.options import TransportOptions
from tests.sandbox import images
from tests.sandbox.registry import Registry
from tests.sandbox.server import Handler, Listener, Request, Response
from tests.sandbox.storage import Storage
from tests.support import few_threads

PART = 64 * 1024
RAW = images.noise("ranges", 40 * PART + 17)
BLOB = Descriptor("x", Digest.of(RAW), len(RAW))


class Source:
    """Serves RAW; ``change`` may do to the answer to a range what it likes. Remembers the ranges it was asked for."""

    def __init__(self, change=lambda number, start, response: response) -> None:
        self.change = change
        self.starts: list[int] = []
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range") or "")
        if not match:
            return Response(200, {}, RAW)
        start, end = int(match[1]), int(match[2] or len(RAW) - 1)
        with self.lock:
            self.starts.append(start)
            number = len(self.starts)
        answer = Response(206, {"Content-Range": f"bytes {start}-{end}/{len(RAW)}"}, RAW[start : end + 1])
        return self.change(number, start, answer)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Every connection counts as slow, and the blob as huge."""
    monkeypatch.setattr(ranges, "PART_BYTES", PART)
    monkeypatch.setattr(ranges.RangedDownload, "_pays", lambda *_: True)
    monkeypatch.setattr("azext_acrimport.engine.registry.repository.HUGE_BYTES", PART)


@contextlib.contextmanager
def repository(origin: Origin, handler: Handler, cancellation: Cancellation):
    """A repository that this handler serves."""
    options = TransportOptions(retry=RetryPolicy(attempts=3, base=0.0))
    with Listener(handler) as listener:
        transport = Transport(origin, options, cancellation)
        client = RegistryClient(listener.address, listener.address, transport, lambda: ANONYMOUS)
        try:
            yield RegistryRepository(client, "app")
        finally:
            transport.close()


@contextlib.contextmanager
def reading(source: Source, free: int = 4, blob: Descriptor = BLOB):
    """A reader of the blob, what is to spare, and the cancellation; afterwards all is given back and ended."""
    cancellation, spare = Cancellation(), Spare(lambda: free)
    with repository("source", source, cancellation) as store:
        reader = store.blob(blob).observed(lambda done: None, cancellation, spare).open()
        try:
            yield reader, spare, cancellation
        finally:
            reader.close()
    assert_all_ended(spare)


def assert_all_ended(spare: Spare) -> None:
    """Nothing is held, and nobody reads."""
    assert spare.taken == 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("acrimport-part")]


def whole(reader) -> bytes:
    """All of it."""
    return b"".join(iter(lambda: reader.read(10_000), b""))


def test_parts_out_of_order_arrive_in_order():
    """The first part is answered only when the three after it have been asked for."""
    asked = threading.Event()

    def change(number, start, response):
        if number == 4:
            asked.set()
        if start == min(source.starts):
            assert asked.wait(20)
        return response

    source = Source(change)
    with reading(source) as (reader, _, _):
        assert whole(reader) == RAW
    assert len(source.starts) == len(set(source.starts)) > 30


def plain(number, start, response):
    """As a server without ranges answers."""
    return Response(200, {}, RAW)


def lying(number, start, response):
    """Other bytes than were asked for."""
    if "-" + str(len(RAW) - 1) in response.headers["Content-Range"]:
        return response
    return Response(
        206, {"Content-Range": f"bytes {start + 1}-{start + PART}/{len(RAW)}"}, RAW[start + 1 : start + PART + 1]
    )


def refusing(number, start, response):
    """Of parts; the rest of the whole may be had."""
    return response if "-" + str(len(RAW) - 1) in response.headers["Content-Range"] else Response(416)


def late(number, start, response):
    """Ranges are gone after some parts have been used."""
    return response if number < 9 else refusing(number, start, response)


def throttling(number, start, response):
    """Asks for quiet once."""
    return Response(429, {"Retry-After": "0"}) if number == 6 else response


def cut(number, start, response):
    """Every third answer breaks in the middle."""
    response.cut_after = PART // 2 if number % 3 == 0 else None
    return response


@pytest.mark.parametrize("change", [plain, lying, refusing, late, throttling, cut], ids=lambda f: f.__name__)
def test_source_that_does_other_than_asked(change):
    """One stream as before, or the part again from where it broke; never a failure."""
    source = Source(change)
    with reading(source) as (reader, _, _):
        assert whole(reader) == RAW
    assert source.starts


def test_wrong_content_is_refused():
    """The digest is taken over all parts in order."""

    def change(number, start, response):
        response.body = bytes(len(response.body)) if number == 7 else response.body
        return response

    with reading(Source(change)) as (reader, _, _), pytest.raises(DigestMismatch):
        whole(reader)


@pytest.mark.parametrize("free", [0, 1])
def test_nothing_to_spare(free):
    """One ordinary download."""
    source = Source()
    with reading(source, free) as (reader, _, _):
        assert whole(reader) == RAW
    assert source.starts == []


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_fewer_threads_are_allowed_than_helpers(monkeypatch, allowed):
    """Those that there are help; without any it is an ordinary download."""
    few_threads.allow(monkeypatch, allowed, "acrimport-part")
    source = Source()
    with reading(source, 4) as (reader, _, _):
        assert whole(reader) == RAW
    assert bool(source.starts) is bool(allowed)


def test_no_more_parts_than_helpers():
    """Nobody takes what is there: three parts are begun, and no fourth; closing ends those who wait."""
    source = Source()
    with reading(source, 3) as (reader, spare, _):
        while not spare.taken:
            reader.read(PART)
        helped = reader._stream._helped
        with helped._changed:
            assert helped._changed.wait_for(
                lambda: sum(len(b) for p in helped._begun for b in p.blocks) == 3 * PART, 20
            )
        assert len(source.starts) == 3
    assert len(source.starts) == 3


def test_cancelled_while_parts_hang():
    """The reader and all helpers end, though the source sends nothing."""
    hanging, free = threading.Semaphore(0), threading.Event()

    def change(number, start, response):
        hanging.release()
        free.wait(20)
        return response

    with reading(Source(change)) as (reader, _, cancellation):

        def cancel():
            for _ in range(4):
                hanging.acquire()
            cancellation.cancel()
            free.set()

        threading.Thread(target=cancel).start()
        with pytest.raises(Cancelled):
            whole(reader)


def test_upload_that_breaks_begins_anew(monkeypatch, tmp_path):
    """The helpers of the broken one end, and the next one has its own; by chunks now, and whole."""
    monkeypatch.setattr("azext_acrimport.engine.registry.upload.CHUNK_BYTES", 7 * PART)
    registry, uploads = Registry(Storage(tmp_path)), []

    def breaking(request: Request) -> Response:
        if request.method not in ("PUT", "PATCH"):
            return registry(request)
        uploads.append(request.method)
        if len(uploads) not in (1, 4):
            return registry(request)
        request.body.read(3 * PART)
        raise ConnectionResetError("cut")

    source, cancellation, spare = Source(), Cancellation(), Spare(lambda: 4)
    with repository("source", source, cancellation) as here, repository("target", breaking, cancellation) as there:
        there.put_blob(BLOB, here.blob(BLOB).observed(lambda done: None, cancellation, spare))
        assert there.has_blob(BLOB)
    assert_all_ended(spare)
    assert uploads[:4] == ["PUT", "PATCH", "PATCH", "PATCH"] and len(uploads) > 8
    assert source.starts
