# SPDX-License-Identifier: MIT
"""What an import consists of, as a value: requests in, a graph of steps out.

``walk`` and ``planning`` find out what it is, ``run`` does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from .descriptor import Descriptor, Digest, Platform
from .manifest import Manifest
from .places import BlobPlaces
from .report import ItemResult
from .store import Source, Target

__all__ = [
    "Attachment",
    "CopyBlob",
    "CopyPlan",
    "CopyRequest",
    "Destination",
    "Graph",
    "MountBlob",
    "PlanItem",
    "PutManifest",
    "PutTag",
    "Step",
]


@dataclass(frozen=True, slots=True)
class Destination:
    """One target repository. Without tags the image is stored there by its digest only."""

    store: Target
    tags: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """``registry/repository``: two stores with the same key are the same place."""
        return f"{self.store.registry}/{self.store.repository}"


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """One image and where it shall go. ``identifier`` is a tag or a digest; ``force`` lets tags move.

    ``platforms``: keep only these of a multi-platform image; none means all. ``referrers``: bring along what refers to
    the image or to one of its platforms' images.
    """

    source: Source
    identifier: str
    destinations: tuple[Destination, ...]
    force: bool = False
    platforms: tuple[Platform, ...] = ()
    referrers: bool = False

    @property
    def key(self) -> str:
        """``registry/repository`` of the source."""
        return f"{self.source.registry}/{self.source.repository}"

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
        return f"{self.key}{'@' if ':' in self.identifier else ':'}{self.identifier}"


@dataclass(frozen=True, slots=True)
class CopyBlob:
    """Bytes from ``source`` to ``target`` (both ``registry/repository``), unless they are there already."""

    descriptor: Descriptor
    target: str
    source: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class MountBlob:
    """Taken over within one registry; copied from ``source`` where the registry does not do it."""

    descriptor: Descriptor
    target: str
    from_repository: str = field(compare=False)
    source: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class PutManifest:
    """A manifest under its digest."""

    descriptor: Descriptor
    target: str
    source: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class PutTag:
    """The root manifest under a tag: the last thing that happens to an image."""

    descriptor: Descriptor
    target: str
    tag: str
    source: str = field(compare=False)


Step = CopyBlob | MountBlob | PutManifest | PutTag


@dataclass(slots=True)
class Attachment:
    """A manifest that vouches for another one: by its ``subject``, or by its ``tag``. ``depth``: the other one's.

    ``lacking``: the places (``registry/repository``) that do not have it.
    """

    descriptor: Descriptor
    subject: Digest | None
    tag: str = ""
    depth: int = 0
    lacking: set[str] = field(default_factory=set)


@dataclass(slots=True)
class PlanItem:
    """One request, what is known of its image, and the steps it needs (shared with other items where equal)."""

    request: CopyRequest
    result: ItemResult
    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    steps: dict[Step, None] = field(default_factory=dict)
    moved_tags: frozenset[str] = frozenset()
    attached: dict[tuple[Digest, str], Attachment] = field(default_factory=dict)


@dataclass(slots=True)
class CopyPlan:
    """``steps``: each with the steps that it waits for. ``manifests``: the bytes that will be put.

    ``places``: what is known from earlier of where blobs are; the run adds to it.
    """

    items: tuple[PlanItem, ...]
    places: BlobPlaces = field(default_factory=BlobPlaces)
    steps: dict[Step, frozenset[Step]] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    manifests: dict[Digest, Manifest] = field(default_factory=dict)

    @property
    def blobs(self) -> tuple[CopyBlob | MountBlob, ...]:
        """The steps that bring blobs."""
        return tuple(step for step in self.steps if isinstance(step, (CopyBlob, MountBlob)))

    @property
    def total_bytes(self) -> int:
        """Blob bytes that will move at most: what is found at the target is known only on the way."""
        return sum(step.descriptor.size for step in self.blobs)


class Graph:
    """Puts items' steps into a plan: children before parents, blobs before manifests, each blob once a place."""

    def __init__(self, plan: CopyPlan) -> None:
        self._plan = plan
        self._blobs: dict[tuple[str, Digest], Step] = {}
        self._holders: dict[tuple[str, Digest], tuple[str, Step]] = {}

    def add(self, item: PlanItem, root: Digest, present: Mapping[tuple[str, Digest], bool]) -> None:
        """Add all that this item's destinations miss. ``present``: the (place, digest) that were looked for."""
        plan, request = self._plan, item.request
        plan.sources.setdefault(request.key, request.source)
        plan.manifests.update(item.manifests)
        for destination in request.destinations:
            plan.targets.setdefault(destination.key, destination.store)
            attached: dict[Step, None] = {}
            for attachment in item.attached.values():
                if destination.key in attachment.lacking:
                    tags = (attachment.tag,) if attachment.tag else ()
                    steps = self._add_manifest(item, attachment.descriptor.digest, destination, {}, tags)
                    attached |= dict.fromkeys(steps)
            self._add_manifest(item, root, destination, present, destination.tags, attached)
        blobs = {blob.digest: blob for manifest in item.manifests.values() for blob in manifest.blobs}
        for destination in request.destinations:
            for blob in blobs.values():
                if (destination.key, blob.digest) not in self._blobs:
                    item.result.blobs.add("existing", 1)
                    item.result.bytes.add("existing", blob.size)

    def _add_manifest(
        self,
        item: PlanItem,
        digest: Digest,
        destination: Destination,
        present: Mapping[tuple[str, Digest], bool],
        tags: Sequence[str] = (),
        attached: Mapping[Step, None] = MappingProxyType({}),
    ) -> list[Step]:
        """The last steps for this manifest, none where nothing is to be done. ``attached``: what tags wait for, too."""
        manifest = item.manifests.get(digest)
        if manifest is None:  # found at every destination, so never read
            return []
        waits: dict[Step, None] = {}
        for child in manifest.manifests:
            waits |= dict.fromkeys(self._add_manifest(item, child.digest, destination, present))
        here = present.get((destination.key, digest), False)
        if not here:
            waits |= {self._add_blob(item, blob, destination): None for blob in manifest.blobs}
        if here and not waits and not tags:
            return []
        source = item.request.key
        puts: list[Step] = [PutTag(manifest.descriptor, destination.key, tag, source) for tag in tags]
        puts = puts or [PutManifest(manifest.descriptor, destination.key, source)]
        for put in puts:
            self._put(item, put, frozenset({**waits, **(attached if tags else {})}))
        return puts

    def _add_blob(self, item: PlanItem, blob: Descriptor, destination: Destination) -> Step:
        plan = self._plan
        place, registry, repository = destination.key, destination.store.registry, destination.store.repository
        step = self._blobs.get((place, blob.digest))
        if step is None:
            source = item.request.source
            waits: frozenset[Step] = frozenset()
            holder = self._holders.get((registry, blob.digest))
            if registry and source.registry == registry and source.repository != repository:
                step = MountBlob(blob, place, source.repository, item.request.key)
            elif registry and holder:
                step, waits = MountBlob(blob, place, holder[0], item.request.key), frozenset({holder[1]})
            elif registry and (known := plan.places.where(registry, blob)) not in ("", repository):
                step = MountBlob(blob, place, known, item.request.key)
            else:
                step = CopyBlob(blob, place, item.request.key)
            self._blobs[place, blob.digest] = step
            self._holders.setdefault((registry, blob.digest), (repository, step))
            plan.steps[step] = waits
        self._require(item, step)
        return step

    def _put(self, item: PlanItem, step: Step, waits: frozenset[Step]) -> None:
        self._plan.steps[step] = self._plan.steps.get(step, frozenset()) | waits
        self._require(item, step)

    def _require(self, item: PlanItem, step: Step) -> None:
        for wait in self._plan.steps[step]:
            if wait not in item.steps:
                self._require(item, wait)
        item.steps[step] = None
