# SPDX-License-Identifier: MIT
"""The sandbox's registry refuses what real ones refuse: else tests against it would prove nothing."""

from __future__ import annotations

import hashlib
import http.client
import json
from urllib.parse import urlsplit

import pytest

from tests.sandbox import images
from tests.sandbox.registry import Oddities, Registry
from tests.sandbox.server import Listener, Response, call
from tests.sandbox.storage import Storage, digest_of

RAW = images.noise("strict", 1000)
DIGEST = digest_of(RAW)
ZEROS = f"sha256:{'0' * 64}"
IMAGE = images.image("strict")
CONFIG = next(iter(IMAGE.blobs))
TYPED = {"Content-Type": images.OCI_MANIFEST}

# The requests are the tests' own: there is no copy that has to tidy up.
pytestmark = pytest.mark.leaves_uploads


@pytest.fixture
def registry(tmp_path) -> Registry:
    """As strict as it can be, with one image in app:1."""
    registry = Registry(Storage(tmp_path), Oddities(strict_length=True, referrers_page=2))
    IMAGE.push(registry, "app", "1")
    return registry


def codes(response: Response) -> tuple[int, list[str]]:
    """Status, and the codes of the body."""
    return response.status, [error["code"] for error in json.loads(response.body)["errors"]]


def begin(registry: Registry) -> str:
    """Where an upload goes."""
    return call(registry, "POST", "/v2/app/blobs/uploads/", expect=202).headers["Location"]


def test_upload_state_changes_and_a_stale_one_ends_the_session(registry):
    """Locations are relative, and each is good for one request."""
    first = begin(registry)
    assert urlsplit(first).netloc == ""
    second = call(registry, "PATCH", first, body=RAW[:400], expect=202).headers["Location"]
    assert second != first
    assert codes(call(registry, "PATCH", first, body=RAW[400:])) == (404, ["BLOB_UPLOAD_INVALID"])
    assert codes(call(registry, "PUT", f"{second}&digest={DIGEST}")) == (404, ["BLOB_UPLOAD_INVALID"])


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("0-399", (202, [])),
        ("400-799", (416, ["RANGE_INVALID"])),
        ("0-400", (416, ["RANGE_INVALID"])),
        ("bytes 0-399/*", (416, ["BLOB_UPLOAD_RANGE_INVALID"])),
    ],
)
def test_content_range_of_a_chunk(registry, sent, expected):
    """Only start-end, in order, and as long as the body."""
    response = call(registry, "PATCH", begin(registry), body=RAW[:400], headers={"Content-Range": sent})
    assert (response.status, [] if response.status == 202 else codes(response)[1]) == expected


def test_chunked_transfer_encoding_is_refused(registry):
    """As ACR does; and the connection stays in step."""
    with Listener(registry) as listener:
        connection = http.client.HTTPConnection(listener.address, timeout=10)
        location = begin(registry)
        connection.request("PATCH", location, iter([RAW]), {"Transfer-Encoding": "chunked"}, encode_chunked=True)
        answer = connection.getresponse()
        assert (answer.status, b"CONTENT_LENGTH_INVALID" in answer.read()) == (400, True)
        connection.request("HEAD", "/v2/app/manifests/1")
        assert connection.getresponse().headers["Docker-Content-Digest"] == IMAGE.digest
        connection.close()


@pytest.mark.parametrize("query", ["", f"?digest={DIGEST}"], ids=["POST and PUT", "POST alone"])
def test_blob_is_kept_only_under_its_own_digest(registry, query):
    """Wrong bytes leave nothing; other repositories do not see the blob until it is mounted there."""

    def upload(raw: bytes) -> Response:
        if query:
            return call(registry, "POST", f"/v2/app/blobs/uploads/{query}", body=raw)
        return call(registry, "PUT", f"{begin(registry)}&digest={DIGEST}", body=raw)

    assert codes(upload(RAW[:-1])) == (400, ["DIGEST_INVALID"])
    assert call(registry, "HEAD", f"/v2/app/blobs/{DIGEST}").status == 404
    assert upload(RAW).status == 201
    assert call(registry, "GET", f"/v2/app/blobs/{DIGEST}").body == RAW
    assert call(registry, "HEAD", f"/v2/other/blobs/{DIGEST}").status == 404
    call(registry, "POST", f"/v2/other/blobs/uploads/?mount={DIGEST}&from=app", expect=201)
    assert call(registry, "HEAD", f"/v2/other/blobs/{DIGEST}").status == 200


