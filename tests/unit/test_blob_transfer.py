# SPDX-License-Identifier: MIT
"""Downloads that are taken up again, uploads that start anew: one blob, against scripted registries."""

from __future__ import annotations

import base64
import io
import json
import re
import threading

import pytest

from azext_acrimport.engine import (
    ANONYMOUS,
    Body,
    Descriptor,
    Digest,
    NetworkError,
    NotFound,
    RateLimited,
    RegistryClient,
    RegistryError,
    RegistryRepository,
    ServerError,
    Truncated,
    UploadLost,
)
from azext_acrimport.engine.cancellation import FAREWELL
from azext_acrimport.engine.registry import upload as upload_module
from azext_acrimport.engine.waiting import Attempts, Postponed
from tests.support.leftovers import PATIENCE
from tests.support.scripted import Script, answer, transport

RAW = bytes(range(256)) * 4
BLOB = Descriptor("application/octet-stream", Digest.of(RAW), len(RAW))
START = "/v2/app/blobs/uploads/"


def repository(script: Script, origin: str) -> RegistryRepository:
    """One side's repository."""
    of = RegistryClient("r.test", "r.test", transport(script, origin=origin), lambda: ANONYMOUS)
    return RegistryRepository(of, "app")


def download(script: Script) -> bytes:
    """The whole blob, verified."""
    reader = repository(script, "source").blob(BLOB).open()
    return b"".join(iter(lambda: reader.read(100), b""))


def partial(start: int, end: int = len(RAW), total: int = len(RAW)):
    """206."""
    return answer(206, {"Content-Range": f"bytes {start}-{end - 1}/{total}"}, RAW[start:end])


def test_download_goes_on_where_it_broke():
    """Asked with Range, hashed on."""
    script = Script([answer(body=RAW[:300]), partial(300, 700), partial(700)])
    assert download(script) == RAW
    assert [sent.headers.get("Range") for sent in script.sent] == [None, "bytes=300-", "bytes=700-"]


def test_download_from_a_server_without_range():
    """200 instead of 206: what is here already is read over."""
    assert download(Script([answer(body=RAW[:300]), answer(body=RAW)])) == RAW


def test_download_from_a_server_with_its_own_idea_of_the_range():
    """It may start before what was asked for, but not after."""
    assert download(Script([answer(body=RAW[:300]), partial(256)])) == RAW
    assert download(Script([answer(body=RAW[:300]), partial(400), partial(300)])) == RAW


def test_download_that_brings_nothing_ends():
    """Attempts count anew only when bytes have come."""
    script = Script(lambda sent: answer(body=RAW[:300]) if "Range" not in sent.headers else answer(416))
    with pytest.raises(NetworkError, match="ended after 300 of 1024 bytes") as caught:
        download(script)
    assert caught.value.code == "source-unreachable"
    assert len(script.sent) == 4  # each request that brings no byte is an attempt


def test_download_that_brings_hardly_anything_ends():
    """A byte with each connection would take as many connections as the blob has bytes."""

    def answers(sent):
        start = int(sent.headers.get("Range", "bytes=0-")[6:-1])
        return answer(206 if start else 200, {"Content-Range": f"bytes {start}-"}, RAW[start : start + 1])

    script = Script(answers)
    with pytest.raises(NetworkError, match="ended after 4 of 1024 bytes"):
        download(script)
    assert len(script.sent) == 4


class Breaking(io.BytesIO):
    """A body whose connection breaks after so many bytes."""

    def __init__(self, raw: bytes, after: int) -> None:
        super().__init__(raw)
        self.left = after

    def read1(self, size: int = -1, /) -> bytes:
        """As it comes: never all that is wanted."""
        if not self.left:
            raise ConnectionResetError("Connection reset by peer")
        block = super().read(min(size, self.left, 100_000))
        self.left -= len(block)
        return block

    def read(self, size: int = -1, /) -> bytes:
        """All that is wanted, or nothing."""
        if size > self.left:
            raise ConnectionResetError("Connection reset by peer")
        return self.read1(size)


