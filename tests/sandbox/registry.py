# SPDX-License-Identifier: MIT
"""A registry as the OCI distribution specification writes it, and stricter where ACR is. Standard library only.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import urlencode

from .manifests import is_manifest, missing
from .server import Request, Response
from .storage import DIGEST, Repository, Storage, StoredManifest, UploadSession, digest_of, upload_state

NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
ROUTE = re.compile(r"/v2/(?P<name>.+?)/(?P<kind>manifests|blobs|tags|referrers)/(?P<rest>.*)")
CONTENT_RANGE = re.compile(r"(\d+)-(\d+)")
RANGE = re.compile(r"bytes=(\d*)-(\d*)")

MAX_MANIFEST = 4 * 1024 * 1024
MISMATCH = "provided digest did not match uploaded content"


ABSENT = object()


def failure(status: int, code: str, message: str = "", detail: object = ABSENT, **headers: str) -> Response:
    """An error in the specification's form. Underscores in header names stand for hyphens."""
    said = {"code": code, "message": message or code.lower(), **({} if detail is ABSENT else {"detail": detail})}
    body = json.dumps({"errors": [said]}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {"Content-Type": "application/json; charset=utf-8", **named}, body)


def _unknown(identifier: str) -> Response:
    if DIGEST.fullmatch(identifier):
        return failure(404, "MANIFEST_UNKNOWN", f"manifest {identifier} is not found")
    return failure(404, "MANIFEST_UNKNOWN", f'manifest tagged by "{identifier}" is not found', {"Tag": identifier})


def _span(asked: re.Match[str] | None, size: int) -> tuple[int, int] | None:
    """Start and end of a byte range (RFC 9110, 14.1.2); None for one that means the whole."""
    if not asked or not any(asked.groups()) or (asked[1] and asked[2] and int(asked[1]) > int(asked[2])):
        return None
    if not asked[1]:
        return max(0, size - int(asked[2])) if int(asked[2]) else size, size
    return int(asked[1]), min(int(asked[2] or size - 1) + 1, size)


@dataclass
class Oddities:
    """What real registries do differently; each is a switch."""

    referrers: bool = True
    absolute_locations: bool = False
    digest_header: bool = True
    ranges: bool = True
    head: bool = True
    mount: bool = True
    # whether it has what a manifest names is looked at
    looks: bool = True
    strict_length: bool = False
    max_put: int | None = None
    # how many referrers one answer lists; the rest is behind a Link
    referrers_page: int | None = None


