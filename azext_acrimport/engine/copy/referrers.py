# SPDX-License-Identifier: MIT
"""What vouches for an image: manifests that refer to one of its manifests, and cosign's tags that are named after one.

Found at the source, and compared with what each destination has: only what is lacking there is read.
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from ..content.descriptor import Descriptor
from ..content.digest import Digest
from ..content.manifest import Manifest
from ..content.store import Source, Target
from ..errors import ManifestError, NotFound, Origin, TagConflict
from .driver import both, gather
from .limits import Kind
from .queues import Rank
from .readings import Readings
from .report import Attachment, ItemResult
from .request import CopyRequest, Destination

__all__ = ["QUESTIONS", "Attachments", "Image", "put_cosigned"]

T = TypeVar("T")

# https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#tag-based-discovery
COSIGN_SUFFIXES = (".sig", ".att", ".sbom")
# So many a subject: one for the list, and one for each of these.
QUESTIONS = 1 + len(COSIGN_SUFFIXES)
# Signatures of SBOMs of images are two levels.
MAX_DEPTH = 6
MAX_ATTACHMENTS = 5000


class Image(Protocol):
    """What its parts know of an image on its way: ``destinations`` are those at which something may be done.

    ``reading_rank``: of what is asked for it.
    """

    request: CopyRequest
    result: ItemResult
    destinations: tuple[Destination, ...]
    readings: Readings
    reading_rank: Rank
    attachments: Attachments

    async def ask(self, side: Origin, store: Source | Target, kind: Kind, work: Callable[[], T]) -> T:
        """Have a worker ask one of the places something."""

    async def is_new(self, store: Target) -> bool:
        """Whether a target has told that there is nothing in it yet."""

    async def read_tree(self, descriptor: Descriptor) -> Manifest:
        """The manifest, and those below it."""

    def find_attachments_of(self, part: Descriptor) -> None:
        """Begin to look for what vouches for a part of it."""

    def has_put(self, place: str, digest: Digest) -> bool:
        """Whether this run has put the manifest there."""

    async def at_once(self, *works: Coroutine[Any, Any, None]) -> None:
        """All of them; the first error ends the story, and what has not begun by then never begins."""


class Attachments:
    """Of one image. ``depths``: every digest that is known, the image's own included; it ends all loops."""

    def __init__(self, image: Image, depths: dict[Digest, int]) -> None:
        self._image = image
        self._depths = depths
        self._found: dict[tuple[Digest, str], Attachment] = {}
        self._by_digest: dict[Digest, Attachment] = {}

    @property
    def all(self) -> tuple[Attachment, ...]:
        """Those that are known by now."""
        return tuple(self._found.values())

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._by_digest

    def vouched(self, attachment: Attachment) -> Digest:
        """The image that it vouches for in the end: a signature of an SBOM vouches for what the SBOM is of."""
        of = attachment.of
        for _ in range(MAX_DEPTH):
            of = self._by_digest[of].of if of in self._by_digest else of
        return of

    async def find(self, subject: Descriptor) -> None:
        """All that vouches for this one, and for that in turn."""
        image = self._image
        listed, tagged = await both(
            image.readings.referrers(image.request.source, subject.digest, image.reading_rank), self._tags(subject)
        )
        unique = {found.digest: found for found in listed}  # a list that people keep by hand may say a thing twice
        fresh = [found for found in unique.values() if found.digest not in self._depths]
        new = [Attachment(found, subject.digest) for found in fresh]
        for attachment in new:
            self._add(attachment)
        cosigned = [Attachment(found, subject.digest, tag) for tag, found in tagged]
        deeper = [*new, *(attachment for attachment in cosigned if self._add(attachment))]
        await gather(
            self._compare(subject, new),
            *(self._compare_tag(attachment) for attachment in cosigned),
            *(self.find(attachment.descriptor) for attachment in deeper),
        )

    async def _tags(self, subject: Descriptor) -> list[tuple[str, Descriptor]]:
        """cosign's tags for this one, and what they name; known from the list of all tags where there is one."""
        image, source = self._image, self._image.request.source
        names = [f"{subject.digest.algorithm}-{subject.digest.hex}{suffix}" for suffix in COSIGN_SUFFIXES]
        there = await image.readings.tags(source, image.reading_rank)
        asked = [name for name in names if there is None or name in there]

        answers = await gather(*(image.readings.named(source, tag, image.reading_rank) for tag in asked))
        return [(tag, descriptor) for tag, descriptor in zip(asked, answers, strict=True) if descriptor]

    def _add(self, attachment: Attachment) -> bool:
        """Remember it; False when its digest has been met before. Raises ManifestError beyond every measure."""
        digest = attachment.descriptor.digest
        known = digest in self._depths
        self._found[digest, attachment.tag] = attachment
        self._by_digest.setdefault(digest, attachment)
        self._image.result.referrers = len(self._found)
        depth = self._depths.setdefault(digest, self._depths[attachment.of] + 1)
        if depth > MAX_DEPTH or len(self._found) > MAX_ATTACHMENTS:
            message = f"{self._image.request.identifier} has more referrers, or of more levels, than any real image"
            raise ManifestError(message, origin="source", subject=self._image.request.key)
        return not known

    async def _compare(self, subject: Descriptor, attachments: Sequence[Attachment]) -> None:
        """Which destinations list them; those that one does not list are read, and must refer to the subject."""
        if not attachments:
            return
        image = self._image

        async def listed(destination: Destination) -> set[Digest]:
            store = destination.store
            found = await image.ask("target", store, "referrers", lambda: store.referrers(subject.digest))
            return {descriptor.digest for descriptor in found}

        lists = await gather(*map(listed, image.destinations))
        for destination, there in zip(image.destinations, lists, strict=True):
            for attachment in attachments:
                if attachment.descriptor.digest not in there:
                    attachment.lacking.add(destination.key)
        await gather(*(self._read(attachment) for attachment in attachments if attachment.lacking))

    async def _read(self, attachment: Attachment) -> None:
        digest = attachment.descriptor.digest
        try:
            manifest = await self._image.read_tree(attachment.descriptor)
        except NotFound:
            self._drop(attachment, f"{digest} is listed as a referrer, but does not exist: left out")
            return
        if manifest.subject is None or manifest.subject.digest != attachment.of:
            self._drop(attachment, f"{digest} is listed as a referrer, but refers to something else: left out")

    async def _compare_tag(self, attachment: Attachment) -> None:
        """What names the same tag at each destination; read where one lacks it, and judged."""
        wanted, tag = attachment.descriptor, attachment.tag

        async def held(destination: Destination) -> tuple[Descriptor | None, Manifest | None]:
            store = destination.store
            return await self._image.ask("target", store, "read", lambda: _held(store, tag, wanted.digest))

        answers = await gather(*map(held, self._image.destinations))
        rivals: dict[str, Manifest] = {}
        for destination, (found, rival) in zip(self._image.destinations, answers, strict=True):
            if found is None or found.digest != wanted.digest:
                attachment.lacking.add(destination.key)
            if rival is not None:
                rivals[destination.key] = rival
        if attachment.lacking:
            self._judge(attachment, await self._image.read_tree(wanted), rivals)

    def _judge(self, attachment: Attachment, manifest: Manifest, rivals: dict[str, Manifest]) -> None:
        for place, rival in sorted(rivals.items()):
            if not _moves(place, attachment.tag, manifest, rival, self._image.request.force):
                attachment.lacking.discard(place)

    def _drop(self, attachment: Attachment, notice: str) -> None:
        del self._found[attachment.descriptor.digest, ""]
        self._image.result.referrers = len(self._found)
        self._image.result.notices += (notice,)


