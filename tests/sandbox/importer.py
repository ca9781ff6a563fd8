# SPDX-License-Identifier: MIT
"""The copying behind importImage: from one registry's content to another's, without any client."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .arm import ImportFailed
from .images import ACCEPT
from .server import Handler, call
from .world import AzureRegistry, World


class Importer:
    """``contents``: what a registry host holds, asked without signing in."""

    def __init__(self, world: World, contents: Mapping[str, Handler]) -> None:
        self._world = world
        self._contents = contents

    def __call__(self, target: AzureRegistry, parameters: dict[str, Any]) -> None:
        source = parameters["source"]
        content = self._source(source)
        repository, _, identifier = _split(source["sourceImage"])
        tags = [_split(tag)[::2] for tag in parameters.get("targetTags") or []]
        ours = self._contents[target.login_server]
        for name, tag in tags:
            found = call(ours, "HEAD", f"/v2/{name}/manifests/{tag}", headers=ACCEPT)
            if found.status == 200 and parameters.get("mode") != "Force":
                raise ImportFailed("Conflict", f"Tag {name}:{tag} already exists in target registry.")
        found = call(content, "GET", f"/v2/{repository}/manifests/{identifier}", headers=ACCEPT)
        if found.status != 200:
            text = f"Invalid message NotFound Not Found {found.body.decode()}"  # type: ignore[union-attr]
            raise ImportFailed("InvalidParameters", text)
        untagged = [(name, "") for name in parameters.get("untaggedTargetRepositories") or []]
        for name, tag in [*tags, *untagged]:
            self._copy(content, repository, identifier, ours, name, tag)

    def _source(self, source: dict[str, Any]) -> Handler:
        if source.get("resourceId"):
            name = source["resourceId"].rpartition("/")[2].lower()
            registry = self._world.registries.get(name)
            host = registry.login_server if registry else ""
        else:
            host = source["registryUri"].lower()
        if host not in self._contents:
            raise ImportFailed("InvalidParameters", f"The source {host} can not be reached.")
        return self._contents[host]

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


def _split(text: str) -> tuple[str, str, str]:
    """Repository, separator, tag or digest; no tag means latest."""
    if "@" in text:
        return text.partition("@")
    name, _, tag = text.partition(":")
    return name, ":", tag or "latest"