def test_download_that_breaks_within_every_block_gets_there():
    """What came of a block counts, or a line that is cut every 900 kB would never bring one of a megabyte."""
    raw = bytes(10_000_000)
    blob = Descriptor("x", Digest.of(raw), len(raw))

    def answers(sent):
        start = int(sent.headers.get("Range", "bytes=0-")[6:-1])
        headers = {"Content-Range": f"bytes {start}-{len(raw) - 1}/{len(raw)}", "Content-Length": str(len(raw) - start)}
        return answer(206 if start else 200, headers, Breaking(raw[start:], 900_000))

    script = Script(answers)
    reader = repository(script, "source").blob(blob).open()
    assert sum(map(len, iter(lambda: reader.read(1024 * 1024), b""))) == len(raw)
    assert len(script.sent) == 12


@pytest.mark.parametrize("start", ["", "bytes */1024", "bytes x-", f"bytes {'9' * 5000}-", "bytes 1023-"])
def test_download_survives_a_nonsensical_range(start):
    """Without a start it is taken for the whole; a start too late is a failed attempt."""
    broken = answer(206, {"Content-Range": start}, RAW)
    assert download(Script([answer(body=RAW[:300]), broken, partial(300)])) == RAW


def test_download_of_a_missing_blob():
    """Final at once."""
    with pytest.raises(NotFound):
        download(Script([answer(404)]))


def stored():
    """As the specification has it: with the blob's address."""
    return answer(201, {"Location": f"/v2/app/blobs/{BLOB.digest}"})


class Uploads:
    """A registry's upload endpoint: POST opens, PATCH and PUT take bytes; ``refuse`` may answer first."""

    def __init__(self, refuse=lambda number, sent: None, location="/v2/app/blobs/uploads/1?_state=0") -> None:
        self.refuse = refuse
        self.location = location
        self.received = b""
        self.stored: bytes | None = None
        self.cancelled = 0
        self.number = 0

    def __call__(self, sent):
        self.number += 1
        refusal = self.refuse(self.number, sent)
        if refusal is not None:
            return refusal
        if sent.method == "POST":
            self.received = b""
            return answer(202, {"Location": self.location})
        if sent.method == "DELETE":
            self.cancelled += 1
            return answer(204)
        if sent.method == "PATCH":
            start, end = map(int, re.fullmatch(r"(\d+)-(\d+)", sent.headers["Content-Range"]).groups())
            assert (start, end + 1 - start) == (len(self.received), len(sent.body))
        self.received += sent.body
        if sent.method == "PATCH":
            return answer(202, {"Location": f"/v2/app/blobs/uploads/1?_state={len(self.received)}"})
        assert f"digest=sha256%3A{Digest.of(self.received).hex}" in sent.url
        self.stored = self.received
        return stored()


def upload(registry: Uploads, raw: bytes = RAW) -> Script:
    """Put one blob; the script of what was sent."""
    script = Script(registry)
    repository(script, "target").put_blob(BLOB, Body(BLOB, lambda: io.BytesIO(raw)))
    return script


def test_upload_is_two_requests():
    """POST and one PUT, at the Location with its query kept."""
    registry = Uploads()
    script = upload(registry)
    assert registry.stored == RAW
    assert [sent.method for sent in script.sent] == ["POST", "PUT"]
    assert "_state=0&digest=" in script.sent[1].url
    assert script.sent[1].headers["Content-Length"] == str(len(RAW))


@pytest.mark.parametrize(
    "location",
    ["/v2/app/blobs/uploads/1?_state=0", "https://r.test/v2/app/blobs/uploads/1", "http://r.test/v2/app/blobs/uploads/1",
     "https://r.test:443/v2/app/blobs/uploads/1"],
)  # fmt: skip
def test_location_stays_at_the_registry_and_with_tls(location):
    """A registry behind a proxy may not know its own scheme or port."""
    script = upload(Uploads(location=location))
    assert script.sent[1].url.startswith("https://r.test/v2/app/blobs/uploads/1")


