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
from ..content.manifest import MAX_MANIFEST_BYTES, Manifest
from ..content.reference import fallback_tag
from ..errors import Disallowed, ManifestError, NotFound
from .client import RegistryClient
from .pages import next_page

__all__ = ["Referrers"]

# Nobody has been seen to have more than some hundred; a Link that leads round in circles ends here as well.
MAX_PAGES = 100
MAX_REFERRERS = 5000


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

    def of(self, subject: Digest) -> list[Descriptor]:
        """All of them. Only a clear answer is one: whatever else a registry says is raised, never taken for none."""
        found: dict[Digest, Descriptor] = {}
        url = f"/v2/{self._repository}/referrers/{subject}"
        for page in range(MAX_PAGES):
            if self._client.acr:
                self._client.referrers_pace.passing(self._client.transport.cancellation)
            try:
                answer = self._client.fetch(
                    "GET",
                    url,
                    scopes=self._scopes,
                    accept={200},
                    limit=MAX_MANIFEST_BYTES,
                    headers={"Accept": OCI_INDEX},
                )
            except (NotFound, Disallowed):
                if page:
                    raise
                return self._of_tag(subject)
            entries = _entries(answer.body)
            if entries is None and not page:  # a page for people, as some registries have it for every address
                return self._of_tag(subject)
            found |= {descriptor.digest: descriptor for descriptor in map(Descriptor.from_json, entries or ())}
            url = next_page(self._client, answer, "the list of referrers")
            if len(found) > MAX_REFERRERS:
                break
            if not url:
                return list(found.values())
        raise self._too_many(subject)

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
            raw = json.dumps(body, separators=(",", ":")).encode()
            path = f"/v2/{self._repository}/manifests/{tag}"
            headers = {"Content-Type": OCI_INDEX}
            accept = {200, 201, 202, 204}
            self._client.fetch("PUT", path, scopes=self._scopes, accept=accept, headers=headers, body=raw)

    def _of_tag(self, subject: Digest) -> list[Descriptor]:
        tag = fallback_tag(subject)
        if self._find(tag) is None:
            return []
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
        entries = _entries(raw)
        if entries is None:
            message = f"the tag {tag} of {self._repository} should list referrers, but is no index"
            raise ManifestError(message, origin=self._origin, subject=self._client.registry)
        return {**json.loads(raw), "manifests": entries}

    def _too_many(self, subject: Digest) -> ManifestError:
        message = f"more than {MAX_REFERRERS} referrers of {subject}, or {MAX_PAGES} pages of them"
        return ManifestError(message, origin=self._origin, subject=self._client.registry)


def _entries(raw: bytes) -> list[dict[str, Any]] | None:
    """The descriptors of an index; None for what is no index."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or body.get("mediaType", OCI_INDEX) != OCI_INDEX:
        return None
    entries = body.get("manifests")
    whole = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
    return list(entries) if whole and isinstance(entries, list) else None


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
