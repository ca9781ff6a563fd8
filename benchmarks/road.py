# SPDX-License-Identifier: MIT
"""The hosts of a road through the cloud, as a process: ``road.py CONFIG``. TLS 1.3, content in memory.

``hub`` is a registry as Docker Hub is one: its tokens come from ``auth``, its blobs from ``storage``, each a host of
its own. ``acr`` is a registry as Azure has them: its tokens come from itself, and it takes whatever is pushed. Nobody
signs in. The configuration is JSON: ``content`` (a folder of ``images.Storage``), ``tags`` (of ``hub``: repository,
tag, digest), ``held`` (whether ``acr`` has the same), ``authority`` (a folder), ``hosts`` (by role the name and port
that clients use, and the port to listen on), ``log``. The log has a line of JSON for each connection and request:
when it came and when it was answered, in seconds of the system's monotonic clock.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

BLOCK = 1024 * 1024
EMPTY_INDEX = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"

Answer = tuple[int, dict[str, str], bytes]


class Log:
    """Lines of JSON, whole at every moment."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()

    def write(self, **entry: Any) -> None:
        """One line."""
        with self._lock:
            self._file.write(json.dumps(entry) + "\n")


class Exchange:
    """One request: its head, its body to be read, and where its answer goes."""

    def __init__(self, stream: Any, method: str, target: str, headers: dict[str, str]) -> None:
        self.method = method
        parts = urlsplit(target)
        self.path = parts.path
        self.query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.headers = headers
        self._stream = stream

    def body(self) -> Iterator[bytes]:
        """By blocks; of a stated length, or chunked as skopeo sends it."""
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while left := int(self._stream.readline().split(b";")[0], 16):
                yield from self._part(left)
                self._stream.readline()
            self._stream.readline()
            return
        yield from self._part(int(self.headers.get("content-length") or 0))

    def _part(self, left: int) -> Iterator[bytes]:
        while left:
            block = self._stream.read(min(BLOCK, left))
            if not block:
                raise ConnectionError("it went away")
            left -= len(block)
            yield block


class Hub:
    """A registry that is read: tokens from another host, blobs by way of a third one."""

    def __init__(self, content: Path, tags: list[list[str]], hosts: dict[str, dict[str, Any]]) -> None:
        self._blobs = content / "docker" / "registry" / "v2" / "blobs" / "sha256"
        self._tags = {(repository, tag): digest for repository, tag, digest in tags}
        self._auth, self._storage = (f"https://{address(hosts[role])}" for role in ("auth", "storage"))

    def registry(self, asked: Exchange) -> Answer:
        """``hub``."""
        if not asked.headers.get("authorization", "").startswith("Bearer hub"):
            return challenge(f"{self._auth}/token", "hub", asked, "pull")
        if asked.path == "/v2/":
            return 200, {}, b""
        repository, kind, name = parted(asked.path)
        if kind == "manifests":
            digest = name if ":" in name else self._tags.get((repository, name), "")
            return self._manifest(digest)
        if kind == "blobs":
            return 307, {"Location": f"{self._storage}/{name}?sig=abc"}, b""
        if kind == "tags":
            names = sorted(tag for holder, tag in self._tags if holder == repository)
            return 200, {"Content-Type": "application/json"}, json.dumps({"name": repository, "tags": names}).encode()
        return 404, {}, b""  # it has no referrers API

    def tokens(self, asked: Exchange) -> Answer:
        """``auth``."""
        return token("hub")

    def blobs(self, asked: Exchange) -> Answer:
        """``storage``: refuses whoever shows it a token that is for another host."""
        if "authorization" in asked.headers:
            return 400, {}, b""
        return 200, {"Content-Type": "application/octet-stream"}, self._read(asked.path.lstrip("/"))

    def _manifest(self, digest: str) -> Answer:
        if not digest:
            return 404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'
        raw = self._read(digest)
        return 200, {"Content-Type": json.loads(raw)["mediaType"], "Docker-Content-Digest": digest}, raw

    def _read(self, digest: str) -> bytes:
        encoded = digest.partition(":")[2]
        return (self._blobs / encoded[:2] / encoded / "data").read_bytes()


