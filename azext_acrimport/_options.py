# SPDX-License-Identifier: MIT
"""What was asked for, as values. Loaded with every command, so the engine stands here for types only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engine import LayoutReference, Platform, Reference


@dataclass(frozen=True, slots=True)
class SourceImage:
    """What --source says: repository and tag or digest as typed, and with the registry in front what it means.

    ``location`` is None where --registry names the registry; ``typed``: all of it.
    """

    text: str
    location: Reference | LayoutReference | None = None
    typed: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an image is to be. ``tag`` is None where it gets none; ``typed``: as it was written, for the service."""

    repository: str
    tag: str | None
    typed: str

    @property
    def name(self) -> str:
        """``repository:tag``, or ``repository``."""
        return f"{self.repository}:{self.tag}" if self.tag else self.repository


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The options of the command, checked. ``target_tags``: repository and tag, if one was written.

    ``named``: the engine was named by whoever typed the command. ``timeout`` in seconds.
    """

    registry_name: str
    source_image: SourceImage
    source_registry: str | None
    username: str | None
    password: str | None = field(repr=False)
    target_tags: list[tuple[str, str | None]]
    repositories: list[str]
    resource_group_name: str | None
    force: bool
    no_wait: bool
    engine: str
    jobs: int | None
    timeout: float | None
    dry_run: bool
    platforms: tuple[Platform, ...]
    referrers: bool

    @property
    def names_targets(self) -> bool:
        """False where the source's repository and tag are the target's, too."""
        return bool(self.target_tags or self.repositories)
