# SPDX-License-Identifier: MIT
"""The handlers. az loads them for ``az acr -h``, too, to read what they do, so all that costs time is imported late."""

from __future__ import annotations

import atexit
import gc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._options import BatchOptions, SourceImage
    from .engine import Platform


def _leave_soon() -> None:
    """What az has loaded is no garbage: to look through it takes 60 to 80 ms, each time and once more at the end."""
    gc.freeze()
    atexit.register(gc.freeze)


def import_image(
    cmd: Any,
    registry_name: str,
    source_image: SourceImage,
    source_registry: str | None = None,
    username: str | None = None,
    password: str | None = None,
    target_tags: list[tuple[str, str | None]] | None = None,
    repository: list[str] | None = None,
    resource_group_name: str | None = None,
    force: bool = False,
    hand_over: bool = False,
    engine: str | None = None,
    jobs: int | None = None,
    timeout: float | None = None,
    dry_run: bool = False,
    platform: list[Platform] | None = None,
    referrers: str = "all",
) -> dict[str, Any]:
    """Import an image or OCI artifact from any registry into an Azure container registry, without Docker."""
    _leave_soon()
    from ._options import ImportOptions
    from .imports.image import import_image as run

    options = ImportOptions(
        registry_name=registry_name,
        source_image=source_image,
        source_registry=source_registry,
        username=username,
        password=password,
        target_tags=target_tags or [],
        repositories=repository or [],
        resource_group_name=resource_group_name,
        force=force,
        no_wait=hand_over,
        engine=engine or "auto",
        jobs=jobs,
        timeout=timeout,
        dry_run=dry_run,
        platforms=tuple(platform or ()),
        referrers=referrers != "none",
        new_only=referrers == "new",
    )
    return run(cmd.cli_ctx, options)


def import_batch(
    cmd: Any,
    registry_name: str | None = None,
    source: list[str] | None = None,
    file: str | None = None,
    source_registry: str | None = None,
    tags: list[str] | None = None,
    exclude: list[str] | None = None,
    newest: int | None = None,
    username: str | None = None,
    password: str | None = None,
    prefix: str = "",
    strip_prefix: str = "",
    resource_group_name: str | None = None,
    on_conflict: str | None = None,
    force: bool = False,
    fail_fast: bool = False,
    shard: str | None = None,
    report: str | None = None,
    engine: str | None = None,
    jobs: int | None = None,
    timeout: float | None = None,
    dry_run: bool = False,
    platform: list[Platform] | None = None,
    referrers: str | None = None,
    batch: BatchOptions | None = None,
) -> dict[str, Any]:
    """Import many images from a list, a file, repositories by patterns, or a whole registry."""
    _leave_soon()
    from .imports.batch import import_batch as run

    assert batch  # made of all the others, by the validator
    return run(cmd.cli_ctx, batch)


def import_wait(cmd: Any, operation: str, timeout: float | None = None) -> dict[str, Any]:
    """Wait for an import that the registry's own service does."""
    _leave_soon()
    from .imports.wait import import_wait as run

    return run(cmd.cli_ctx, operation, timeout)