class Registry:
    """``registry(request)`` answers; who may ask is the business of whatever stands before it."""

    def __init__(self, storage: Storage, oddities: Oddities | None = None) -> None:
        self.storage = storage
        self.oddities = oddities or Oddities()

    def __call__(self, request: Request) -> Response:
        if request.path in ("/v2/", "/v2"):
            headers = {"Docker-Distribution-Api-Version": "registry/2.0", "Content-Type": "application/json"}
            return Response(200, headers, b"{}")
        if request.path == "/v2/_catalog":
            with self.storage.lock:
                names = sorted(n for n, r in self.storage.repositories.items() if r.manifests)
            return self._page(request, names, lambda page: {"repositories": page})
        route = ROUTE.fullmatch(request.path)
        if not route or not NAME.fullmatch(route["name"]):
            return failure(404, "NAME_INVALID", "no such route or repository name")
        with self.storage.lock:
            known = self.storage.repositories.get(route["name"])
        repository = known or Repository()
        kind, rest = route["kind"], route["rest"]
        if kind == "manifests":
            return self._manifest(request, route["name"], repository, rest)
        if kind == "tags" and rest == "list":
            return self._tags(request, route["name"], known)
        if kind == "referrers" and self.oddities.referrers:
            return self._referrers(request, repository, rest)
        if kind == "blobs" and rest.startswith("uploads/"):
            return self._upload(request, route["name"], rest.removeprefix("uploads/"))
        if kind == "blobs":
            return self._blob(request, repository, rest)
        return Response(404)

    def _tags(self, request: Request, name: str, repository: Repository | None) -> Response:
        if request.method != "GET":
            return failure(405, "UNSUPPORTED")
        if repository is None:
            return failure(404, "NAME_UNKNOWN", f'repository "{name}" is not found')
        return self._page(request, sorted(repository.tags), lambda page: {"name": name, "tags": page})

    def _page(self, request: Request, entries: list[str], body: object) -> Response:
        asked, last = request.param("n") or "0", request.param("last")
        if not asked.isdecimal():
            return failure(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested", {"n": asked})
        count = int(asked)
        left = [entry for entry in entries if entry > last] if last else entries
        page = left[:count] if count else left
        headers = {"Content-Type": "application/json"}
        if count and len(left) > count:
            headers["Link"] = f'<{request.path}?{urlencode({"last": page[-1], "n": count})}>; rel="next"'
        return Response(200, headers, json.dumps(body(page)).encode())  # type: ignore[operator]

    def _manifest(self, request: Request, name: str, repository: Repository, identifier: str) -> Response:
        if request.method in ("GET", "HEAD"):
            if request.method == "HEAD" and not self.oddities.head:
                return Response(405)
            digest = repository.tags.get(identifier, identifier)
            manifest = repository.manifests.get(digest)
            if manifest is None:
                return _unknown(identifier)
            headers = {"Content-Type": manifest.media_type, **self._digest_header(digest), "ETag": f'"{digest}"'}
            return Response(200, headers, manifest.raw)
        if request.method == "PUT":
            return self._put_manifest(request, name, identifier)
        if request.method == "DELETE":
            if not DIGEST.fullmatch(identifier):
                return failure(405, "UNSUPPORTED", "A manifest can only be deleted by digest.")
            with self.storage.lock:
                gone = repository.manifests.pop(identifier, None)
                for tag in [t for t, d in repository.tags.items() if d == identifier]:
                    del repository.tags[tag]
            return Response(202) if gone else _unknown(identifier)
        return failure(405, "UNSUPPORTED")

    def _put_manifest(self, request: Request, name: str, identifier: str) -> Response:
        raw = request.body.read_all()
        media_type = request.headers.get("Content-Type", "").partition(";")[0].strip()
        if len(raw) > MAX_MANIFEST:
            return failure(400, "MANIFEST_INVALID", "manifest invalid", "http: request body too large")
        try:
            body = json.loads(raw)
        except ValueError:
            return failure(400, "MANIFEST_INVALID", "manifest invalid", "not JSON")
        if not is_manifest(body):
            return failure(400, "MANIFEST_INVALID", "manifest invalid", "not a manifest of schema version 2")
        if not media_type or body.get("mediaType", media_type) != media_type:
            return failure(400, "MANIFEST_INVALID", "manifest invalid", "Content-Type and mediaType differ")
        algorithm = identifier.partition(":")[0] if DIGEST.fullmatch(identifier) else "sha256"
        digest = digest_of(raw, algorithm)
        if ":" in identifier and identifier != digest:
            return failure(400, "DIGEST_INVALID", MISMATCH)
        if ":" not in identifier and not TAG.fullmatch(identifier):
            return failure(400, "TAG_INVALID", "manifest tag did not match")
        with self.storage.lock:
            known = self.storage.repositories.get(name, Repository())
            lacking = missing(known, body, media_type) if self.oddities.looks else None
            if lacking:
                return failure(400, *lacking)
            repository = self.storage.repository(name)
            repository.manifests[digest] = StoredManifest(raw, media_type)
            if ":" not in identifier:
                repository.tags[identifier] = digest
                repository.tagged[identifier] = repository.manifests[digest].created
        headers = {"Location": f"/v2/{name}/manifests/{digest}", **self._digest_header(digest)}
        if body.get("subject") and self.oddities.referrers:
            headers["OCI-Subject"] = body["subject"]["digest"]
        return Response(201, headers)

    def _referrers(self, request: Request, repository: Repository, digest: str) -> Response:
        if not DIGEST.fullmatch(digest):
            return failure(400, "DIGEST_INVALID")
        wanted, found = request.param("artifactType"), []
        with self.storage.lock:
            manifests = sorted(repository.manifests.items())
        for own, manifest in manifests:
            body = json.loads(manifest.raw)
            if (body.get("subject") or {}).get("digest") != digest:
                continue
            kind = body.get("artifactType") or (body.get("config") or {}).get("mediaType", "")
            if not wanted or kind == wanted:
                entry = {"mediaType": manifest.media_type, "digest": own, "size": len(manifest.raw)}
                found.append({**entry, "artifactType": kind, "annotations": body.get("annotations", {})})
        left = [entry for entry in found if entry["digest"] > request.param("last")]
        page = left[: self.oddities.referrers_page]
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": page}
        headers = {"Content-Type": "application/vnd.oci.image.index.v1+json"}
        if len(page) < len(left):
            query = {**({"artifactType": wanted} if wanted else {}), "last": page[-1]["digest"]}
            headers["Link"] = f'<{request.path}?{urlencode(query)}>; rel="next"'
        if wanted:
            headers["OCI-Filters-Applied"] = "artifactType"
        return Response(200, headers, json.dumps(index).encode())

    def _blob(self, request: Request, repository: Repository, digest: str) -> Response:
        if not DIGEST.fullmatch(digest):
            return failure(400, "DIGEST_INVALID")
        if digest not in repository.blobs:
            return failure(404, "BLOB_UNKNOWN", "blob unknown to registry")
        if request.method == "DELETE":
            repository.blobs.discard(digest)
            return Response(202)
        if request.method == "HEAD" and not self.oddities.head:
            return Response(405)
        return self.serve_blob(request, digest)

    def serve_blob(self, request: Request, digest: str) -> Response:
        """The bytes, or the asked range of them."""
        size = self.storage.blob_path(digest).stat().st_size
        headers = {"Content-Type": "application/octet-stream", **self._digest_header(digest)}
        whole = request.method == "HEAD" or not self.oddities.ranges
        asked = None if whole else RANGE.fullmatch(request.headers.get("Range", ""))
        start, end, status = 0, size, 200
        if span := _span(asked, size):
            (start, end), status = span, 206
            if start >= end:
                return failure(416, "RANGE_INVALID", Content_Range=f"bytes */{size}")
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        if not whole:
            headers["Accept-Ranges"] = "bytes"
        if request.method == "HEAD":
            return Response(status, {**headers, "Content-Length": str(end - start)})
        return Response(status, headers, self.storage.read_blob(digest, start, end), end - start)

    def _upload(self, request: Request, name: str, identifier: str) -> Response:
        if request.method == "POST" and not identifier:
            return self._begin_upload(request, name)
        known = self.storage.repositories.get(name)
        session = known.uploads.get(identifier) if known else None
        if session is None or request.param("_state") not in session.states:
            return self._lost(name, identifier)
        if request.method == "DELETE":
            self.storage.drop_upload(name, identifier)
            return Response(204)
        if request.method == "GET":
            session.states.append(upload_state(name, identifier, session.size))  # the old one stays good, too
            return Response(204, self._session_headers(request, name, identifier))
        if request.method not in ("PATCH", "PUT"):
            return failure(405, "UNSUPPORTED")
        refusal = self._refused_chunk(request, name, identifier, session)
        if refusal:
            return refusal
        self._receive(request, session)
        if self.storage.repositories[name].uploads.get(identifier) is not session:
            return self._lost(name, identifier)  # it was cancelled meanwhile
        if request.method == "PATCH":
            session.states = [upload_state(name, identifier, session.size)]
            return Response(202, self._session_headers(request, name, identifier))
        return self._finish_upload(request, name, identifier)

    def _refused_chunk(self, request: Request, name: str, identifier: str, session: UploadSession) -> Response | None:
        if self.oddities.strict_length and request.body.chunked:
            self.storage.drop_upload(name, identifier)
            return failure(400, "CONTENT_LENGTH_INVALID")
        length = int(request.headers.get("Content-Length") or 0)
        if request.method == "PUT" and self.oddities.max_put is not None and length > self.oddities.max_put:
            return Response(413, {"Content-Type": "text/html"}, b"<html>413 Request Entity Too Large</html>")
        stated = request.headers.get("Content-Range")
        match = CONTENT_RANGE.fullmatch(stated) if stated else None
        if stated and not match:
            wrong = {"Range": stated, "Reason": "the Content-Range header format is invalid"}
            return failure(416, "BLOB_UPLOAD_RANGE_INVALID", "blob upload range invalid", wrong)
        if match and (int(match[1]) != session.size or int(match[2]) + 1 - int(match[1]) != length):
            return failure(416, "RANGE_INVALID", **self._session_headers(request, name, identifier))
        return None

    def _receive(self, request: Request, session: UploadSession) -> None:
        """A client that goes away leaves what it has sent, and the session."""
        with session.path.open("ab") as stream:
            while block := request.body.read():
                stream.write(block)
                session.size += len(block)

    def _begin_upload(self, request: Request, name: str) -> Response:
        mount, origin = request.param("mount"), request.param("from")
        neighbour = self.storage.repositories.get(origin)
        if mount and neighbour and self.oddities.mount and mount in neighbour.blobs:
            self.storage.repository(name).blobs.add(mount)
            return Response(201, {"Location": f"/v2/{name}/blobs/{mount}", **self._digest_header(mount)})
        identifier, session = self.storage.begin_upload(name)
        if request.param("digest"):
            refusal = self._refused_chunk(request, name, identifier, session)
            if refusal:
                return refusal
            self._receive(request, session)
            return self._finish_upload(request, name, identifier)
        return Response(202, self._session_headers(request, name, identifier))

    def _finish_upload(self, request: Request, name: str, identifier: str) -> Response:
        digest = request.param("digest")
        if not DIGEST.fullmatch(digest):
            self.storage.drop_upload(name, identifier)
            return failure(400, "DIGEST_INVALID", MISMATCH, "digest parsing failed")
        if not self.storage.finish_upload(name, identifier, digest):
            return failure(400, "DIGEST_INVALID", MISMATCH)
        return Response(201, {"Location": f"/v2/{name}/blobs/{digest}", **self._digest_header(digest)})

    def _lost(self, name: str, identifier: str) -> Response:
        self.storage.drop_upload(name, identifier)
        return failure(404, "BLOB_UPLOAD_INVALID", "blob upload invalid")

    def _session_headers(self, request: Request, name: str, identifier: str) -> dict[str, str]:
        session = self.storage.repository(name).uploads[identifier]
        query = urlencode({"_nouploadcache": "false", "_state": session.states[-1]})
        base = f"{request.scheme}://{request.host}" if self.oddities.absolute_locations else ""
        return {
            "Location": f"{base}/v2/{name}/blobs/uploads/{identifier}?{query}",
            "Range": f"0-{max(0, session.size - 1)}",
            "Docker-Upload-Uuid": identifier,
        }

    def _digest_header(self, digest: str) -> dict[str, str]:
        return {"Docker-Content-Digest": digest} if self.oddities.digest_header else {}
