# SPDX-License-Identifier: MIT
"""What must be done for an image at one destination: from what has been found out to what must be brought and put."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from ..content.descriptor import Descriptor
from ..content.digest import Digest
from ..content.manifest import Manifest
from .referrers import Attachment, Attachments
from .request import Destination
from .tree import Tree

__all__ = ["Missing", "missing_at"]


@dataclass(slots=True)
class Missing:
    """``manifests``: by digest, children before parents; ``cosigned``: those that are put under cosign's tags.

    ``blobs``: those that the destination may lack. ``tags``: the image's own; the root is stored with its first one.
    """

    destination: Destination
    tags: tuple[str, ...]
    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    cosigned: list[Attachment] = field(default_factory=list)
    blobs: dict[Digest, Descriptor] = field(default_factory=dict)

    @property
    def puts(self) -> int:
        """How many manifests and tags must be written."""
        return len(self.manifests) + len(self.cosigned) + len(self.tags)

    @property
    def levels(self) -> list[list[Manifest]]:
        """The manifests, such that each level needs only those before it."""
        level: dict[Digest, int] = {}
        levels: list[list[Manifest]] = []
        for digest, manifest in self.manifests.items():
            number = max((level[child.digest] + 1 for child in manifest.manifests if child.digest in level), default=0)
            level[digest] = number
            if number == len(levels):
                levels.append([])
            levels[number].append(manifest)
        return levels


def missing_at(destination: Destination, root: Digest, tree: Tree, attachments: Attachments) -> Missing:
    """All that this destination lacks."""
    missing = Missing(destination, destination.tags)
    for attachment in attachments.all:
        if destination.key in attachment.lacking:
            digest = attachment.descriptor.digest
            _add(missing, tree, digest, frozenset())
            if attachment.tag:
                missing.cosigned.append(attachment)
                del missing.manifests[digest]
    _add(missing, tree, root, tree.present)
    if destination.tags:
        missing.manifests.pop(root, None)
    return missing


def _add(missing: Missing, tree: Tree, digest: Digest, present: Set[tuple[str, Digest]]) -> bool:
    """What must be put for this manifest and those below it; False when that is nothing."""
    manifest = tree.manifests.get(digest)
    if manifest is None:
        return False
    below = [_add(missing, tree, child.digest, present) for child in manifest.manifests]
    here = (missing.destination.key, digest) in present
    if here and not any(below):
        return False
    if not here:
        missing.blobs.update({blob.digest: blob for blob in manifest.blobs})
    missing.manifests[digest] = manifest
    return True
