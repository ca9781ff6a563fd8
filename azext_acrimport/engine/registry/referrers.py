# SPDX-License-Identifier: MIT
"""What refers to a manifest in a registry: by the referrers API, and by a tag where a registry does not have it.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

from ..auth.scope import Scope
from ..content.descriptor import OCI_INDEX, Descriptor
from ..content.digest import Digest
from ..content.document import parse_document
from ..content.manifest import MAX_MANIFEST_BYTES, Manifest
from ..content.reference import fallback_tag
from ..errors import ManifestError, NotFound, RegistryError
from ..transport.response import Answer
from .client import RegistryClient
from .pages import next_page

__all__ = ["Referrers"]

# Nobody has been seen to have more than some hundred; a Link that leads round in circles ends here as well.
MAX_PAGES = 100
MAX_REFERRERS = 5000
# What registries answer that do not have the API, for a digest that is one; and codes that say something else with the
# same statuses: ACR's 405 for what is locked or quarantined is no answer to the question.
WITHOUT_API = frozenset({400, 404, 405, 406, 501})
REFUSALS = frozenset(
    {"DENIED", "IMAGE_QUARANTINED", "REGISTRY_DISALLOWED_OPERATION", "TOOMANYREQUESTS", "UNAUTHORIZED"}
)
# How often a list that others write at the same time is merged anew.
MERGES = 8
# Of one list, on all its pages: three kilobytes of annotations for each of so many.
MAX_LIST_BYTES = 16 * 1024 * 1024
# Most lists are far shorter. Those that are not are read one after the other: sixty-four of four megabytes at once
# would take half a gigabyte.
SHORT_BYTES = 256 * 1024
# All long pages that a repository may show us; nobody's images have so many signatures.
MAX_LONG_BYTES = 48 * 1024 * 1024


class Referrers:
    """Of one repository. ``get`` and ``find`` read a tag, ``put`` writes one (tag, media type, bytes)."""

    def __init__(
        self,
        client: RegistryClient,
        repository: str,
        scopes: Iterable[Scope],
        get: Callable[[str], Answer],
        find: Callable[[str], Descriptor | None],
    ) -> None:
        self._client = client
        self._origin = client.transport.origin
        self._repository = repository
        self._scopes = tuple(scopes)
        self._get = get
        self._find = find
        self._lock = threading.Lock()
        # whether there is the API; None until a registry has told
        self._has_api: bool | None = None
        self._long_left = MAX_LONG_BYTES

    def of(self, subject: Digest) -> list[Descriptor]:
        """All of them. Only a clear answer is one: whatever else a registry says is raised, never taken for none."""
        found = self._listed(subject)
        return self._of_tag(subject) if found is None else found

    def keep(self, manifest: Manifest) -> None:
        """See to it that a manifest that was put is in its subject's list; nothing where the registry does that.

        It is asked: not every registry with the API says ``OCI-Subject`` when a referrer is put.
        """
        assert manifest.subject
        if self._has_api is None:
            self._has_api = self._page(f"/v2/{self._repository}/referrers/{manifest.subject.digest}") is not None
        if not self._has_api:
            self._link(manifest, manifest.subject.digest)

    def _listed(self, subject: Digest) -> list[Descriptor] | None:
        """As the API lists them; None without it."""
        found: dict[Digest, Descriptor] = {}
        left = MAX_LIST_BYTES
        url = f"/v2/{self._repository}/referrers/{subject}"
        # a source that has listed some has the API; a target may say so of what it does not hold yet
        known = self._has_api is True and self._origin == "source"
        for number in range(MAX_PAGES):
            page = self._page(url, first=not number and not known)
            if page is None:
                return None
            self._has_api = True
            listed, url, size = page
            found |= {descriptor.digest: descriptor for descriptor in listed}
            left -= size
            if len(found) > MAX_REFERRERS or left < 0:
                break
            if not url:
                return list(found.values())
        raise self._too_many(subject)

    def _page(self, url: str, first: bool = True) -> tuple[list[Descriptor], str, int] | None:
        """What a page lists, where it goes on, its size in bytes; None where it tells that there is no API.

        ``first``: whether it may tell that.
        """
        client = self._client
        if client.acr:
            client.referrers_pace.passing(client.transport.cancellation)
        try:
            answer = self._asked(url, SHORT_BYTES)
        except ManifestError:
            return self._long_page(url, first)
        except RegistryError as error:
            if not first or error.status not in WITHOUT_API or REFUSALS.intersection(error.codes):
                raise
            return None
        return self._read_page(answer, first)

    def _long_page(self, url: str, first: bool) -> tuple[list[Descriptor], str, int] | None:
        with self._client.alone():
            if self._long_left <= 0:
                raise self._none("lists of referrers of this repository are longer than any that people have")
            answer = self._asked(url, MAX_MANIFEST_BYTES)
            self._long_left -= len(answer.body)
            return self._read_page(answer, first)

    def _asked(self, url: str, limit: int) -> Answer:
        headers = {"Accept": OCI_INDEX}
        return self._client.fetch("GET", url, scopes=self._scopes, accept={200}, limit=limit, headers=headers)

    def _read_page(self, answer: Answer, first: bool) -> tuple[list[Descriptor], str, int] | None:
        index = _index(answer.body)
        if index is not None:
            listed = [Descriptor.from_json(entry) for entry in index["manifests"]]
            return listed, next_page(self._client, answer, "the list of referrers"), len(answer.body)
        if first and "json" not in answer.headers.get("Content-Type", ""):
            return None  # a page for people, as some registries have it for every address
        raise self._none("a list of referrers is not an index")

    def _none(self, message: str) -> ManifestError:
        return ManifestError(message, origin=self._origin, subject=self._client.registry)

    def _link(self, manifest: Manifest, subject: Digest) -> None:
        """Add the manifest to the list under the fallback tag: read, merge, write, and look whether it is there.

        Others may write it at the same time. What they have added before we write is merged; who comes after us and
        has read before us is noticed, and merged as well.
        """
        tag, headers = fallback_tag(subject), {"Content-Type": OCI_INDEX}
        path, accept = f"/v2/{self._repository}/manifests/{tag}", {200, 201, 202, 204}
        with self._lock:
            for _ in range(MERGES):
                raw, body = self._read(tag)
                if any(entry.get("digest") == str(manifest.descriptor.digest) for entry in body["manifests"]):
                    return
                body["manifests"].append(_entry(manifest))
                merged = self._written(body, tag)
                if self._still_names(tag, raw):
                    self._client.fetch("PUT", path, scopes=self._scopes, accept=accept, headers=headers, body=merged)
        message = f"the list of referrers under {tag} of {self._repository} is changed by others all the time"
        raise ManifestError(message, origin=self._origin, subject=self._client.registry)

    def _still_names(self, tag: str, raw: bytes) -> bool:
        found = self._find(tag)
        return found.digest == Digest.of(raw, found.digest.algorithm) if found else not raw

    def _written(self, index: dict[str, Any], tag: str) -> bytes:
        try:
            return json.dumps(index, separators=(",", ":")).encode()
        except RecursionError:  # what could be read may still be too deep to be written
            message = f"the list of referrers under the tag {tag} is nested too deeply"
            raise ManifestError(message, origin=self._origin, subject=self._client.registry) from None

    def _of_tag(self, subject: Digest) -> list[Descriptor]:
        tag = fallback_tag(subject)
        if self._find(tag) is None:
            return []
        with self._client.alone():
            entries = self._read(tag)[1]["manifests"]
            if len(entries) > MAX_REFERRERS:
                raise self._too_many(subject)
            return [Descriptor.from_json(entry) for entry in entries]

    def _read(self, tag: str) -> tuple[bytes, dict[str, Any]]:
        """The index under the tag, and its bytes; a new one, and none, when there is none."""
        try:
            raw = self._get(tag).body
        except NotFound:
            return b"", {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
        index = _index(raw)
        if index is None:
            message = f"the tag {tag} of {self._repository} should list referrers, but is not an index"
            raise ManifestError(message, origin=self._origin, subject=self._client.registry)
        return raw, index

    def _too_many(self, subject: Digest) -> ManifestError:
        measure = f"{MAX_REFERRERS} referrers of {subject}, or {MAX_PAGES} pages or {MAX_LIST_BYTES} bytes of them"
        message = f"more than {measure}"
        return ManifestError(message, origin=self._origin, subject=self._client.registry)


def _index(raw: bytes) -> dict[str, Any] | None:
    """An index, with a list of objects as its manifests; None for what is no index."""
    try:
        body = parse_document(raw)
    except ValueError:
        return None
    if not isinstance(body, dict) or body.get("mediaType", OCI_INDEX) != OCI_INDEX:
        return None
    entries = body.get("manifests")
    if entries is None and "manifests" in body and "mediaType" in body:
        return {**body, "manifests": []}  # an empty list, as some Go programs write it
    return body if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries) else None


def _entry(manifest: Manifest) -> dict[str, Any]:
    """What the list says of a referrer: its type of artifact, else that of its config; its annotations."""
    body = json.loads(manifest.raw)
    kind = body.get("artifactType") or (manifest.config.media_type if manifest.config else "")
    descriptor = manifest.descriptor
    entry = {"mediaType": descriptor.media_type, "digest": str(descriptor.digest), "size": len(manifest.raw)}
    annotations = body.get("annotations")
    return {
        **entry,
        **({"artifactType": kind} if kind else {}),
        **({"annotations": annotations} if isinstance(annotations, dict) and annotations else {}),
    }
