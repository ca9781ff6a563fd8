# SPDX-License-Identifier: MIT
"""All tags of a repository, and all repositories of a registry.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags and
https://distribution.github.io/distribution/spec/api/#listing-repositories
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..auth.scope import Scope
from ..content.manifest import MAX_MANIFEST_BYTES
from ..content.reference import REPOSITORY, TAG
from ..errors import ListingError
from .client import RegistryClient
from .pages import next_page

__all__ = ["list_repositories", "list_tags"]

# The most that registries are known to give at once.
NAMES_A_PAGE = 1000
# The largest repositories that people have written about have some ten thousand tags.
MAX_NAMES = 200_000
# Pages without a new name: registries leave out what the caller may not see, and then a page may be empty.
MAX_BARREN = 20


def list_tags(client: RegistryClient, repository: str) -> list[str]:
    """In the registry's order. Raises RegistryError, and ListingError for what is no list, or has no end."""
    found = _listed(client, f"/v2/{repository}/tags/list", "tags", Scope.pull(repository))
    return [tag for tag in found if TAG.fullmatch(tag)]


def list_repositories(client: RegistryClient) -> list[str]:
    """As ``list_tags``, of the whole registry. Many registries show it to nobody, or to few."""
    found = _listed(client, "/v2/_catalog", "repositories", Scope.catalog())
    return [name for name in found if REPOSITORY.fullmatch(name)]


def _listed(client: RegistryClient, path: str, member: str, scope: Scope) -> list[str]:
    found: dict[str, None] = {}
    url, barren = f"{path}?n={NAMES_A_PAGE}", 0
    while url:
        answer = client.fetch("GET", url, scopes=(scope,), accept={200}, limit=MAX_MANIFEST_BYTES)
        before = len(found)
        found.update(dict.fromkeys(_names(client, answer.body, member)))
        url = next_page(client, answer, f"the list of {member}")
        barren = barren + 1 if len(found) == before else 0
        if len(found) > MAX_NAMES:
            raise _unusable(client, f"lists more than {MAX_NAMES:,} {member}")
        if barren > MAX_BARREN:
            raise _unusable(client, f"gives the same pages of {member} again and again")
    return list(found)


def _names(client: RegistryClient, raw: bytes, member: str) -> Sequence[str]:
    """``null`` is what old registries say for none, and some for a name that they do not find any more."""
    try:
        names = json.loads(raw)[member] or ()
        names = [name for name in names if name is not None] if isinstance(names, list) else names
    except (ValueError, KeyError, TypeError, RecursionError):
        names = None
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise _unusable(client, f"answers with something that is no list of {member}")
    return names


def _unusable(client: RegistryClient, said: str) -> ListingError:
    origin = client.transport.origin
    return ListingError(f"{client.registry} ({origin}) {said}.", origin=origin, subject=client.registry)
