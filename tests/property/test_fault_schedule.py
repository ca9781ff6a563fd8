# SPDX-License-Identifier: MIT
"""Every kind of trouble, at every step of a copy, on both sides, at the first, a middle and the last byte.

Whatever happens once, or all the time: the tag names the whole image, or it is as it was and the report says why; and
in fair weather a second run ends the work.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from azext_acrimport.engine import (
    ANONYMOUS,
    Cancellation,
    CopyRequest,
    Destination,
    RegistryClient,
    RegistryRepository,
    RetryPolicy,
    Transport,
    TransportOptions,
    copy_images,
)
from azext_acrimport.engine.copy import limits as limits_module
from azext_acrimport.engine.registry import download as download_module
from azext_acrimport.engine.registry import upload as upload_module
from azext_acrimport.engine.transport import response as response_module
from tests.sandbox import images
from tests.sandbox.faults import Faults
from tests.sandbox.registry import Oddities, Registry
from tests.sandbox.server import Handler, Listener, Request, Response
from tests.sandbox.storage import Storage
from tests.support.content import everything, tag_digest, tree

CHILD = images.image("schedule", (3000, 200))
IMAGE = images.index([("linux/amd64", CHILD), ("linux/arm64/v8", images.image("schedule-arm", (2500,)))])
SBOM = images.artifact("schedule", subject=IMAGE.descriptor())
OLD = images.image("schedule-old")
LAYER = json.loads(CHILD.raw)["layers"][0]["digest"]
SIGNED = images.cosign(IMAGE, ".sig", b"payload")
BY_DIGEST = "/v2/app/manifests/sha256:.*"

Trouble = dict[str, Any]


def damaged(place: float) -> Callable[[bytes], bytes]:
    """One byte is another."""

    def damage(body: bytes) -> bytes:
        at = int(place * max(0, len(body) - 1))
        return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] if body else b"x"

    return damage


def broken(place: float) -> Callable[[Request], None]:
    """The connection breaks while the request's body comes."""

    def read(request: Request) -> None:
        request.body.read(int(place * int(request.headers.get("Content-Length") or 0)) or 1)
        raise ConnectionResetError("cut by a fault")

    return read


def silent(request: Request) -> None:
    """No answer; until the client has had enough."""
    ENDED.wait(1.0)
    raise ConnectionResetError("silence")


ENDED = threading.Event()
PLACES = {"first": 0.0, "middle": 0.5, "last": 1.0}
HTML = Response(200, {"Content-Type": "text/html"}, b"<html>Sign in to the hotel's network</html>")
ANSWERS: dict[str, Trouble] = {
    **{f"{status}": {"answer": Response(status)} for status in (401, 404, 500, 503)},
    "429": {"answer": Response(429, {"Retry-After": "0"})},
    "HTML": {"answer": HTML},
    "silence": {"before": silent},
    "no answer": {"lost": True},
    "redirect": {"answer": Response(307, {"Location": "https://169.254.169.254/"})},
}
BODIES: dict[str, Trouble] = {
    **{f"reset at the {name} byte": {"share": place} for name, place in PLACES.items()},
    **{f"end at the {name} byte": {"share": place, "cut": "end"} for name, place in PLACES.items()},
    **{f"silence at the {name} byte": {"share": place, "cut": "silence"} for name, place in PLACES.items()},
    **{f"wrong {name} byte": {"damage": damaged(place)} for name, place in PLACES.items()},
    "short": {"damage": lambda body: body[:-1]},
    "long": {"damage": lambda body: body + b" "},
    "slow": {"pause": 0.003},
}
SENT: dict[str, Trouble] = {
    f"reset when the {name} byte has come": {"before": broken(place)} for name, place in PLACES.items()
}
ELSEWHERE = {"Location": "/v2/app/blobs/uploads/elsewhere?_state=x"}
UPLOADED: dict[str, Trouble] = {
    "lost session": {"answer": Response(404, {}, b'{"errors": [{"code": "BLOB_UPLOAD_INVALID"}]}')},
    "416": {"answer": Response(416)},
    "changed Location": {"answer": Response(202, ELSEWHERE)},
}
STORED_NOTHING: Trouble = {"answer": Response(201)}
STORED = {"201 without having stored": STORED_NOTHING, "504 after having stored": {"lost": True}}
# "no API here", "no such tag": clear answers, which nobody can doubt; what vouches for the image comes the next time
CLEAR = ("404", "HTML")
# one byte of a list that is not hashed cannot be seen
LISTS = {name: trouble for name, trouble in {**ANSWERS, **BODIES}.items() if name != "wrong middle byte"}