def test_blobs_by_sha512(registry):
    """The other registered algorithm."""
    digest = f"sha512:{hashlib.sha512(RAW).hexdigest()}"
    assert codes(call(registry, "PUT", f"{begin(registry)}&digest={digest[:-1]}0", body=RAW))[0] == 400
    call(registry, "PUT", f"{begin(registry)}&digest={digest}", body=RAW, expect=201)
    assert call(registry, "GET", f"/v2/app/blobs/{digest}").body == RAW


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=3-7", 206, 3, 8),
        ("bytes=3-", 206, 3, None),
        ("bytes=-5", 206, -5, None),
        ("bytes=0-99999", 206, 0, None),
        ("bytes=7-3", 200, 0, None),
        ("bytes=0-1,4-5", 200, 0, None),
        ("bytes=99999-", 416, 0, 0),
    ],
)
def test_range_of_a_blob(registry, asked, status, start, end):
    """RFC 9110: what is not a valid range is as if it were not there."""
    response = call(registry, "GET", f"/v2/app/blobs/{CONFIG}", headers={"Range": asked})
    assert response.status == status
    if status != 416:
        assert response.body == IMAGE.blobs[CONFIG][start:end]


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"no JSON", TYPED, "MANIFEST_INVALID"),
        (b"[]", TYPED, "MANIFEST_INVALID"),
        (b'{"schemaVersion": 1}', TYPED, "MANIFEST_INVALID"),
        (b'{"schemaVersion": 2, "layers": [{}]}', TYPED, "MANIFEST_INVALID"),
        (b'{"schemaVersion": 2, "layers": {}}', TYPED, "MANIFEST_INVALID"),
        (IMAGE.raw, {}, "MANIFEST_INVALID"),
        (IMAGE.raw, {"Content-Type": images.DOCKER_MANIFEST}, "MANIFEST_INVALID"),
        (b'{"schemaVersion": 2, "a": "%s"}' % (b"x" * 4 * 1024 * 1024), TYPED, "MANIFEST_INVALID"),
        (images.image("elsewhere").raw, TYPED, "MANIFEST_BLOB_UNKNOWN"),
        (
            images.index([("linux/amd64", images.image("elsewhere"))]).raw,
            {"Content-Type": images.OCI_INDEX},
            "MANIFEST_BLOB_UNKNOWN",
        ),
    ],
    ids=["text", "list", "schema 1", "no digest", "no list", "no type", "other type", "4 MiB", "blobs", "children"],
)
def test_manifest_that_is_refused(registry, body, headers, code):
    """And leaves neither tag nor repository."""
    assert codes(call(registry, "PUT", "/v2/new/manifests/2", body=body, headers=headers)) == (400, [code])
    assert codes(call(registry, "GET", "/v2/new/tags/list")) == (404, ["NAME_UNKNOWN"])


def test_manifest_goes_by_its_own_digest_only(registry):
    """A push by digest is checked, and what is deleted takes its tags along."""
    put = call(registry, "PUT", f"/v2/app/manifests/{ZEROS}", body=IMAGE.raw, headers=TYPED)
    assert codes(put) == (400, ["DIGEST_INVALID"])
    call(registry, "DELETE", f"/v2/app/manifests/{IMAGE.digest}", expect=202)
    assert codes(call(registry, "GET", "/v2/app/manifests/1")) == (404, ["MANIFEST_UNKNOWN"])


def test_lists_come_in_pages_with_relative_links(registry):
    """Tags, catalog and referrers; a number that is none is refused."""
    IMAGE.push(registry, "app", "2", "3")
    assert codes(call(registry, "GET", "/v2/app/tags/list?n=some")) == (400, ["PAGINATION_NUMBER_INVALID"])
    first = call(registry, "GET", "/v2/app/tags/list?n=2")
    link = first.headers["Link"].removeprefix("<").partition(">")[0]
    assert link.startswith("/v2/app/tags/list?")
    second = call(registry, "GET", link)
    assert json.loads(first.body)["tags"] + json.loads(second.body)["tags"] == ["1", "2", "3"]
    assert "Link" not in second.headers


def test_referrers_are_filtered_and_come_in_pages(registry):
    """And the filter is owned up to."""
    pushed = {images.artifact(n, subject=IMAGE.descriptor()).push(registry, "app").digest for n in range(3)}
    images.artifact("other", "application/vnd.other", subject=IMAGE.descriptor()).push(registry, "app")
    path = f"/v2/app/referrers/{IMAGE.digest}?artifactType=application/vnd.example.sbom.v1"
    found: list[str] = []
    while path:
        page = call(registry, "GET", path, expect=200)
        assert page.headers["OCI-Filters-Applied"] == "artifactType"
        found += [entry["digest"] for entry in json.loads(page.body)["manifests"]]
        path = page.headers.get("Link", "").removeprefix("<").partition(">")[0]
    assert set(found) == pushed
    assert len(found) == 3


def test_what_is_switched_off_is_missing(tmp_path):
    """The other registries of the world."""
    odd = Registry(
        Storage(tmp_path),
        Oddities(referrers=False, absolute_locations=True, digest_header=False, ranges=False, head=False, mount=False),
    )
    IMAGE.push(odd, "app", "1")
    assert call(odd, "GET", f"/v2/app/referrers/{IMAGE.digest}").status == 404
    assert begin(odd).startswith("https://localhost/v2/app/blobs/uploads/")
    assert "Docker-Content-Digest" not in call(odd, "GET", "/v2/app/manifests/1").headers
    assert call(odd, "GET", f"/v2/app/blobs/{CONFIG}", headers={"Range": "bytes=3-7"}).status == 200
    assert call(odd, "HEAD", "/v2/app/manifests/1").status == 405
    assert call(odd, "POST", f"/v2/other/blobs/uploads/?mount={CONFIG}&from=app").status == 202
