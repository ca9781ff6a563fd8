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
from ..errors import Disallowed, ManifestError, NotFound
from ..transport.response import Answer
from .client import RegistryClient
from .pages import next_page

__all__ = ["Referrers"]

# Nobody has been seen to have more than some hundred; a Link that leads round in circles ends here as well.
MAX_PAGES = 100
MAX_REFERRERS = 5000
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
        get: Callable[[str], tuple[bytes, str]],
        find: Callable[[str], Descriptor | None],
    ) -> None:
        self._client = client
        self._origin = client.transport.origin
        self._repository = repository
        self._scopes = tuple(scopes)
        self._get = get
        self._find = find
        self._lock = threading.Lock()
        self._long_left = MAX_LONG_BYTES

    def of(self, subject: Digest) -> list[Descriptor]:
        """All of them. Only a clear answer is one: whatever else a registry says is raised, never taken for none."""
        found: dict[Digest, Descriptor] = {}
        left = MAX_LIST_BYTES
        url = f"/v2/{self._repository}/referrers/{subject}"
        for page in range(MAX_PAGES):
            if self._client.acr:
                self._client.referrers_pace.passing(self._client.transport.cancellation)
            try:
                listed, url, size = self._page(url)
            except (NotFound, Disallowed):
                if page:
                    raise
                return self._of_tag(subject)
            if listed is None and not page:  # a page for people, as some registries have it for every address
                return self._of_tag(subject)
            found |= {descriptor.digest: descriptor for descriptor in listed or ()}
            left -= size
            if len(found) > MAX_REFERRERS or left < 0:
                break
            if not url:
                return list(found.values())
        raise self._too_many(subject)

    def _page(self, url: str) -> tuple[list[Descriptor] | None, str, int]:
        """What a page lists (None for what is no list), where it goes on, and its size in bytes."""
        try:
            answer = self._asked(url, SHORT_BYTES)
        except ManifestError:
            with self._client.alone():
                if self._long_left <= 0:
                    raise
                page = self._listed(self._asked(url, MAX_MANIFEST_BYTES))
                self._long_left -= page[2]
                return page
        return self._listed(answer)

    def _asked(self, url: str, limit: int) -> Answer:
        headers = {"Accept": OCI_INDEX}
        return self._client.fetch("GET", url, scopes=self._scopes, accept={200}, limit=limit, headers=headers)

    def _listed(self, answer: Answer) -> tuple[list[Descriptor] | None, str, int]:
        index = _index(answer.body)
        listed = None if index is None else [Descriptor.from_json(entry) for entry in index["manifests"]]
        return listed, next_page(self._client, answer, "the list of referrers"), len(answer.body)

    def link(self, manifest: Manifest) -> None:
        """Add the manifest to its subject's list under the fallback tag: read, merge, write.

        Two programs that do so at the same moment can lose an entry; two threads of this one cannot.
        """
        assert manifest.subject
        tag = fallback_tag(manifest.subject.digest)
        with self._lock:
            body = self._read(tag)
            if any(entry.get("digest") == str(manifest.descriptor.digest) for entry in body["manifests"]):
                return
            body["manifests"].append(_entry(manifest))
            raw = self._written(body, tag)
            path = f"/v2/{self._repository}/manifests/{tag}"
            headers = {"Content-Type": OCI_INDEX}
            accept = {200, 201, 202, 204}
            self._client.fetch("PUT", path, scopes=self._scopes, accept=accept, headers=headers, body=raw)

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
            entries = self._read(tag)["manifests"]
            if len(entries) > MAX_REFERRERS:
                raise self._too_many(subject)
            return [Descriptor.from_json(entry) for entry in entries]

    def _read(self, tag: str) -> dict[str, Any]:
        """The index under the tag; a new one when there is none."""
        try:
            raw, _ = self._get(tag)
        except NotFound:
            return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
        index = _index(raw)
        if index is None:
            message = f"the tag {tag} of {self._repository} should list referrers, but is no index"
            raise ManifestError(message, origin=self._origin, subject=self._client.registry)
        return index

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
