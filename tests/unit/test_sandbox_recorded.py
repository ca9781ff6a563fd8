# SPDX-License-Identifier: MIT
"""What the real Azure Container Registry was recorded to answer, asked of its stand-in.

From recorded live tests of Microsoft's SDKs, 2022 to 2026: status, the headers that clients look at, and the body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.sandbox import images
from tests.sandbox.acr import ACR_AUDIENCE, Acr
from tests.sandbox.entra import access_token
from tests.sandbox.registry import Registry
from tests.sandbox.server import Response, call
from tests.sandbox.storage import Storage, digest_of
from tests.sandbox.tokens import claims_of
from tests.sandbox.world import OWNER, World

HOST = "myregistry.azurecr.io"
SERVICE = f'realm="https://{HOST}/oauth2/token",service="{HOST}"'
SIGN_IN = "authentication required, visit https://aka.ms/acr/authorization for more information."
JSON = "application/json; charset=utf-8"
IMAGE = images.image("recorded", (1471,))
RAW = images.noise("recorded chunk", 1472)
DIGEST = digest_of(RAW)
LAYER = json.loads(IMAGE.raw)["layers"][0]["digest"]
ZEROS = f"sha256:{'0' * 64}"
UPLOADS = "/v2/app/blobs/uploads/"

# The requests are the tests' own: there is no copy that has to tidy up.
pytestmark = pytest.mark.leaves_uploads


class Front:
    """The data plane of one registry, asked without a socket."""

    def __init__(self, folder: Any) -> None:
        self.world = World()
        registry = self.world.registries["myregistry"]
        self.acr = Acr(self.world, registry, Registry(Storage(folder)))
        IMAGE.push(self.acr.content, "app", "1")
        registry.anonymous_pull = True

    def ask(self, method: str, target: str, *scopes: str, body: bytes = b"", **headers: str) -> Response:
        """With a token for these scopes; without one where there are none."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if scopes:
            named["Authorization"] = f"Bearer {self.token(*scopes)}"
        return call(self.acr, method, target, headers=named, body=body, host=HOST)

    def form(self, path: str, **fields: str) -> Response:
        """POST of a form."""
        return call(self.acr, "POST", path, body=urlencode(fields).encode(), host=HOST)

    def refresh(self) -> str:
        """A refresh token of the owner."""
        given = access_token(OWNER, ACR_AUDIENCE)
        answer = self.form("/oauth2/exchange", grant_type="access_token", service=HOST, access_token=given)
        return str(json.loads(answer.body)["refresh_token"])

    def token(self, *scopes: str) -> str:
        """An access token for all of them."""
        fields = {"grant_type": "refresh_token", "service": HOST, "refresh_token": self.refresh()}
        return str(json.loads(self.form("/oauth2/token", scope=" ".join(scopes), **fields).body)["access_token"])

    def upload(self) -> str:
        """Where one goes that has begun."""
        return self.ask("POST", UPLOADS, PUSH).headers["Location"]

    def patch(self, location: str, body: bytes, **headers: str) -> Response:
        """A chunk."""
        return self.ask("PATCH", location, PUSH, body=body, **headers)

    def storage(self, method: str = "GET", **headers: str) -> Response:
        """Where the layer's GET leads."""
        location = self.ask("GET", f"/v2/app/blobs/{LAYER}", PULL).headers["Location"]
        parts = urlsplit(location)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(self.acr.storage, method, f"{parts.path}?{parts.query}", headers=named, host=parts.netloc)


PULL, PUSH, DELETE = "repository:app:pull", "repository:app:pull,push", "repository:app:delete"
METADATA = "repository:app:metadata_read"


def told(code: str, message: str, **detail: object) -> dict[str, Any]:
    """The body of an error; without ``detail`` there is no such member."""
    return {"errors": [{"code": code, "message": message, **detail}]}


def wanted(*actions: str, name: str = "app") -> list[dict[str, str]]:
    """What a refused request needs."""
    return [{"Type": "repository", "Name": name, "Action": action} for action in actions]


