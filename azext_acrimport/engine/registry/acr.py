# SPDX-License-Identifier: MIT
"""What an Azure container registry tells, beyond the distribution specification, of why it would refuse a write.

Asked before anything moves. Who may not ask, or gets no clear answer, goes on: then the write itself tells.
https://learn.microsoft.com/azure/container-registry/container-registry-image-lock and the soft delete policy beside it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ..auth.scope import Scope
from ..content.document import parse_document
from ..errors import Disallowed, EngineError, ManifestError, NetworkError, RegistryError
from .client import RegistryClient

__all__ = ["METADATA_ACTIONS", "check_writable"]

# Asked for together with the right to push: one token serves both.
METADATA_ACTIONS = ("metadata_read",)
# A page of the metadata API is some tens of kilobytes.
MAX_METADATA_BYTES = 1024 * 1024

Why = Literal["repository locked", "tag locked", "manifest deleted"]


def check_writable(
    client: RegistryClient, repository: str, scopes: Sequence[Scope], tags: Sequence[str], digest: str
) -> None:
    """Raise Disallowed when the repository or one of the (existing) tags is locked, or the digest is soft-deleted."""

    def refusal(path: str, why: Why, text: str) -> EngineError:
        error = Disallowed(
            client.registry, origin=client.transport.origin, method="GET", path=path, text=text, mode=client.tokens.mode
        )
        error.repository, error.why = repository, why
        return error

    path = f"/acr/v1/{repository}"
    if _is_locked(_asked(client, path, scopes)):
        raise refusal(path, "repository locked", f"the repository {repository} is locked (writeEnabled false)")
    for tag in tags:
        if _is_locked(_asked(client, f"{path}/_tags/{tag}", scopes).get("tag")):
            raise refusal(f"{path}/_tags/{tag}", "tag locked", f"the tag {tag} is locked (writeEnabled false)")
    if client.soft_delete:
        path = f"/acr/v1/_deleted/{repository}/_manifests"
        deleted = _asked(client, path, [Scope(repository, ("deleted_read",))]).get("manifests")
        if any(isinstance(entry, dict) and entry.get("digest") == digest for entry in deleted or ()):
            raise refusal(
                f"{path}/{digest}", "manifest deleted", f"{digest} was deleted, and is kept until it is purged"
            )


def _asked(client: RegistryClient, path: str, scopes: Sequence[Scope]) -> dict[str, Any]:
    """The JSON object there; empty when there is none, or when it is not for us."""
    if client.tokens.lacks(scopes):
        return {}
    try:
        asked = client.fetch("GET", path, scopes=scopes, accept={200}, limit=MAX_METADATA_BYTES, retry=False)
        answer = parse_document(asked.body)
    except (RegistryError, NetworkError, ManifestError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _is_locked(described: Any) -> bool:
    attributes = described.get("changeableAttributes") if isinstance(described, dict) else None
    return isinstance(attributes, dict) and attributes.get("writeEnabled") is False
