# SPDX-License-Identifier: MIT
"""What was asked for, as values. Loaded with every command, so the engine stands here for types only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .batch.report import ReportFile
    from .batch.targets import Naming
    from .batch.wanted import Wanted
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

    ``timeout`` in seconds. ``new_only``: referrers of what is copied, not of an image that is there already.
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
    new_only: bool = False

    @property
    def names_targets(self) -> bool:
        """False where the source's repository and tag are the target's, too."""
        return bool(self.target_tags or self.repositories)


@dataclass(frozen=True, slots=True)
class SignIn:
    """How to sign in at one source. ``variable`` and ``file``: where the password is, when it is not given."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    variable: str | None = None
    file: str | None = None
    plain_http: bool = False


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """The options of ``az acr import-batch`` and what its file says, checked.

    ``wanted``: in the order of the sources. ``sign_ins``: by host, or by what ``--registry`` says.
    ``platforms`` and ``referrers``: empty and None where the file, or nobody, says it.
    ``shard``: which part, of how many. ``on_conflict``: fail, skip or overwrite. ``timeout`` in seconds.
    """

    registry_name: str
    wanted: tuple[Wanted, ...]
    source_registry: str | None
    sign_ins: dict[str, SignIn]
    naming: Naming
    resource_group_name: str | None
    on_conflict: str
    fail_fast: bool
    shard: tuple[int, int] | None
    report: ReportFile | None
    engine: str
    jobs: int | None
    timeout: float | None
    dry_run: bool
    platforms: tuple[Platform, ...]
    referrers: str | None
