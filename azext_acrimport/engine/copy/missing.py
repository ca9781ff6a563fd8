# SPDX-License-Identifier: MIT
"""What must be done for an image at one destination: from what has been found out to what must be brought and put."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, field

from ..content.descriptor import Descriptor
from ..content.digest import Digest
from ..content.manifest import Manifest
from ..errors import ManifestError
from .referrers import Attachments
from .report import Attachment
from .request import Destination
from .tree import Tree

__all__ = ["Missing", "levels", "missing_at", "own_missing"]


@dataclass(slots=True)
class Missing:
    """``manifests``: by digest, children before parents; ``vouching``: those that vouch for them, and are put before
    them; ``cosigned``: those of these that are put under cosign's tags. ``left_out``: how many vouch for another image.

    ``blobs``: those that the destination may lack. ``tags``: the image's own; the root is stored with its first one.
    """

    destination: Destination
    root: Digest
    tags: tuple[str, ...]
    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    vouching: dict[Digest, Manifest] = field(default_factory=dict)
    cosigned: list[Attachment] = field(default_factory=list)
    left_out: int = 0
    blobs: dict[Digest, Descriptor] = field(default_factory=dict)

    @property
    def puts(self) -> int:
        """How many manifests and tags must be written."""
        return len(self.manifests) + len(self.vouching) + len(self.cosigned) + len(self.tags)

    def refuse_strangers(self, parts: Set[Digest | None]) -> None:
        """Raise ManifestError for what is to be put, and refers to what is no part of the image: it would vouch for it.

        The image itself, which has been asked for, may refer to what it likes; it is put by its tag.
        """
        for digest, manifest in (*self.vouching.items(), *self.manifests.items()):
            if manifest.subject and manifest.subject.digest not in parts and digest != self.root:
                message = f"its part {digest} refers to {manifest.subject.digest}, which is not part of the image"
                raise ManifestError(message, origin="source", subject=str(digest))


def levels(manifests: dict[Digest, Manifest]) -> list[list[Manifest]]:
    """Such that each level needs only those before it; children come before parents."""
    level: dict[Digest, int] = {}
    found: list[list[Manifest]] = []
    for digest, manifest in manifests.items():
        number = max((level[child.digest] + 1 for child in manifest.manifests if child.digest in level), default=0)
        level[digest] = number
        if number == len(found):
            found.append([])
        found[number].append(manifest)
    return found


def own_missing(destination: Destination, root: Digest, tree: Tree) -> Missing:
    """All that this destination lacks of the image itself."""
    missing = Missing(destination, root, destination.tags)
    _add(missing, missing.manifests, tree, root, tree.present)
    if destination.tags:
        missing.manifests.pop(root, None)
    return missing


def missing_at(
    destination: Destination,
    root: Digest,
    tree: Tree,
    attachments: Attachments,
    has_put: Callable[[str, Digest], bool],
) -> Missing:
    """As ``own_missing``, with what vouches for it. ``has_put``: whether this run has put a manifest at a place.

    What vouches for an image that was there before the whole of which it is a part is left out: the whole may name any
    image, and its source may be none of whose word about that image anybody has asked for. What this import itself has
    not finished is not taken for such a one, since what vouches for an image is put before it.
    """
    missing = own_missing(destination, root, tree)
    there = {digest for place, digest in tree.present if place == destination.key}
    for attachment in attachments.all:
        if destination.key not in attachment.lacking:
            continue
        image = attachments.vouched(attachment)
        if image != root and image in there and root not in there:
            # an image beside this one may have brought it a moment ago
            missing.left_out += not has_put(destination.key, attachment.descriptor.digest)
            continue
        digest = attachment.descriptor.digest
        _add(missing, missing.vouching, tree, digest, frozenset())
        if attachment.tag:
            missing.cosigned.append(attachment)
            del missing.vouching[digest]
    return missing


def _add(
    missing: Missing,
    manifests: dict[Digest, Manifest],
    tree: Tree,
    digest: Digest,
    present: Set[tuple[str, Digest]],
) -> bool:
    """What must be put for this manifest and those below it, among ``manifests``; False when that is nothing."""
    manifest = tree.manifests.get(digest)
    if manifest is None:
        return False
    below = [_add(missing, manifests, tree, child.digest, present) for child in manifest.manifests]
    here = (missing.destination.key, digest) in present
    if here and not any(below):
        return False
    if not here:
        missing.blobs.update({blob.digest: blob for blob in manifest.blobs})
    manifests[digest] = manifest
    return True