def put_cosigned(destination: Destination, tag: str, manifest: Manifest, force: bool) -> None:
    """In a worker: have cosign's tag name this manifest, unless what was added meanwhile would be lost.

    Raises TagConflict.
    """
    store, digest = destination.store, manifest.descriptor.digest
    found, rival = _held(store, tag, digest)
    if (found and found.digest == digest) or (rival and not _moves(destination.key, tag, manifest, rival, force)):
        return
    store.tag(tag, digest, manifest.descriptor.media_type, manifest.raw)


def _moves(place: str, tag: str, ours: Manifest, theirs: Manifest, force: bool) -> bool:
    """Whether the tag is to name ours. cosign adds to what a tag names: one that would lose something moves by force.

    Raises TagConflict.
    """
    if _layers(ours) <= _layers(theirs):
        return False
    if not _layers(theirs) <= _layers(ours) and not force:
        raise TagConflict(f"{place}:{tag}", str(theirs.descriptor.digest), str(ours.descriptor.digest))
    return True


def _layers(manifest: Manifest) -> set[Digest]:
    return {blob.digest for blob in manifest.blobs} - ({manifest.config.digest} if manifest.config else set())


def _held(store: Target, tag: str, wanted: Digest) -> tuple[Descriptor | None, Manifest | None]:
    """In a worker: what the tag names there, and its manifest where that is another one."""
    found = store.find(tag)
    if found is None or found.digest == wanted:
        return found, None
    return found, Manifest.parse(*store.manifest(found.digest), found.digest, origin="target")
