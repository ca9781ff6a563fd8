# SPDX-License-Identifier: MIT
"""The copying behind importImage, and what the service asks of the source before it copies.

The source's own front decides whether the credentials are good enough, so a refusal here is the refusal there.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from .arm import ImportFailed
from .images import ACCEPT
from .server import Handler, Response, call
from .world import AzureRegistry, World

# https://learn.microsoft.com/azure/container-registry/container-registry-import-images, limitations
MAX_MANIFESTS = 50
# what a host is called in references, and where it answers
NAMES = {"docker.io": "registry-1.docker.io"}
# what the service takes for Docker Hub as well
HUB = ("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")


class Importer:
    """``contents``: what a registry host holds, asked without signing in. ``fronts``: the same host for everybody."""

    def __init__(self, world: World, contents: Mapping[str, Handler], fronts: Mapping[str, Handler]) -> None:
        self._world = world
        self._contents = contents
        self._fronts = fronts

    def __call__(self, target: AzureRegistry, parameters: dict[str, Any]) -> None:
        source = parameters["source"]
        repository, _, identifier = _split(source["sourceImage"])
        given = "latest" if ":" in identifier else identifier  # the tag of a target that names none
        targets = [text.partition(":") for text in parameters.get("targetTags") or []]
        tags = [(name, tag or given) for name, _, tag in targets]
        ours = self._contents[target.login_server]
        for name, tag in tags:
            if not target.is_writable(name, f"{name}:{tag}"):
                raise ImportFailed("InvalidParameters", f"The operation is disallowed on {name}:{tag}.")
            found = call(ours, "HEAD", f"/v2/{name}/manifests/{tag}", headers=ACCEPT)
            if found.status == 200 and parameters.get("mode") != "Force":
                raise ImportFailed("Conflict", f"Tag {name}:{tag} already exists in target registry.")
        content, found = self._admitted(source, f"/v2/{repository}/manifests/{identifier}")
        if found.status != 200:
            raise ImportFailed("InvalidParameters", _refusal(found))
        if sum(1 for _ in self._manifests(content, repository, identifier)) > MAX_MANIFESTS:
            raise ImportFailed("InvalidParameters", f"The image has more than {MAX_MANIFESTS} manifests.")
        untagged = [(name, "") for name in parameters.get("untaggedTargetRepositories") or []]
        for name, tag in [*tags, *untagged]:
            self._copy(content, repository, identifier, ours, name, tag)

    def _admitted(self, source: dict[str, Any], path: str) -> tuple[Handler, Response]:
        """The source's content, and what whoever imports gets to see at the path."""
        if source.get("resourceId"):
            registry = self._world.registry(source["resourceId"])
            if registry is None:
                raise ImportFailed("InvalidParameters", f"The source {source['resourceId']} can not be found.")
            if not registry.export_enabled:
                raise ImportFailed("InvalidParameters", f"Exports of {registry.login_server} are disabled.")
            # rights of the caller were looked at by ARM; a trusted service passes the firewall
            content = self._contents[registry.login_server]
            return content, call(content, "GET", path, headers=ACCEPT)
        host = source["registryUri"].lower().removesuffix(":443")
        host = "docker.io" if host in HUB else host
        if host not in self._contents:
            raise ImportFailed("InvalidParameters", f"The source {host} can not be reached.")
        return self._contents[host], self._asked(host, path, source.get("credentials") or {})

    def _asked(self, host: str, path: str, credentials: dict[str, str]) -> Response:
        """The answer of the host to a client with these credentials: user and password, an Entra token, or none."""
        front = self._fronts[NAMES.get(host, host)]
        headers = ACCEPT | _basic(credentials) if credentials.get("username") else ACCEPT
        found = call(front, "GET", path, headers=ACCEPT, host=host)
        if found.status != 401:
            return found
        challenge = found.headers.get("WWW-Authenticate", "")
        if challenge.startswith("Basic "):
            return call(front, "GET", path, headers=headers, host=host)
        facts = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = re.match(r"https://([^/]+)(/.*)", facts["realm"])
        assert realm is not None
        issuer, service = self._fronts[realm[1]], facts["service"]
        if credentials and not credentials.get("username"):
            form = {"grant_type": "access_token", "service": service, "access_token": credentials["password"]}
            exchanged = call(issuer, "POST", "/oauth2/exchange", body=urlencode(form).encode(), host=host)
            if exchanged.status != 200:
                return exchanged
            refresh = json.loads(exchanged.body)["refresh_token"]  # type: ignore[arg-type]
            headers = ACCEPT | _basic({"username": "00000000-0000-0000-0000-000000000000", "password": refresh})
        query = urlencode({"service": service, "scope": facts["scope"]})
        issued = call(issuer, "GET", f"{realm[2]}?{query}", headers=headers, host=realm[1])
        if issued.status != 200:
            return issued
        token = json.loads(issued.body)["access_token"]  # type: ignore[arg-type]
        return call(front, "GET", path, headers=ACCEPT | {"Authorization": f"Bearer {token}"}, host=host)

    def _manifests(self, content: Handler, repository: str, identifier: str) -> Iterator[dict[str, Any]]:
        found = call(content, "GET", f"/v2/{repository}/manifests/{identifier}", headers=ACCEPT, expect=200)
        body = json.loads(found.body)  # type: ignore[arg-type]
        yield body
        for child in body.get("manifests", []):
            yield from self._manifests(content, repository, child["digest"])

    def _copy(self, content: Handler, repository: str, identifier: str, ours: Handler, name: str, tag: str) -> None:
        found = call(content, "GET", f"/v2/{repository}/manifests/{identifier}", headers=ACCEPT, expect=200)
        body = json.loads(found.body)  # type: ignore[arg-type]
        for child in body.get("manifests", []):
            self._copy(content, repository, child["digest"], ours, name, "")
        for blob in [*([body["config"]] if "config" in body else []), *body.get("layers", [])]:
            raw = call(content, "GET", f"/v2/{repository}/blobs/{blob['digest']}", expect=200).body
            location = call(ours, "POST", f"/v2/{name}/blobs/uploads/").headers["Location"]
            separator = "&" if "?" in location else "?"
            call(ours, "PUT", f"{location}{separator}digest={blob['digest']}", body=raw, expect=201)  # type: ignore[arg-type]
        headers = {"Content-Type": found.headers["Content-Type"]}
        last = tag or found.headers["Docker-Content-Digest"]
        call(ours, "PUT", f"/v2/{name}/manifests/{last}", headers=headers, body=found.body, expect=201)  # type: ignore[arg-type]


def _refusal(found: Response) -> str:
    """The service's words for an answer of the source: the reason twice, then the body."""
    reason = HTTPStatus(found.status).phrase
    first = "429 Too Many Requests" if found.status == 429 else reason.replace(" ", "")
    return f"Invalid message {first} {reason} {found.body.decode()}"  # type: ignore[union-attr]


def _basic(credentials: dict[str, str]) -> dict[str, str]:
    pair = f"{credentials['username']}:{credentials.get('password', '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _split(text: str) -> tuple[str, str, str]:
    """Repository, separator, tag or digest; no tag means latest."""
    if "@" in text:
        return text.partition("@")
    name, _, tag = text.partition(":")
    return name, ":", tag or "latest"
