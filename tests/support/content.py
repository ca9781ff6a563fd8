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
    digest = digest_of(raw)
    assert ":" not in identifier or digest == identifier
    found, body = {digest: raw}, json.loads(raw)
    for child in body.get("manifests", []):
        found |= tree(content, repository, child["digest"])
    for blob in [*([body["config"]] if "config" in body else []), *body.get("layers", [])]:
        content_of = call(content, "GET", f"/v2/{repository}/blobs/{blob['digest']}", expect=200).body
        assert digest_of(content_of) == blob["digest"]
        assert len(content_of) == blob["size"]
        found[blob["digest"]] = content_of
    return found