def challenged(*detail: object) -> dict[str, Any]:
    """The body of every 401 of the data plane."""
    return told("UNAUTHORIZED", SIGN_IN, detail=detail[0] if detail else None)


def scoped(scope: str, error: str = "") -> str:
    """The challenge."""
    return f'Bearer {SERVICE},scope="{scope}"{error}'


INSUFFICIENT = ',error="insufficient_scope"'
# the two changes of a writing scope come in either order
EITHER = r"(pull,push|push,pull)"
MANIFEST = {"Content_Type": images.OCI_MANIFEST}
ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
OLD = json.dumps({"mediaType": ARTIFACT, "artifactType": "application/vnd.example"}).encode()
WRONG_FORM = "bytes 736-1471/*"

NOTHING: dict[str, str | None] = {"WWW-Authenticate": None, "Content-Type": None}


def only(member: str) -> re.Pattern[str]:
    """JSON with this text, and nothing else."""
    return re.compile(f'^{{"{member}": "[^"]*"}}$')


Exchange = Callable[[Front], Response]
# what is asked; status; headers that matter, as patterns (None: not there); body: a value, a pattern, or None for any
RECORDED: dict[str, tuple[Exchange, int, dict[str, str | None], Any]] = {
    "v2-challenge": (lambda f: f.ask("GET", "/v2/"), 401,
                     {"WWW-Authenticate": re.escape(f"Bearer {SERVICE}"), "Content-Type": JSON}, challenged()),
    "v2-ok": (lambda f: f.ask("GET", "/v2/", PULL), 200, {"Content-Type": "application/json"}, {}),
    "pull-challenge": (lambda f: f.ask("GET", "/v2/app/manifests/1"), 401,
                       {"WWW-Authenticate": re.escape(scoped(PULL))}, challenged(wanted("pull"))),
    "upload-start-challenge": (lambda f: f.ask("POST", UPLOADS), 401,
                               {"WWW-Authenticate": re.escape(scoped("X")).replace("X", f"repository:app:{EITHER}")},
                               re.compile('"Action": "pull"}.*"Action": "push"}|"Action": "push"}.*"Action": "pull"}')),
    "manifest-put-challenge": (lambda f: f.ask("PUT", "/v2/app/manifests/2", body=IMAGE.raw), 401,
                               {"WWW-Authenticate": re.escape(scoped("X")).replace("X", f"repository:app:{EITHER}")},
                               re.compile('^((?!Class).)*$')),
    "mount-challenge": (lambda f: f.ask("POST", f"{UPLOADS}?mount={LAYER}&from=other"), 401,
                        {"WWW-Authenticate": re.escape(scoped("X")).replace(
                            "X", f"repository:app:{EITHER} repository:other:pull")}, None),
    "upload-start-insufficient": (lambda f: f.ask("POST", UPLOADS, PULL), 401,
                                  {"WWW-Authenticate": re.escape(scoped("X", INSUFFICIENT)).replace(
                                      "X", f"repository:app:{EITHER}")}, None),
    "metadata-insufficient": (lambda f: f.ask("GET", "/acr/v1/app", PULL), 401,
                              {"WWW-Authenticate": re.escape(scoped(METADATA, INSUFFICIENT))},
                              challenged(wanted("metadata_read"))),
    "metadata-write-refused": (lambda f: f.ask("PATCH", "/acr/v1/app", METADATA, body=b"{}"), 401,
                               {"WWW-Authenticate": re.escape(scoped("repository:app:metadata_write", INSUFFICIENT))},
                               challenged(wanted("metadata_write"))),
    "upload-cancel-insufficient": (lambda f: f.ask("DELETE", f.upload(), PUSH), 401,
                                   {"WWW-Authenticate": re.escape(scoped(DELETE, INSUFFICIENT))},
                                   challenged(wanted("delete"))),
    "upload-cancel": (lambda f: f.ask("DELETE", f.upload(), DELETE), 204, {"WWW-Authenticate": None}, b""),
    "exchange": (lambda f: f.form("/oauth2/exchange", grant_type="access_token", service=HOST,
                                  access_token=access_token(OWNER, ACR_AUDIENCE)), 200,
                 {"x-ms-ratelimit-remaining-calls-per-second": r"166\.65\d*"}, only("refresh_token")),
    "exchange-refused": (lambda f: f.form("/oauth2/exchange", grant_type="access_token", service=HOST,
                                          access_token="bad"), 401, NOTHING, b""),
    "token-refused": (lambda f: f.form("/oauth2/token", grant_type="refresh_token", service=HOST, scope=PULL,
                                       refresh_token="bad"), 401, NOTHING, b""),
    "token": (lambda f: f.form("/oauth2/token", grant_type="refresh_token", service=HOST, scope=PULL,
                               refresh_token=f.refresh()), 200,
              {"x-ms-ratelimit-remaining-calls-per-second": r"166\.6\d*"}, only("access_token")),
    "token-two-scopes": (lambda f: f.ask("POST", f"/v2/other/blobs/uploads/?mount={LAYER}&from=app",
                                         "repository:other:pull,push", PULL), 201,
                         {"Docker-Content-Digest": LAYER, "Location": f"/v2/other/blobs/{LAYER}"}, b""),
    "token-anonymous-too-much": (lambda f: f.form("/oauth2/token", grant_type="password", service=HOST,
                                                  refresh_token="", scope="repository:app:pull,metadata_write"), 200,
                                 {}, only("access_token")),
    "blob-get-redirect": (lambda f: f.ask("GET", f"/v2/app/blobs/{LAYER}", PULL), 307,
                          {"Docker-Content-Digest": LAYER, "Content-Type": "text/html; charset=utf-8",
                           "Location": r"https://[a-z]+\.blob\.core\.windows\.net/[\w-]+//docker/registry/v2/blobs/sha256/"
                                       r"[0-9a-f]{2}/[0-9a-f]{64}/data\?se=.*&sig=.*&sp=r&spr=https&sr=b&sv=2016-05-31"
                                       r"&regid=.*"}, re.compile("<a href=")),
    "storage-get": (lambda f: f.storage(), 200,
                    {"Accept-Ranges": "bytes", "Docker-Content-Digest": None, "Content-MD5": None}, IMAGE.blobs[LAYER]),
    "storage-get-range": (lambda f: f.storage(Range="bytes=0-9999"), 206,
                          {"Content-Range": f"bytes 0-{len(IMAGE.blobs[LAYER]) - 1}/{len(IMAGE.blobs[LAYER])}"},
                          IMAGE.blobs[LAYER]),
    "storage-authorization": (lambda f: f.storage(Authorization="Bearer x"), 400,
                              {"Content-Type": "application/xml"}, re.compile("InvalidAuthenticationInfo")),
    "blob-head": (lambda f: f.ask("HEAD", f"/v2/app/blobs/{LAYER}", PULL, Range="bytes=0-9"), 200,
                  {"Docker-Content-Digest": LAYER, "Content-Length": str(len(IMAGE.blobs[LAYER])),
                   "Accept-Ranges": None, "Location": None}, b""),
    "blob-head-unknown": (lambda f: f.ask("HEAD", f"/v2/app/blobs/{ZEROS}", PULL), 404, {}, None),
    "blob-bad-digest": (lambda f: f.ask("GET", "/v2/app/blobs/sha256:xyz"), 404, {"Content-Type": "text/plain.*"},
                        b"404 page not found\n"),
    "name-with-a-blank": (lambda f: f.ask("POST", "/v2/a b/blobs/uploads/"), 404, {"Content-Type": "text/plain.*"},
                          b"404 page not found\n"),
    "elsewhere": (lambda f: f.ask("GET", "/healthz"), 404, {"Content-Type": "application/octet-stream"}, b"Not found"),
    "blob-delete": (lambda f: f.ask("DELETE", f"/v2/app/blobs/{LAYER}", DELETE), 202,
                    {"x-ms-ratelimit-remaining-calls-per-second": r"8\.000000"}, b""),
    "blob-delete-unknown": (lambda f: f.ask("DELETE", f"/v2/app/blobs/{ZEROS}", DELETE), 404, {},
                            told("BLOB_UNKNOWN", "blob unknown to registry")),
    "upload-start": (lambda f: f.ask("POST", UPLOADS, PUSH), 202,
                     {"Location": r"/v2/app/blobs/uploads/[0-9a-f-]+\?_nouploadcache=false&_state=[\w%-]+",
                      "Range": "0-0", "Docker-Upload-Uuid": ".+"}, b""),
    "upload-patch": (lambda f: f.patch(f.upload(), RAW[:417]), 202,
                     {"Range": "0-416", "Location": r"/v2/app/blobs/uploads/.*"}, b""),
    "upload-patch-first": (lambda f: f.patch(f.upload(), RAW[:736], Content_Range="0-735"), 202,
                           {"Range": "0-735"}, b""),
    "upload-patch-second": (lambda f: second(f), 202, {"Range": "0-1471"}, b""),
    "upload-patch-bad-range": (lambda f: f.patch(f.upload(), RAW[736:], Content_Range=WRONG_FORM), 416,
                               {"Location": None},
                               re.compile('"code": "BLOB_UPLOAD_RANGE_INVALID".*"detail": {"Range": "bytes 736-1471/.*"'
                                          ', "Reason": "the Content-Range header format is invalid"}')),
    "upload-patch-after-bad-range": (lambda f: second(f, Content_Range=WRONG_FORM), 202, {"Range": "0-1471"}, b""),
    "upload-patch-after-401": (lambda f: second(f, token=False), 202, {"Range": "0-1471"}, b""),
    "upload-patch-lost": (lambda f: f.patch(UPLOADS + "no-such-session?_state=x", RAW), 404, {},
                          told("BLOB_UPLOAD_INVALID", "blob upload invalid")),
    "upload-status": (lambda f: f.ask("GET", f.upload(), PULL, PUSH), 204,
                      {"Location": "/v2/app/blobs/uploads/.*", "Range": "0-0"}, b""),
    "upload-status-keeps-the-location": (lambda f: after_status(f), 202, {"Range": "0-416"}, b""),
    "upload-single-put": (lambda f: f.ask("PUT", f"{f.upload()}&digest={DIGEST}", PUSH, body=RAW,
                                          Content_Type="application/octet-stream"), 201,
                          {"Location": f"/v2/app/blobs/{DIGEST}", "Docker-Content-Digest": DIGEST}, b""),
    "upload-put-bad-digest": (lambda f: f.ask("PUT", f"{f.upload()}&digest=sha256:bad", PUSH, body=RAW), 400, {},
                              told("DIGEST_INVALID", "provided digest did not match uploaded content",
                                   detail="digest parsing failed")),
    "mount-of-what-is-not-there": (lambda f: f.ask("POST", f"/v2/other/blobs/uploads/?mount={ZEROS}&from=app",
                                                   "repository:other:pull,push", PULL), 202,
                                   {"Location": "/v2/other/blobs/uploads/.*", "Range": "0-0"}, b""),
    "manifest-put": (lambda f: f.ask("PUT", "/v2/app/manifests/2", PUSH, body=IMAGE.raw, **MANIFEST), 201,
                     {"Location": f"/v2/app/manifests/{IMAGE.digest}", "Docker-Content-Digest": IMAGE.digest}, b""),
    "manifest-put-artifact": (lambda f: f.ask("PUT", "/v2/app/manifests/2", PUSH, body=OLD, Content_Type=ARTIFACT), 201,
                              {"Docker-Content-Digest": digest_of(OLD)}, b""),
    "manifest-put-without-blob": (lambda f: f.ask("PUT", "/v2/app/manifests/2", PUSH, body=images.image("other").raw,
                                                  **MANIFEST), 400, {},
                                  re.compile('"code": "MANIFEST_BLOB_UNKNOWN".*"detail": "sha256:[0-9a-f]{64}"')),
    "manifest-get": (lambda f: f.ask("GET", f"/v2/app/manifests/{IMAGE.digest}", PULL, Accept="*/*"), 200,
                     {"Content-Type": re.escape(images.OCI_MANIFEST), "ETag": f'"{IMAGE.digest}"',
                      "Docker-Content-Digest": IMAGE.digest}, IMAGE.raw),
    "manifest-get-unknown-tag": (lambda f: f.ask("GET", "/v2/app/manifests/nope", PULL), 404, {},
                                 told("MANIFEST_UNKNOWN", 'manifest tagged by "nope" is not found',
                                      detail={"Tag": "nope"})),
    "manifest-delete-unknown": (lambda f: f.ask("DELETE", f"/v2/app/manifests/{ZEROS}", DELETE), 404, {},
                                told("MANIFEST_UNKNOWN", f"manifest {ZEROS} is not found")),
    "manifest-delete-by-tag": (lambda f: f.ask("DELETE", "/v2/app/manifests/1", DELETE), 405, {},
                               told("UNSUPPORTED", "A manifest can only be deleted by digest.")),
    "manifest-delete": (lambda f: f.ask("DELETE", f"/v2/app/manifests/{IMAGE.digest}", DELETE), 202,
                        {"x-ms-ratelimit-remaining-calls-per-second": r"8\.000000"}, b""),
    "metadata-unknown": (lambda f: f.ask("GET", "/acr/v1/none", "repository:none:metadata_read"), 404, {},
                         told("NAME_UNKNOWN", 'repository "none" is not found')),
    "metadata-tags-page": (lambda f: tags_page(f), 200,
                           {"Link": r'</acr/v1/app/_tags\?last=1&n=1&orderby=>; rel="next"'}, None),
    "name-with-an-escaped-slash": (lambda f: f.ask("GET", "/acr/v1/team%2Fnone", "repository:team/none:metadata_read"),
                                   404, {}, told("NAME_UNKNOWN", 'repository "team/none" is not found')),
}  # fmt: skip


