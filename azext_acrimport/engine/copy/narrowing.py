# SPDX-License-Identifier: MIT
"""From here on the smaller index is the image: what is left of it for the platforms that are wanted.

Read at the source, or known from an earlier run whose result all tags name.
"""

from __future__ import annotations

from ..content.descriptor import Descriptor
from ..content.digest import Digest
from ..content.manifest import Manifest
from .places import BlobPlaces
from .platforms import select
from .referrers import Image
from .tags import Tags

__all__ = ["Narrowing"]


class Narrowing:
    """Of one image. ``tags`` knows what the targets name, ``given`` gets what has been read for it.

    ``places`` remembers what was left of an image.
    """

    def __init__(self, image: Image, tags: Tags, given: dict[Digest, Manifest], places: BlobPlaces) -> None:
        self._image = image
        self._tags = tags
        self._given = given
        self._places = places
        self._wanted = image.request.platforms
        self._listed = ", ".join(map(str, self._wanted))

    async def of(self, root: Descriptor) -> Descriptor:
        """What is left of it, which the result tells. Raises NoMatchingPlatform, and what reading raises."""
        if not self._wanted:
            return root
        image, source, name = self._image, self._image.request.source, self._image.request.name
        if left := self.left_of(root):
            small = Descriptor(root.media_type, left, -1)
        else:
            selection = await image.ask("source", source, "read", lambda: select(source, root, self._wanted, name))
            self._given |= selection.read
            small = selection.root.descriptor
            self._places.leaves(root.digest, self._listed, small.digest)
        if small.digest != root.digest:
            notice = f"Only {self._listed}: the index is a smaller one, {small.digest} instead of {root.digest}"
            image.result.notices += (notice,)
        image.result.digest = small.digest
        return small

    def left_of(self, root: Descriptor) -> Digest | None:
        """What an earlier run has left of it, where all tags name that and no more is wanted: then it is not read."""
        image = self._image
        if image.request.referrers and not image.request.new_only:
            return None
        left = self._places.left_of(root.digest, self._listed)
        tags = {self._tags.named_by(place, tag) for place in image.destinations for tag in place.tags}
        return left if tags == {left} and all(place.tags for place in image.destinations) else None