# side, method, path, skip (so many are let through), what may happen
STEPS: dict[str, tuple[str, str, str, int, dict[str, Trouble]]] = {
    "source: tag": ("source", "HEAD", "/v2/app/manifests/1", 0, ANSWERS),
    "source: index": ("source", "GET", BY_DIGEST, 0, {**ANSWERS, **BODIES}),
    "source: child": ("source", "GET", BY_DIGEST, 1, {**ANSWERS, **BODIES}),
    "source: layer": ("source", "GET", f"/v2/app/blobs/{LAYER}", 0, {**ANSWERS, **BODIES}),
    "source: last blob": ("source", "GET", "/v2/app/blobs/.*", 5, {**ANSWERS, **BODIES}),
    "source: referrers": ("source", "GET", "/v2/app/referrers/.*", 0, LISTS),
    "source: cosign's tag": ("source", "HEAD", "/v2/app/manifests/sha256-.*", 0, ANSWERS),
    "source: token": ("source", "GET", "/token", 0, {**ANSWERS, **BODIES}),
    "target: tag": ("target", "HEAD", "/v2/app/manifests/1", 0, ANSWERS),
    "target: tag, once more": ("target", "HEAD", "/v2/app/manifests/1", 1, ANSWERS),
    "target: referrers": ("target", "GET", "/v2/app/referrers/.*", 0, {**ANSWERS, **BODIES}),
    "target: upload": ("target", "POST", "/v2/app/blobs/uploads/", 0, {
        **ANSWERS, "false mount": STORED_NOTHING, "mount refused": {"answer": Response(405)},
        "202 without a Location": {"answer": Response(202)}, "changed Location": UPLOADED["changed Location"],
    }),
    "target: blob": ("target", "PUT", "/v2/app/blobs/uploads/.*", 0, {**ANSWERS, **SENT, **UPLOADED, **STORED}),
    "target: last blob": ("target", "PUT", "/v2/app/blobs/uploads/.*", 5, {**ANSWERS, **SENT, **UPLOADED, **STORED}),
    "target: chunk": ("target", "PATCH", "/v2/app/blobs/uploads/.*", 1, {**ANSWERS, **SENT, **UPLOADED}),
    "target: child": ("target", "PUT", "/v2/app/manifests/" + CHILD.digest, 0, {**ANSWERS, **SENT, **STORED}),
    "target: referrer": ("target", "PUT", "/v2/app/manifests/" + SBOM.digest, 0, {**ANSWERS, **SENT, **STORED}),
    "target: cosign's tag": ("target", "PUT", "/v2/app/manifests/sha256-.*", 0, {**ANSWERS, **SENT, **STORED}),
    "target: new tag": ("target", "PUT", "/v2/app/manifests/1", 0, {**ANSWERS, **SENT, **STORED}),
    # a registry that does not look whether it has what a manifest names
    "unstrict target: blob": ("target", "PUT", "/v2/app/blobs/uploads/.*", 0, STORED),
    "unstrict target: mount": ("target", "POST", "/v2/app/blobs/uploads/", 0, {"false mount": STORED_NOTHING}),
    "target: token": ("target", "GET", "/token", 0, {**ANSWERS, **BODIES}),
}  # fmt: skip

VOUCHING = ("source: referrers", "source: cosign's tag")

SCHEDULE = [
    pytest.param(step, kind, times, id=f"{step}, {kind}, {'once' if times == 1 else 'always'}")
    for step, (*_, troubles) in STEPS.items()
    for kind in troubles
    # what happens all the time differs from what happens once only where it is not final
    for times in ((1,) if "byte" in kind or kind in ("404", "redirect") else (1, 99))
]


