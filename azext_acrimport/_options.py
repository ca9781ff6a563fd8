# SPDX-License-Identifier: MIT
"""What was asked for, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field

from ._validators import SourceImage
from .engine import Platform


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The options of the command, checked. ``target_tags``: repository and tag; ``timeout`` in seconds."""

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