def test_large_put_that_is_refused_becomes_chunks(monkeypatch):
    """413 of a front end; the next blob is sent by chunks at once."""
    monkeypatch.setattr(upload_module, "CHUNK_BYTES", 400)
    registry = Uploads(lambda _, sent: answer(413) if sent.method == "PUT" and sent.body else None)
    script = Script(registry)
    target = repository(script, "target")
    for _ in range(2):
        target.put_blob(BLOB, Body(BLOB, lambda: io.BytesIO(RAW)))
        assert registry.stored == RAW
    methods = [sent.method for sent in script.sent]
    assert methods == ["POST", "PUT", "DELETE", *["POST", "PATCH", "PATCH", "PATCH", "PUT"] * 2]
    # a registry may hash all of it when an upload is closed: that is waited for as for the bytes
    assert {sent.options["timeout"][1] for sent in script.sent if sent.method in ("PATCH", "PUT")} == {300}


def test_large_put_that_is_cut_becomes_chunks_for_the_registry(monkeypatch):
    """As 413 does: for its other repositories, too, and for what is as large. What is smaller goes whole."""
    monkeypatch.setattr(upload_module, "CHUNK_BYTES", 400)
    cut = ConnectionResetError("Connection reset by peer")
    registry = Uploads(lambda _, sent: cut if sent.method == "PUT" and len(sent.body) > 900 else None)
    script = Script(registry)
    of = RegistryClient("r.test", "r.test", transport(script, origin="target"), lambda: ANONYMOUS)
    for name in ("app", "other", "third"):
        RegistryRepository(of, name).put_blob(BLOB, Body(BLOB, lambda: io.BytesIO(RAW)))
        assert registry.stored == RAW
    methods = [sent.method for sent in script.sent]
    assert methods == ["POST", "PUT", "DELETE", *["POST", "PATCH", "PATCH", "PATCH", "PUT"] * 3]
    small = Descriptor("x", Digest.of(RAW[:800]), 800)
    RegistryRepository(of, "app").put_blob(small, Body(small, lambda: io.BytesIO(RAW[:800])))
    assert [sent.method for sent in script.sent[-2:]] == ["POST", "PUT"]


def test_413_is_one_whatever_its_body_says(monkeypatch):
    """A lost session would be sent whole again and again."""
    monkeypatch.setattr(upload_module, "CHUNK_BYTES", 400)
    body = b'{"errors": [{"code": "SIZE_INVALID", "message": "too large"}]}'
    registry = Uploads(lambda _, sent: answer(413, body=body) if sent.method == "PUT" and sent.body else None)
    assert [sent.method for sent in upload(registry).sent][:5] == ["POST", "PUT", "DELETE", "POST", "PATCH"]
    assert registry.stored == RAW


@pytest.mark.parametrize("raw", [RAW, bytes(5 * 1024 * 1024)], ids=["small", "large"])
@pytest.mark.parametrize("trouble", [answer(504), ConnectionResetError("Connection reset by peer")], ids=["504", "cut"])
@pytest.mark.parametrize("chunk", [8 * 1024 * 1024, 600], ids=["whole", "by chunks"])
@pytest.mark.parametrize("worker", [False, True], ids=["alone", "in a worker"])
def test_blob_that_was_stored_all_the_same_is_not_sent_again(monkeypatch, raw, trouble, chunk, worker):
    """The answer to the last request was lost on its way: one HEAD finds out."""
    blob, asked = Descriptor("x", Digest.of(raw), len(raw)), []

    def answers(sent):
        asked.append(sent.method)
        if sent.method == "POST":
            return answer(202, {"Location": "/v2/app/blobs/uploads/1?_state=0"})
        if sent.method == "HEAD":
            return answer(200 if "PUT" in asked else 404)
        return {"PUT": trouble, "PATCH": answer(202), "DELETE": answer(204)}[sent.method]

    monkeypatch.setattr(upload_module, "CHUNK_BYTES", chunk)
    target = repository(Script(answers), "target")
    target._client.too_large = chunk + 1
    body = Body(blob, lambda: io.BytesIO(raw))

    def bring() -> str:
        return target.bring_blob(blob, body, "other")

    attempts = Attempts()
    while worker:
        try:
            assert attempts.postponing(bring) == "copied"
            break
        except Postponed:
            continue
    assert worker or bring() == "copied"
    assert asked.count("PUT") == 1