def signed_in(content: Handler) -> Handler:
    """Behind a token service; a token is good for forty requests."""
    lock, numbers = threading.Lock(), itertools.count()
    left: dict[str, int] = {}

    def handler(request: Request) -> Response:
        with lock:
            if request.path == "/token":
                token = f"t{next(numbers)}"
                left[token] = 40
                return Response(200, {}, json.dumps({"token": token}).encode())
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not left.get(token):
                return Response(401, {"WWW-Authenticate": 'Bearer realm="/token"'})
            left[token] -= 1
        return content(request)

    return handler


def copy(source: str, target: str, jobs: int, patience: float):
    """One import with force, with hardly any patience, in seconds."""
    cancellation = Cancellation()
    options = TransportOptions(
        retry=RetryPolicy(attempts=3, base=0.001), connect_timeout=60, read_timeout=patience, upload_timeout=patience
    )
    stores = []
    for origin, host in (("source", source), ("target", target)):
        client = RegistryClient(host, host, Transport(origin, options, cancellation), lambda: ANONYMOUS)
        client._meeting.known_base = f"http://{host}"
        stores.append(RegistryRepository(client, "app"))
    request = CopyRequest(stores[0], "1", (Destination(stores[1], ("1",)),), True, referrers=True)
    return copy_images([request], cancellation, jobs=jobs).items[0]


def be_impatient(patch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a slow body for longer than a part of a second."""
    patch.setattr(download_module, "PROGRESS_SECONDS", 0.25)
    patch.setattr(response_module, "SLICE_SECONDS", 0.05)
    patch.setattr(response_module, "SMALL_BODY_SECONDS", 0.25)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A layer is three chunks, and no pause is long."""
    monkeypatch.setattr(upload_module, "CHUNK_BYTES", 1024)
    monkeypatch.setattr(limits_module, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(limits_module, "KNOCK", 0.05)
    ENDED.clear()
    yield
    ENDED.set()


def test_schedule_is_long():
    """As many rows as were promised."""
    assert len(SCHEDULE) >= 300


@pytest.mark.leaves_uploads  # whose requests were hit
@pytest.mark.parametrize(("step", "kind", "times"), SCHEDULE)
def test_trouble_leaves_the_tag_complete_or_as_it_was(tmp_path, step, kind, times):
    """And says which side it was; where time decides, a busy machine may be as slow as the fault."""
    slow = kind == "slow" or "silence" in kind
    side, method, path, skip, troubles = STEPS[step]
    number = sum(map(ord, step + kind)) + times
    jobs, tagged = 1 + 2 * (number % 2), number % 3 == 0
    source = Registry(Storage(tmp_path / "source"))
    oddities = Oddities(max_put=2000 if "chunk" in step else None, looks="unstrict" not in step)
    target = Registry(Storage(tmp_path / "target"), oddities)
    for artifact in (IMAGE, SBOM, SIGNED[1]):
        artifact.push(source, "app", *(["1"] if artifact is IMAGE else [SIGNED[0]] if artifact is SIGNED[1] else []))
    if tagged:
        OLD.push(target, "app", "1")
    weather = {"source": Faults(), "target": Faults()}
    fault = weather[side].add(method=method, path=path, skip=skip, times=times, **troubles[kind])
    with (
        Listener(weather["source"].around(signed_in(source))) as here,
        Listener(weather["target"].around(signed_in(target))) as there,
    ):
        with pytest.MonkeyPatch.context() as patch:
            if slow:
                be_impatient(patch)
            result = copy(here.address, there.address, jobs, 0.3 if "silence" in kind else 60)
        assert fault.seen > skip, "it did not happen"
        named = tag_digest(target, "app", "1")
        if result.error is None:
            assert named == IMAGE.digest
            compared = tree if kind in CLEAR and step in VOUCHING else everything
            assert compared(target, "app", "1") == compared(source, "app", "1")
        else:
            assert named in ((OLD.digest if tagged else None), IMAGE.digest)
            assert result.error.origin == side or slow
            if named:
                tree(target, "app", "1")
        if side == "source" and not slow:
            assert not target.storage.repository("app").uploads
        weather[side].clear()
        assert copy(here.address, there.address, jobs, 60).error is None
    assert everything(target, "app", "1") == everything(source, "app", "1")
