# SPDX-License-Identifier: MIT
"""What scripts get when an import has ended: one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..progress.plan import pulls_of

if TYPE_CHECKING:
    from ..engine import ItemResult, Tally


def to_result(
    item: ItemResult,
    *,
    source: str | None,
    registry: str | None,
    engine: str,
    engine_reason: str,
    operation: str = "",
    checked: bool = True,
    dry_run: bool = False,
    many: bool = False,
) -> dict[str, Any]:
    """The object that ``az acr import`` writes to stdout; ``operation`` only where the service was not waited for,
    ``hub`` in a dry run where Docker Hub says what it still allows.

    ``engine`` is empty when it ended before one was chosen. What is not known is null: what only the service knows, and
    does not tell; all that nobody has looked at. ``many``: it is one of a batch.
    """
    from . import errors

    counted = engine == "embedded"
    brought = counted or (engine == "service" and item.status in ("copied", "updated", "unchanged"))
    return {
        "source": source,
        "sourceDigest": str(item.source_digest) if item.source_digest else None,
        "registry": registry,
        "targets": list(item.targets),
        "digest": str(item.digest) if item.digest and checked else None,
        "status": item.status,
        "engine": engine or None,
        "engineReason": engine_reason or None,
        "manifests": item.manifests if counted else None,
        "referrers": item.referrers if brought else None,
        "blobs": _tally(item.blobs) if counted else None,
        "bytes": _tally(item.bytes) if counted else None,
        "changes": [
            {
                "target": change.target,
                "action": "none"
                if change.action and item.error and not dry_run and change.target not in item.written
                else change.action,
                "before": str(change.before) if change.before else None,
            }
            for change in item.changes
        ]
        or [{"target": target, "action": "none", "before": None} for target in item.targets],
        "seconds": round(item.seconds, 3),
        "error": errors.to_json(item.error, many=many, moved=bool(item.blobs.copied)) if item.error else None,
        **({"operation": operation} if operation else {}),
        **({"hub": hub} if (hub := pulls_of(item)) else {}),
    }


def _tally(tally: Tally) -> dict[str, int]:
    return {"copied": tally.copied, "mounted": tally.mounted, "existing": tally.existing}
