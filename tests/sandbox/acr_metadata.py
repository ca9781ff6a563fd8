# SPDX-License-Identifier: MIT
"""``/acr/v1``: what ACR knows of repositories, tags and manifests beyond the distribution specification."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode

from .entra import answer
from .images import ACCEPT
from .registry import DIGEST, ROUTE, failure
from .server import Handler, Request, Response, call
from .storage import digest_of, now
from .world import AzureRegistry

ROUTES = re.compile(r"/acr/v1/(?P<name>.+?)(?:/_(?P<kind>tags|manifests)(?:/(?P<rest>.*))?)?")
DELETED = re.compile("/acr/v1/_deleted/(.+)/_manifests(?:/(.+))?")
UNLOCKED = {"deleteEnabled": True, "writeEnabled": True, "readEnabled": True, "listEnabled": True}


class Metadata:
    """Keeps count of manifests as they are pushed: the content itself lists only those that have tags."""

    def __init__(self, registry: AzureRegistry, content: Handler) -> None:
        self._registry = registry
        self._content = content
        self._manifests: dict[str, dict[str, dict[str, Any]]] = {}

    def recorded(self, request: Request) -> Response:
        """The content, with every manifest that goes in or out noted down."""
        route = ROUTE.fullmatch(request.path)
        if request.method == "DELETE" and route and route["kind"] == "manifests":
            response = self._content(request)
            if response.status == 202:
                left = self._manifests.get(route["name"], {})
                left.pop(route["rest"], None)
                if not left:
                    self._manifests.pop(route["name"], None)
            return response
        if request.method != "PUT" or not route or route["kind"] != "manifests":
            return self._content(request)
        raw = request.body.read_all()
        if f"{route['name']}@{digest_of(raw)}" in self._registry.deleted:
            return failure(400, "MANIFEST_INVALID", "the manifest is soft-deleted; restore it to use its digest again")
        headers = {name: request.headers[name] for name in ("Content-Type",) if request.headers.get(name)}
        response = call(self._content, "PUT", request.path, headers=headers, body=raw)
        if response.status == 201:
            note = self._note(json.loads(raw), headers["Content-Type"], len(raw))
            self._manifests.setdefault(route["name"], {}).setdefault(digest_of(raw), note)
        return response

    def __call__(self, request: Request) -> Response:
        if request.path == "/acr/v1/_catalog":
            return answer({"repositories": sorted(self._manifests)})
        if deleted := DELETED.fullmatch(request.path):
            if request.method == "POST":
                self._registry.deleted.discard(f"{deleted[1]}@{deleted[2]}")
                return answer({})
            held = [name.partition("@")[2] for name in self._registry.deleted if name.startswith(f"{deleted[1]}@")]
            return answer({"manifests": [{"digest": digest, "deletedAt": now()} for digest in held]})
        route = ROUTES.fullmatch(request.path)
        if not route or route["name"] not in self._manifests:
            asked = request.path.removeprefix("/acr/v1/").partition("/_")[0]
            return failure(404, "NAME_UNKNOWN", f'repository "{asked}" is not found')
        name, kind, rest = route["name"], route["kind"], route["rest"]
        if request.method == "PATCH":
            separator = "" if not rest else "@" if DIGEST.fullmatch(rest) else ":"
            key = f"{name}{separator}{rest or ''}"
            self._registry.attributes.setdefault(key, {}).update(json.loads(request.body.read_all()))
        tags = self._tags(name)
        if kind is None:
            return answer(self._repository(name, tags))
        if kind == "tags":
            entries = [self._tag(name, tag, digest) for tag, digest in tags.items()]
            return self._listed(request, name, "tag", entries, rest, "name")
        manifests = [self._manifest(name, digest, tags) for digest in self._manifests[name]]
        return self._listed(request, name, "manifest", manifests, rest, "digest")

    def _listed(
        self, request: Request, name: str, singular: str, entries: list[dict], rest: str | None, key: str
    ) -> Response:
        head = {"registry": self._registry.login_server, "imageName": name}
        if not rest:
            listed = [entry for entry in entries if entry["changeableAttributes"]["listEnabled"]]
            return self._page(request, head, f"{singular}s", listed, key)
        entry = next((entry for entry in entries if entry[key] == rest), None)
        code = f"{singular.upper()}_UNKNOWN"
        return answer({**head, singular: entry}) if entry else failure(404, code, f"{singular} {rest} is not found")

    @staticmethod
    def _page(request: Request, head: dict[str, str], plural: str, entries: list[dict], key: str) -> Response:
        """Entries after ``last``, at most ``n``; a Link leads to the rest. Without orderby they come by name."""
        newest = request.param("orderby") == "timedesc"
        by_time = newest or request.param("orderby") == "timeasc"
        entries = sorted(entries, key=lambda entry: entry["lastUpdateTime" if by_time else key], reverse=newest)
        keys = [entry[key] for entry in entries]
        first = keys.index(request.param("last")) + 1 if request.param("last") in keys else 0
        asked = request.param("n")
        page = entries[first : first + int(asked)] if asked.isdecimal() and int(asked) else entries[first:]
        response = answer({**head, plural: page})
        if page and first + len(page) < len(entries):
            query = {"last": page[-1][key], "n": asked, "orderby": request.param("orderby")}
            response.headers["Link"] = f'<{request.path}?{urlencode(query)}>; rel="next"'
        return response

    def _tags(self, name: str) -> dict[str, str]:
        listed = json.loads(call(self._content, "GET", f"/v2/{name}/tags/list", expect=200).body)  # type: ignore[arg-type]
        found = {
            tag: call(self._content, "HEAD", f"/v2/{name}/manifests/{tag}", headers=ACCEPT).headers
            for tag in listed["tags"] or []
        }
        named = {tag: headers.get("Docker-Content-Digest", "") for tag, headers in found.items()}
        return {tag: digest for tag, digest in named.items() if digest in self._manifests[name]}

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
