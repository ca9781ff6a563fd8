# SPDX-License-Identifier: MIT
"""Where registries had their tokens fetched in earlier runs. A hint, and judged as a stranger's word."""

from __future__ import annotations

from ..errors import Origin
from .realm import Realm

__all__ = ["TokenServices", "is_worth_remembering", "remembered_realm"]

# Characters; those of the registries of the world have less than a tenth of that.
MAX_REALM = 500
MAX_SERVICE = 250


class TokenServices:
    """The memory. Nothing here; a subclass may remember. Asked and told in any thread.

    What it says may be old, or written by somebody else: nothing that it says can lead where a registry's own word
    could not, and no secret to another host than the registry's own.
    """

    def of(self, host: str) -> tuple[str, str] | None:
        """The absolute URL of this registry's token service, and what the registry is called there."""
        return None

    def learned(self, host: str, url: str, service: str) -> None:
        """Be told: this registry has just named it."""

    def forget(self, host: str) -> None:
        """Be told that what is remembered of this registry was of no use."""


def is_worth_remembering(url: str, service: str) -> bool:
    """By https, of a usual length, and nothing but what can be read."""
    short = len(url) <= MAX_REALM and len(service) <= MAX_SERVICE
    return short and url.startswith("https://") and (url + service).isascii() and (url + service).isprintable()


def remembered_realm(services: TokenServices, registry: str, base: str, origin: Origin) -> Realm | None:
    """That of the registry at ``base`` (``https://host``), if it passes what one passes that was just named."""
    known = services.of(registry) if base.startswith("https://") else None
    if known is None or not is_worth_remembering(*known):
        return None
    try:
        realm = Realm.checked(*known, f"{base}/v2/", origin, remembered=True)
    except ValueError:
        return None
    return realm if realm.url == known[0] else None