def second(front: Front, *, token: bool = True, **headers: str) -> Response:
    """The second chunk, at the Location of the first, after a refusal of the same where one is wanted."""
    location = front.patch(front.upload(), RAW[:736], Content_Range="0-735").headers["Location"]
    if headers:
        assert front.patch(location, RAW[736:], **headers).status == 416
    if not token:
        assert front.ask("PATCH", location, body=RAW[736:], Content_Range="736-1471").status == 401
    return front.patch(location, RAW[736:], Content_Range="736-1471")


def after_status(front: Front) -> Response:
    """A chunk at the Location that was there before the upload was asked how it stands."""
    location = front.upload()
    newer = front.ask("GET", location, PUSH).headers["Location"]
    assert newer != location
    return front.patch(location, RAW[:417])


def tags_page(front: Front) -> Response:
    """One of two tags."""
    IMAGE.push(front.acr.content, "app", "2")
    return front.ask("GET", "/acr/v1/app/_tags?n=1", METADATA)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_answer(tmp_path, name):
    """Alike in all that a client may rely on."""
    ask, status, headers, body = RECORDED[name]
    answer = ask(Front(tmp_path))
    assert answer.status == status
    for header, pattern in headers.items():
        if pattern is None:
            assert header not in answer.headers
        else:
            assert re.fullmatch(pattern, answer.headers[header]), (header, answer.headers[header])
    if isinstance(body, bytes):
        assert answer.body == body
    elif isinstance(body, re.Pattern):
        assert body.search(answer.body.decode("latin-1"))
    elif body is not None:
        assert json.loads(answer.body) == body


def test_tokens_live_as_long_as_recorded(tmp_path):
    """A refresh token for three hours and a quarter; a signed URL for twenty minutes."""
    front = Front(tmp_path)
    claims = claims_of(front.refresh())
    assert round(claims["exp"] - claims["iat"]) == 11_700
    location = front.ask("GET", f"/v2/app/blobs/{LAYER}", PULL).headers["Location"]
    signed = claims_of(parse_qs(urlsplit(location).query)["sig"][0])
    assert round(signed["exp"] - signed["iat"]) == 1200