class Acr:
    """A registry that is written: it keeps manifests, and of blobs the digests."""

    def __init__(self, own: dict[str, Any], held: Hub | None) -> None:
        self._realm = f"https://{address(own)}/oauth2/token"
        self._blobs: set[tuple[str, str]] = set()
        self._manifests: dict[tuple[str, str], tuple[str, str, bytes]] = {}
        self._sent: dict[str, Any] = {}
        self._count = itertools.count()
        for (repository, tag), digest in held._tags.items() if held else ():
            _, headers, raw = held._manifest(digest)
            self._manifests[repository, tag] = digest, headers["Content-Type"], raw

    def registry(self, asked: Exchange) -> Answer:
        """``acr``."""
        if asked.path == "/oauth2/token":
            return token("acr")
        if not asked.headers.get("authorization", "").startswith("Bearer acr"):
            return challenge(self._realm, "acr", asked, "pull,push")
        if asked.path == "/v2/":
            return 200, {}, b""
        if asked.path.startswith("/acr/v1/"):
            return self._told(asked)
        repository, kind, name = parted(asked.path)
        if kind == "uploads":
            return self._upload(asked, repository, name)
        if kind == "blobs":
            there = (repository, name) in self._blobs
            return (200 if there else 404), {"Docker-Content-Digest": name} if there else {}, b""
        if kind == "referrers":
            return 200, {"Content-Type": INDEX_TYPE}, EMPTY_INDEX
        if kind == "manifests" and asked.method == "PUT":
            return self._put(asked, repository, name)
        digest, media_type, raw = self._manifests.get((repository, name), ("", "", b""))
        if kind != "manifests" or not digest:
            return 404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'
        return 200, {"Content-Type": media_type, "Docker-Content-Digest": digest}, raw

    def _told(self, asked: Exchange) -> Answer:
        """Of a repository that nothing is locked; or its tags, at most ``n`` of them from ``last`` on."""
        repository, listed, _ = asked.path.removeprefix("/acr/v1/").partition("/_tags")
        tags = sorted(tag for holder, tag in self._manifests if holder == repository and ":" not in tag)
        if not tags:
            return 404, {}, b'{"errors":[{"code":"NAME_UNKNOWN"}]}'
        if not listed:
            return 200, {}, json.dumps({"changeableAttributes": {"writeEnabled": True}}).encode()
        left = [tag for tag in tags if tag > asked.query.get("last", "")]
        page = left[: int(asked.query["n"])]
        more = {"Link": f'<{asked.path}?last={page[-1]}&n={len(page)}>; rel="next"'} if len(page) < len(left) else {}
        entries = [{"name": tag, "digest": self._manifests[repository, tag][0]} for tag in page]
        return 200, more, json.dumps({"imageName": repository, "tags": entries}).encode()

    def _upload(self, asked: Exchange, repository: str, name: str) -> Answer:
        if asked.method == "POST":
            wanted = asked.query.get("mount", "")
            if wanted and (asked.query.get("from", ""), wanted) in self._blobs:
                self._blobs.add((repository, wanted))
                return 201, {"Docker-Content-Digest": wanted}, b""
            name = f"session-{next(self._count)}"
            self._sent[name] = hashlib.sha256()
            return 202, {"Location": f"/v2/{repository}/blobs/uploads/{name}?_state=a"}, b""
        if asked.method == "DELETE":
            return 204, {}, b""
        size = 0
        for block in asked.body():
            self._sent[name].update(block)
            size += len(block)
        if asked.method == "PATCH":
            headers = {"Location": f"/v2/{repository}/blobs/uploads/{name}?_state=b", "Range": f"0-{size - 1}"}
            return 202, headers, b""
        digest = f"sha256:{self._sent.pop(name).hexdigest()}"
        if digest != asked.query.get("digest"):
            return 400, {}, b'{"errors":[{"code":"DIGEST_INVALID"}]}'
        self._blobs.add((repository, digest))
        return 201, {"Docker-Content-Digest": digest}, b""

    def _put(self, asked: Exchange, repository: str, name: str) -> Answer:
        raw = b"".join(asked.body())
        body = json.loads(raw)
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        blobs = [*body.get("layers", ()), *([body["config"]] if "config" in body else [])]
        missing = [blob for blob in blobs if (repository, blob["digest"]) not in self._blobs]
        missing += [one for one in body.get("manifests", ()) if (repository, one["digest"]) not in self._manifests]
        if missing:
            return 404, {}, b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}'
        for identifier in (name, digest):
            self._manifests[repository, identifier] = digest, asked.headers["content-type"], raw
        return 201, {"Docker-Content-Digest": digest}, b""


