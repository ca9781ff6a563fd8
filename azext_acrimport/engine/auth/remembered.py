# SPDX-License-Identifier: MIT
"""Where registries had their tokens and blobs fetched in earlier runs. A hint, and judged as a stranger's word."""

from __future__ import annotations

from ..errors import NetworkError, Origin
from ..transport import addresses
from .realm import Realm

__all__ = ["RegistryHints", "is_worth_remembering", "remembered_realm", "remembered_storage"]

# Characters; those of the registries of the world have less than a tenth of that.
MAX_REALM = 500
MAX_SERVICE = 250


class RegistryHints:
    """The memory. Nothing here; a subclass may remember. Asked and told in any thread.

    What it says may be old, or written by somebody else: nothing that it says can lead where a registry's own word
    could not, and no secret to another host than the registry's own.
    """

    def token_service(self, host: str) -> tuple[str, str] | None:
        """The absolute URL of this registry's token service, and what the registry is called there."""
        return None

    def learned_token_service(self, host: str, url: str, service: str) -> None:
        """Be told: this registry has just named it."""

    def forget_token_service(self, host: str) -> None:
        """Be told that what is remembered of this registry was of no use."""

    def storage(self, host: str) -> str:
        """``https://`` and the host to which this registry has sent whoever read a blob; empty for none."""
        return ""

    def learned_storage(self, host: str, url: str) -> None:
        """Be told: it has just done so; empty when it has given a blob itself."""


def is_worth_remembering(url: str, service: str) -> bool:
    """By https, of a usual length, and nothing but what can be read."""
    short = len(url) <= MAX_REALM and len(service) <= MAX_SERVICE
    return short and url.startswith("https://") and (url + service).isascii() and (url + service).isprintable()


def remembered_realm(hints: RegistryHints, registry: str, base: str, origin: Origin) -> Realm | None:
    """That of the registry at ``base`` (``https://host``), if it passes what one passes that was just named."""
    known = hints.token_service(registry) if base.startswith("https://") else None
    if known is None or not is_worth_remembering(*known):
        return None
    try:
        realm = Realm.checked(*known, f"{base}/v2/", origin, remembered=True)
    except ValueError:
        return None
    return realm if realm.url == known[0] else None


def remembered_storage(hints: RegistryHints, registry: str, base: str, origin: Origin) -> str:
    """Where the registry at ``base`` keeps its blobs, if it passes what a redirect passes; empty for nowhere."""
    url = hints.storage(registry)
    if not is_worth_remembering(url, ""):
        return ""
    try:
        found = addresses.join(base, url, origin)
        addresses.check_redirect(base, base, found, origin)
    except NetworkError:
        return ""
    return url if url == found == "://".join(addresses.parted(found)[:2]) else ""