@pytest.mark.parametrize(
    ("acr", "granted", "cancelled"),
    [(False, (), 1), (True, ("pull", "push"), 0), (True, ("delete", "pull", "push"), 1)],
    ids=["another registry", "ACR", "ACR, with the right to delete"],
)
def test_upload_is_cancelled_where_that_needs_no_other_right(acr, granted, cancelled):
    """ACR answers 401 to who may only push: another token would be asked for, in vain."""
    access = [{"type": "repository", "name": "app", "actions": granted}]
    claims = base64.urlsafe_b64encode(json.dumps({"access": access}).encode()).decode().rstrip("=")
    registry = Uploads(lambda number, sent: answer(503) if sent.method == "PUT" and registry.stored is None else None)

    def answers(sent):
        if sent.url.startswith("https://r.test/token"):
            return answer(body=json.dumps({"access_token": f"h.{claims}.s"}).encode())
        if acr and "Authorization" not in sent.headers:
            return answer(401, {"WWW-Authenticate": 'Bearer realm="https://r.test/token",service="r.test"'})
        return registry(sent)

    script = Script(answers)
    of = RegistryClient("r.test", "r.test", transport(script, origin="target"), lambda: ANONYMOUS, acr=acr)
    with pytest.raises(ServerError):
        RegistryRepository(of, "app").put_blob(BLOB, Body(BLOB, lambda: io.BytesIO(RAW)))
    attempts = len([sent for sent in script.sent if sent.method == "PUT"])
    assert registry.cancelled == cancelled * attempts
    assert len([sent for sent in script.sent if "/token" in sent.url]) == acr


@pytest.mark.parametrize(
    "trouble",
    [answer(404), answer(416), answer(503), ConnectionResetError("Connection reset by peer")],
    ids=["session gone", "out of step", "busy", "cut"],
)
def test_upload_that_fails_starts_anew(trouble):
    """With a new session and from the first byte; the old session is cancelled."""
    registry = Uploads(lambda number, _: trouble if number == 2 else None)
    script = upload(registry)
    assert registry.stored == RAW
    assert registry.cancelled == 1
    assert [sent.method for sent in script.sent][:4] == ["POST", "PUT", "DELETE", "POST"]


def test_registry_that_asks_for_quiet_gets_it():
    """One wait, and no DELETE before it; hours are not waited for at all."""
    registry = Uploads(lambda number, _: answer(429, {"Retry-After": "57"}) if number == 2 else None)
    script = Script(registry)
    target = repository(script, "target")
    target.put_blob(BLOB, Body(BLOB, lambda: io.BytesIO(RAW)))
    assert [sent.method for sent in script.sent] == ["POST", "PUT", "POST", "PUT"]
    assert target._client.transport.cancellation.waits == [pytest.approx(57.1)]
    script = Script(Uploads(lambda number, _: answer(429, {"Retry-After": "21600"}) if number == 2 else None))
    target = repository(script, "target")
    with pytest.raises(RateLimited):
        target.put_blob(BLOB, Body(BLOB, lambda: io.BytesIO(RAW)))
    assert target._client.transport.cancellation.waits == []


def test_upload_by_chunks_is_cancelled_where_it_has_got_to(monkeypatch):
    """At the Location that the last chunk was answered with: an older one may be good for nothing."""
    monkeypatch.setattr(upload_module, "CHUNK_BYTES", 400)
    registry = Uploads(lambda number, sent: answer(400) if sent.method == "PATCH" and registry.received else None)
    script = Script(registry)
    target = repository(script, "target")
    target._client.too_large = 1
    with pytest.raises(RegistryError):
        target.put_blob(BLOB, Body(BLOB, lambda: io.BytesIO(RAW)))
    assert [sent.method for sent in script.sent] == ["POST", "PATCH", "PATCH", "DELETE"]
    assert script.sent[-1].url.endswith("?_state=400")


