# SPDX-License-Identifier: MIT
"""Reading a registry's content back, past all fronts, to compare what arrived with what was sent."""

from __future__ import annotations

import json

from tests.sandbox.images import ACCEPT
from tests.sandbox.server import Handler, call
from tests.sandbox.storage import digest_of


def tag_digest(content: Handler, repository: str, tag: str) -> str | None:
    """What the tag names, or None."""
    found = call(content, "GET", f"/v2/{repository}/manifests/{tag}", headers=ACCEPT)
    return digest_of(found.body) if found.status == 200 else None


def tree(content: Handler, repository: str, identifier: str) -> dict[str, bytes]:
    """Every manifest and blob below, by digest; fails when one is missing or hashes to something else."""
    raw = call(content, "GET", f"/v2/{repository}/manifests/{identifier}", headers=ACCEPT, expect=200).body
    digest = digest_of(raw, identifier.partition(":")[0] if ":" in identifier else "sha256")
    assert ":" not in identifier or digest == identifier
    found, body = {digest: raw}, json.loads(raw)
    children = body.get("manifests", [])
    for child in children:
        if child["mediaType"] in ACCEPT["Accept"]:
            found |= tree(content, repository, child["digest"])
    blobs = [child for child in children if child["mediaType"] not in ACCEPT["Accept"]]
    blobs += [body["config"]] if body.get("config") else []
    for blob in [*blobs, *body.get("layers", []), *body.get("blobs", [])]:
        if blob.get("urls") and ("foreign" in blob["mediaType"] or "nondistributable" in blob["mediaType"]):
            continue
        content_of = call(content, "GET", f"/v2/{repository}/blobs/{blob['digest']}", expect=200).body
        assert digest_of(content_of, blob["digest"].partition(":")[0]) == blob["digest"]
        assert len(content_of) == blob["size"]
        found[blob["digest"]] = content_of
    return found


def referrers(content: Handler, repository: str, digest: str) -> set[str]:
    """What refers to the manifest: by the API, and by the fallback tag only where there is no API."""
    found = call(content, "GET", f"/v2/{repository}/referrers/{digest}")
    tag = f"/v2/{repository}/manifests/{digest.replace(':', '-')[:71]}"
    kept = call(content, "GET", tag, headers=ACCEPT)
    if found.status == 200:
        assert kept.status == 404, "the registry has the API, so it needs no fallback tag"
    listed = found if found.status == 200 else kept
    return {entry["digest"] for entry in json.loads(listed.body)["manifests"]} if listed.status == 200 else set()


def everything(content: Handler, repository: str, identifier: str) -> dict[str, bytes]:
    """The tree, and all that vouches for any manifest in it, with the tags that cosign names after them."""
    found = tree(content, repository, identifier)
    for digest in [digest for digest, raw in found.items() if b'"schemaVersion"' in raw]:
        for referrer in referrers(content, repository, digest):
            found |= everything(content, repository, referrer)
        for suffix in (".sig", ".att", ".sbom"):
            tag = digest.replace(":", "-") + suffix
            if own := tag_digest(content, repository, tag):
                found |= {tag: own.encode(), **everything(content, repository, own)}
    return found
