# SPDX-License-Identifier: MIT
"""What is asked for: one image, and where it shall go."""

from __future__ import annotations

from dataclasses import dataclass

from ..content.platform import Platform
from ..content.store import Source, Target, key_of

__all__ = ["CopyRequest", "Destination"]


@dataclass(frozen=True, slots=True)
class Destination:
    """One target repository. Without tags the image is stored there by its digest only."""

    store: Target
    tags: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """See ``key_of``."""
        return key_of(self.store)


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """One image and where it shall go. ``identifier`` is a tag or a digest; ``force`` lets tags move.

    ``skip_conflicts``: where a tag names something else, leave it as it is, and call that no failure.

    ``platforms``: keep only these of a multi-platform image; none means all. ``referrers``: bring along what refers to
    the image or to one of its platforms' images; ``new_only``: not for an image whose tags need not be written.
    """

    source: Source
    identifier: str
    destinations: tuple[Destination, ...]
    force: bool = False
    platforms: tuple[Platform, ...] = ()
    referrers: bool = False
    new_only: bool = False
    skip_conflicts: bool = False

    @property
    def key(self) -> str:
        """``registry/repository`` of the source."""
        return key_of(self.source)

    @property
    def target_names(self) -> tuple[str, ...]:
        """``repository:tag``, or the repository alone where no tag is made."""
        return tuple(
            f"{d.store.repository}:{tag}" if tag else d.store.repository
            for d in self.destinations
            for tag in (d.tags or ("",))
        )

    @property
    def name(self) -> str:
        """As people would write it."""
        if not self.source.registry:
            return self.source.repository + (f":{self.identifier}" if self.identifier else "")
        separator = "@" if self.identifier.startswith("sha") and ":" in self.identifier else ":"
        return f"{self.key}{separator}{self.identifier}"