class Broken(io.BytesIO):
    """A source that fails at its first byte."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def read(self, size: int | None = -1) -> bytes:
        """Nothing."""
        raise self.error


@pytest.mark.parametrize(
    ("error", "longest"),
    [
        (NetworkError("s.test", "timeout", "it is silent", origin="source"), PATIENCE),
        (RateLimited("s.test", origin="source", status=429), PATIENCE),
        (KeyboardInterrupt(), FAREWELL),
    ],
    ids=["silent source", "source that wants quiet", "Ctrl-C"],
)
def test_upload_that_its_source_or_its_user_ends_is_cancelled(error, longest):
    """In as many seconds as that may take: the target has done nothing, but who presses Ctrl-C does not wait for it."""
    script = Script(Uploads())
    target = repository(script, "target")
    with pytest.raises(type(error)) as caught:
        target.put_blob(BLOB, Body(BLOB, lambda: Broken(error)))
    assert caught.value is error
    assert [sent.method for sent in script.sent] == ["POST", "DELETE"]
    assert max(script.sent[-1].options["timeout"]) == pytest.approx(longest)


def test_worker_does_not_wait_to_cancel_an_upload():
    """Quiet was asked for after it was opened: the worker does something else until then, and begins anew."""
    registry = Uploads(lambda _, sent: client.transport._gate("r.test").close(57, client.transport.cancellation))
    script = Script(registry)
    target = repository(script, "target")
    client = target._client
    with pytest.raises(Postponed):
        Attempts().postponing(lambda: target.put_blob(BLOB, Body(BLOB, lambda: io.BytesIO(RAW))))
    assert [sent.method for sent in script.sent] == ["POST"]
    assert client.transport.cancellation.waits == []


def test_worker_waits_in_the_middle_of_chunks(monkeypatch):
    """Quiet that was asked for of somebody else: what has been sent is not sent again."""
    monkeypatch.setattr(upload_module, "CHUNK_BYTES", 400)
    registry = Uploads(
        lambda number, _: (
            client.transport._gate("r.test").close(57, client.transport.cancellation) if number == 2 else None
        )
    )
    script = Script(registry)
    target = repository(script, "target")
    client = target._client
    client.too_large = 1
    Attempts().postponing(lambda: target.put_blob(BLOB, Body(BLOB, lambda: io.BytesIO(RAW))))
    assert registry.stored == RAW
    assert [sent.method for sent in script.sent] == ["POST", "PATCH", "PATCH", "PATCH", "PUT"]
    assert client.transport.cancellation.waits == [57]


def test_upload_that_keeps_failing_ends():
    """After as many attempts as the policy says."""
    with pytest.raises(UploadLost) as caught:
        upload(Uploads(lambda _, sent: answer(404) if sent.method == "PUT" else None))
    assert caught.value.code == "target-upload-lost"


def test_fault_of_the_source_is_not_tried_at_the_target():
    """It has been tried below; the session is cancelled, the blame stays."""
    registry = Uploads()
    with pytest.raises(Truncated) as caught:
        upload(registry, RAW[:-1])
    assert caught.value.origin == "source"
    assert (registry.stored, registry.cancelled) == (None, 1)


def test_empty_blob():
    """A PUT with a length of 0."""
    blob = Descriptor("x", Digest.of(b""), 0)
    script = Script([answer(202, {"Location": "/v2/app/blobs/uploads/1"}), stored()])
    repository(script, "target").put_blob(blob, Body(blob, lambda: io.BytesIO(b"")))
    assert script.sent[1].headers["Content-Length"] == "0"


LOST = answer(404, body=b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')
LARGE = bytes(5 * 1024 * 1024)


def opened():
    """An upload instead of a mount."""
    return answer(202, {"Location": "/v2/app/blobs/uploads/1"})


@pytest.mark.parametrize(
    ("raw", "origin", "answers", "outcome", "asked"),
    [
        (RAW, "team/other", [stored()], "mounted", "POST"),
        (RAW, "team/other", [opened(), stored()], "copied", "POST PUT"),
        (LARGE, "team/other", [opened(), answer(404), stored()], "copied", "POST HEAD PUT"),
        (LARGE, "team/other", [opened(), answer(200), answer(204)], "existing", "POST HEAD DELETE"),
        (RAW, "team/other", [answer(405), answer(200)], "existing", "POST HEAD"),
        (RAW, "team/other", [answer(403), answer(404), opened(), stored()], "copied", "POST HEAD POST PUT"),
        (RAW, "", [stored()], "existing", "POST"),
        (RAW, "", [opened(), stored()], "copied", "POST PUT"),
        (RAW, "", [answer(404), answer(404), opened(), stored()], "copied", "POST HEAD POST PUT"),
        (
            RAW,
            "",
            [opened(), LOST, answer(204), opened(), stored()],
            "copied",
            "POST PUT DELETE POST PUT",
        ),
        # a bare 201 may come from anybody: it is looked whether it is true
        (RAW, "", [answer(201), answer(404), opened(), stored()], "copied", "POST HEAD POST PUT"),
        (RAW, "", [opened(), answer(201), answer(200)], "copied", "POST PUT HEAD"),
        (
            RAW,
            "",
            [opened(), answer(201), answer(404), answer(204), opened(), stored()],
            "copied",
            "POST PUT HEAD DELETE POST PUT",
        ),
        (LARGE, "", [answer(200)], "existing", "HEAD"),
        (LARGE, "", [answer(404), opened(), stored()], "copied", "HEAD POST PUT"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bringing(raw, origin, answers, outcome, asked):
    """As few requests as will do; an upload that was opened is used, or cancelled."""
    blob, script = Descriptor("x", Digest.of(raw), len(raw)), Script(answers)
    body = Body(blob, lambda: io.BytesIO(raw))
    assert repository(script, "target").bring_blob(blob, body, origin) == outcome
    assert script.answers == []
    assert " ".join(sent.method for sent in script.sent) == asked
    if script.sent[0].method == "POST":
        whose = "team%2Fother" if origin else "app"
        assert script.sent[0].url.endswith(f"{START}?mount=sha256%3A{blob.digest.hex}&from={whose}")


@pytest.mark.parametrize(
    ("looked", "mounted", "outcome", "asked"),
    [
        (answer(404), opened(), "copied", "HEAD POST PUT"),
        (answer(200), opened(), "existing", "DELETE HEAD POST"),
        (answer(200), stored(), "existing", "HEAD POST"),
        (answer(404), answer(403), "copied", "HEAD POST POST PUT"),
        (answer(503), opened(), "copied", "HEAD HEAD POST PUT"),
        (answer(429), opened(), "copied", "HEAD HEAD POST PUT"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bringing_at_once(looked, mounted, outcome, asked):
    """A large blob is looked for while its upload is opened; an answer that tells nothing is asked for once more."""
    blob, together = Descriptor("x", Digest.of(LARGE), len(LARGE)), threading.Barrier(2)
    first: dict[str, list] = {}

    def answered(sent):
        if first.get(sent.method):
            together.wait(30)  # neither has its answer before the other is asked
            return first[sent.method].pop()
        return {"HEAD": answer(404), "POST": opened(), "PUT": stored(), "DELETE": answer(204)}[sent.method]

    script = Script(answered)
    target, body = repository(script, "target"), Body(blob, lambda: io.BytesIO(LARGE))
    assert target.find("1") is None  # the first request of all is alone
    first |= {"HEAD": [looked], "POST": [mounted]}
    assert target.bring_blob(blob, body, at_once=True) == outcome
    assert " ".join(sorted(sent.method for sent in script.sent[1:])) == asked


def test_registry_that_refuses_to_look_is_not_asked_again():
    """Every blob would cost a request more."""
    script = Script([answer(400), answer(200), answer(200)])
    target = repository(script, "target")
    for _ in range(2):
        assert target.bring_blob(BLOB, Body(BLOB, lambda: io.BytesIO(RAW))) == "existing"
    assert [sent.method for sent in script.sent] == ["POST", "HEAD", "HEAD"]
