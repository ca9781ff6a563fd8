# SPDX-License-Identifier: MIT
"""``/acr/v1``: what ACR knows of repositories, tags and manifests beyond the distribution specification."""

from __future__ import annotations

import json
import re
from typing import Any

from .entra import answer
from .images import ACCEPT
from .registry import DIGEST, ROUTE, failure
from .server import Handler, Request, Response, call
from .storage import digest_of, now
from .world import AzureRegistry

ROUTES = re.compile(r"/acr/v1/(?P<name>.+?)(?:/_(?P<kind>tags|manifests)(?:/(?P<rest>.*))?)?")
UNLOCKED = {"deleteEnabled": True, "writeEnabled": True, "readEnabled": True, "listEnabled": True}


class Metadata:
    """Keeps count of manifests as they are pushed: the content itself lists only those that have tags."""

    def __init__(self, registry: AzureRegistry, content: Handler) -> None:
        self._registry = registry
        self._content = content
        self._manifests: dict[str, dict[str, dict[str, Any]]] = {}

    def recorded(self, request: Request) -> Response:
        """The content, with every manifest that goes in noted down."""
        route = ROUTE.fullmatch(request.path)
        if request.method != "PUT" or not route or route["kind"] != "manifests":
            return self._content(request)
        raw = request.body.read_all()
        headers = {name: request.headers[name] for name in ("Content-Type",) if request.headers.get(name)}
        response = call(self._content, "PUT", request.path, headers=headers, body=raw)
        if response.status == 201:
            note = self._note(json.loads(raw), headers["Content-Type"], len(raw))
            self._manifests.setdefault(route["name"], {}).setdefault(digest_of(raw), note)
        return response

    def __call__(self, request: Request) -> Response:
        if request.path == "/acr/v1/_catalog":
            return answer({"repositories": sorted(self._manifests)})
        route = ROUTES.fullmatch(request.path)
        if not route or route["name"] not in self._manifests:
            return failure(404, "NAME_UNKNOWN", "repository name not known to registry")
        name, kind, rest = route["name"], route["kind"], route["rest"]
        if request.method == "PATCH":
            separator = "" if not rest else "@" if DIGEST.fullmatch(rest) else ":"
            key = f"{name}{separator}{rest or ''}"
            self._registry.attributes.setdefault(key, {}).update(json.loads(request.body.read_all()))
            return answer({})
        tags = self._tags(name)
        if kind is None:
            return answer(self._repository(name, tags))
        if kind == "tags":
            return self._listed(name, "tags", "tag", [self._tag(name, t, d) for t, d in tags.items()], rest, "name")
        manifests = [self._manifest(name, digest, tags) for digest in self._manifests[name]]
        return self._listed(name, "manifests", "manifest", manifests, rest, "digest")

    def _listed(
        self, name: str, plural: str, singular: str, entries: list[dict], rest: str | None, key: str
    ) -> Response:
        head = {"registry": self._registry.login_server, "imageName": name}
        if not rest:
            return answer({**head, plural: entries})
        entry = next((entry for entry in entries if entry[key] == rest), None)
        code = f"{singular.upper()}_UNKNOWN"
        return answer({**head, singular: entry}) if entry else failure(404, code, f"{singular} {rest} is not found")

    def _tags(self, name: str) -> dict[str, str]:
        listed = json.loads(call(self._content, "GET", f"/v2/{name}/tags/list", expect=200).body)  # type: ignore[arg-type]
        return {
            tag: call(self._content, "HEAD", f"/v2/{name}/manifests/{tag}", headers=ACCEPT).headers[
                "Docker-Content-Digest"
            ]
            for tag in listed["tags"] or []
        }

    def _attributes(self, key: str) -> dict[str, bool]:
        return UNLOCKED | self._registry.attributes.get(key, {})

    def _repository(self, name: str, tags: dict[str, str]) -> dict[str, Any]:
        created = [note["createdTime"] for note in self._manifests[name].values()]
        return {
            "registry": self._registry.login_server,
            "imageName": name,
            "createdTime": min(created),
            "lastUpdateTime": max(created),
            "manifestCount": len(created),
            "tagCount": len(tags),
            "changeableAttributes": self._attributes(name),
        }

    def _tag(self, name: str, tag: str, digest: str) -> dict[str, Any]:
        created = self._manifests[name][digest]["createdTime"]
        return {
            "name": tag,
            "digest": digest,
            "createdTime": created,
            "lastUpdateTime": created,
            "signed": False,
            "changeableAttributes": self._attributes(f"{name}:{tag}"),
        }

    def _manifest(self, name: str, digest: str, tags: dict[str, str]) -> dict[str, Any]:
        own = [tag for tag, named in tags.items() if named == digest]
        attributes = self._attributes(f"{name}@{digest}")
        return {"digest": digest, **self._manifests[name][digest], "tags": own, "changeableAttributes": attributes}

    def _note(self, body: dict[str, Any], media_type: str, size: int) -> dict[str, Any]:
        blobs = [*([body["config"]] if body.get("config") else []), *body.get("layers", [])]
        config = body.get("config", {}).get("mediaType")
        return {
            "imageSize": sum(blob["size"] for blob in blobs) or size,
            "createdTime": now(),
            "lastUpdateTime": now(),
            "mediaType": media_type,
            **({"configMediaType": config, "architecture": "amd64", "os": "linux"} if config else {}),
        }
