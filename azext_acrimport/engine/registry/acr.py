# SPDX-License-Identifier: MIT
"""What an Azure container registry tells beyond the distribution specification, if we may ask.

Why it would refuse a write, before anything moves; and what many tags name, in one answer. Who may not ask, or gets no
clear answer, goes on: then the write itself tells, and each tag is asked for by itself.
https://learn.microsoft.com/azure/container-registry/container-registry-image-lock and the soft delete policy beside it;
https://learn.microsoft.com/rest/api/containerregistry/tag/get-list
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ..auth.scope import Scope
from ..content.digest import Digest
from ..content.document import parse_document
from ..content.store import TagPage
from ..errors import AuthError, Disallowed, EngineError, ManifestError, NetworkError, RateLimited, RegistryError
from ..waiting import SingleFlight
from .client import RegistryClient
from .pages import next_page

__all__ = ["METADATA_ACTIONS", "AcrMetadata"]

# Asked for together with the right to push: one token serves both.
METADATA_ACTIONS = ("metadata_read",)
# A page of the metadata API is some tens of kilobytes.
MAX_METADATA_BYTES = 1024 * 1024
# What Azure's own tools ask for; more has not been seen to be given.
TAGS_A_PAGE = 100

Why = Literal["repository locked", "tag locked", "manifest deleted"]


class AcrMetadata:
    """Of one repository. What holds for the whole of it is asked once."""

    def __init__(self, client: RegistryClient, repository: str, scopes: Sequence[Scope]) -> None:
        self._client = client
        self._repository = repository
        self._scopes = scopes
        self._path = f"/acr/v1/{repository}"
        self._flights = SingleFlight(client.transport.cancellation)
        self._told: dict[str, dict[str, Any]] = {}
        # whether there is no such repository yet, as far as it has told
        self.is_new = False

    def look_at_locks(self) -> bool:
        """Whether the whole repository is locked."""
        return _is_locked(self._once(self._path, self._scopes))

    def require_writable(self, tags: Sequence[str], digest: str) -> None:
        """Raise Disallowed when the repository or one of the (existing) tags is locked, or the digest soft-deleted."""
        if self.look_at_locks():
            text = f"the repository {self._repository} is locked (writeEnabled false)"
            raise self._refusal(self._path, "repository locked", text)
        for tag in tags:
            path = f"{self._path}/_tags/{tag}"
            if _is_locked(self._asked(path, self._scopes).get("tag")):
                raise self._refusal(path, "tag locked", f"the tag {tag} is locked (writeEnabled false)")
        if self._client.soft_delete:
            path = f"/acr/v1/_deleted/{self._repository}/_manifests"
            deleted = self._once(path, [Scope(self._repository, ("deleted_read",))]).get("manifests")
            if any(isinstance(entry, dict) and entry.get("digest") == digest for entry in deleted or ()):
                text = f"{digest} was deleted, and is kept until it is purged"
                raise self._refusal(f"{path}/{digest}", "manifest deleted", text)

    def tag_page(self, url: str) -> TagPage | None:
        """As ``Target.tag_page``."""
        client, scopes = self._client, self._scopes
        if client.tokens.lacks(scopes):
            return None
        url = url or f"{self._path}/_tags?n={TAGS_A_PAGE}"
        try:
            answer = client.fetch("GET", url, scopes=scopes, accept={200}, limit=MAX_METADATA_BYTES)
            tags = parse_document(answer.body)["tags"] or []
            named = {tag["name"]: Digest.parse(str(tag["digest"])) for tag in tags}
            return TagPage(named, next_page(client, answer, "the list of tags"))
        except RateLimited:
            raise  # it has been asked again and again already
        except RegistryError as error:
            return TagPage({}, "", is_new=_is_unknown(error))
        except (AuthError, ManifestError, ValueError, KeyError, TypeError):
            return None

    def _refusal(self, path: str, why: Why, text: str) -> EngineError:
        client = self._client
        error = Disallowed(
            client.registry, origin=client.transport.origin, method="GET", path=path, text=text, mode=client.tokens.mode
        )
        error.repository, error.why = self._repository, why
        return error

    def _once(self, path: str, scopes: Sequence[Scope]) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            self._told[path] = self._asked(path, scopes)
            return self._told[path]

        told: dict[str, Any] = self._flights.do(path, lambda: self._told.get(path), ask)
        return told

    def _asked(self, path: str, scopes: Sequence[Scope]) -> dict[str, Any]:
        """The JSON object there; empty when there is none, or when it is not for us."""
        if self._client.tokens.lacks(scopes):
            return {}
        try:
            asked = self._client.fetch("GET", path, scopes=scopes, accept={200}, limit=MAX_METADATA_BYTES, retry=False)
            answer = parse_document(asked.body)
        except (RegistryError, NetworkError, ManifestError, ValueError) as error:
            self.is_new = self.is_new or (path == self._path and _is_unknown(error))
            return {}
        return answer if isinstance(answer, dict) else {}


def _is_unknown(error: Exception) -> bool:
    return isinstance(error, RegistryError) and error.status == 404 and "NAME_UNKNOWN" in error.codes


def _is_locked(described: Any) -> bool:
    attributes = described.get("changeableAttributes") if isinstance(described, dict) else None
    return isinstance(attributes, dict) and attributes.get("writeEnabled") is False
