# SPDX-License-Identifier: MIT
"""What a registry checks of a manifest before it keeps it. Standard library only.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
"""

from __future__ import annotations

import re
from typing import Any

from .storage import DIGEST, Repository

INDEXES = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
}
# withdrawn forms, which know no version of a schema
ARTIFACTS = {
    "application/vnd.oci.artifact.manifest.v1+json",
    "application/vnd.cncf.oras.artifact.manifest.v1+json",
}
FOREIGN = re.compile(r"foreign|nondistributable")
LISTS = ("layers", "blobs", "manifests")


def is_manifest(body: object) -> bool:
    """True for a document of schema version 2 in which everything that stands for content is a descriptor."""
    if not isinstance(body, dict):
        return False
    if body.get("schemaVersion") != 2 and body.get("mediaType") not in ARTIFACTS:
        return False
    lists = [body[name] for name in LISTS if body.get(name) is not None]
    if not all(isinstance(entries, list) for entries in lists):
        return False
    singles = [body[name] for name in ("config", "subject") if body.get(name) is not None]
    return all(_is_descriptor(entry) for entries in (singles, *lists) for entry in entries)


def missing(repository: Repository, body: dict[str, Any], media_type: str) -> tuple[str, str, object] | None:
    """What the manifest names and the repository does not hold: code, message and detail."""
    for blob in [*([body["config"]] if body.get("config") else []), *_listed(body, "layers", "blobs")]:
        foreign = blob.get("urls") and FOREIGN.search(blob.get("mediaType", ""))
        if blob["digest"] not in repository.blobs and not foreign:
            return "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", blob["digest"]
    # a child may be a mere blob, as Debian's docker-registry has it: indexes of build caches are made so
    for child in _listed(body, "manifests") if media_type in INDEXES else []:
        if child["digest"] not in repository.manifests and child["digest"] not in repository.blobs:
            return "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", child["digest"]
    return None


def _is_descriptor(entry: object) -> bool:
    digest = entry.get("digest") if isinstance(entry, dict) else None
    return isinstance(digest, str) and bool(DIGEST.fullmatch(digest))


def _listed(body: dict[str, Any], *names: str) -> list[dict[str, Any]]:
    """The descriptors below these names; null is as good as none."""
    return [entry for name in names for entry in body.get(name) or []]