class Front:
    """One host's port. A thread a connection."""

    def __init__(
        self, role: str, port: int, answer: Callable[[Exchange], Answer], tls: ssl.SSLContext, log: Log
    ) -> None:
        self._role, self._answer, self._tls, self._log = role, answer, tls, log
        self._count = itertools.count()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)

    def serve(self) -> None:
        """For ever."""
        while True:
            connection, _ = self._listener.accept()
            number = f"{self._role}-{next(self._count)}"
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, plain: socket.socket, number: str) -> None:
        accepted = time.monotonic()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError, ValueError), plain:
            connection = self._tls.wrap_socket(plain, server_side=True)
            greeted = time.monotonic()
            self._log.write(kind="connection", host=self._role, connection=number, begun=accepted, ended=greeted)
            with connection, connection.makefile("rb", BLOCK) as stream:
                while head := stream.readline():
                    self._exchange(head, stream, connection, number)

    def _exchange(self, head: bytes, stream: Any, connection: ssl.SSLSocket, number: str) -> None:
        came = time.monotonic()
        method, target, _ = head.decode("latin-1").split(" ", 2)
        headers: dict[str, str] = {}
        while (line := stream.readline().decode("latin-1").rstrip("\r\n")) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        asked = Exchange(stream, method, target, headers)
        status, more, body = self._answer(asked)
        if status >= 400 or method == "POST":  # it has looked at no body
            for _ in asked.body():
                pass
        lines = [f"HTTP/1.1 {status} Answer", f"Content-Length: {len(body)}", *(f"{n}: {v}" for n, v in more.items())]
        raw = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        connection.sendall(raw if method == "HEAD" else raw + body if len(body) < BLOCK else raw)
        if method != "HEAD" and len(body) >= BLOCK:
            view = memoryview(body)
            for start in range(0, len(body), BLOCK):
                connection.sendall(view[start : start + BLOCK])
        self._log.write(
            kind="request",
            host=self._role,
            connection=number,
            begun=came,
            ended=time.monotonic(),
            method=method,
            path=target,
            status=status,
        )


def parted(path: str) -> tuple[str, str, str]:
    """Repository, kind, and the name behind it."""
    for kind in ("/blobs/uploads/", "/manifests/", "/blobs/", "/tags/", "/referrers/"):
        repository, found, name = path.removeprefix("/v2/").partition(kind)
        if found:
            return repository, "uploads" if "uploads" in kind else kind.strip("/"), name
    return "", "", ""


def address(host: dict[str, Any]) -> str:
    """As clients write it."""
    return f"{host['name']}:{host['port']}"


def token(kind: str) -> Answer:
    """One that is as long as real ones are."""
    body = {"token": f"{kind}.{'t' * 1500}", "access_token": f"{kind}.{'t' * 1500}", "expires_in": 300}
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


def challenge(realm: str, service: str, asked: Exchange, actions: str) -> Answer:
    """401."""
    repository = parted(asked.path)[0]
    scope = f',scope="repository:{repository}:{actions}"' if repository else ""
    return 401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="{service}"{scope}'}, b""


def main() -> None:
    """Serve until the process is ended."""
    config = json.loads(Path(sys.argv[1]).read_text())
    hosts, log = config["hosts"], Log(Path(config["log"]))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    folder = Path(config["authority"])
    tls.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    hub = Hub(Path(config["content"]), config["tags"], hosts)
    acr = Acr(hosts["acr"], hub if config["held"] else None)
    answers = {"hub": hub.registry, "auth": hub.tokens, "storage": hub.blobs, "acr": acr.registry}
    fronts = [Front(role, hosts[role]["listens"], answers[role], tls, log) for role in answers]
    for front in fronts[1:]:
        threading.Thread(target=front.serve, daemon=True).start()
    fronts[0].serve()


if __name__ == "__main__":
    main()
