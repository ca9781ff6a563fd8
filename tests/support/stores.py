# SPDX-License-Identifier: MIT
"""Stores that are no registries: content in memory, that can count, lie and fail."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable, Sequence
from typing import Any

from azext_acrimport.engine import BlobUnknown, Body, Descriptor, Digest, Manifest, NotFound, Quota, TagPage
from tests.sandbox.images import Artifact


class MemoryStore:
    """Source and Target. Keeps ``calls`` as (method, what), in order; ``before`` may raise at any of them."""

    def __init__(self, registry: str = "memory.test", repository: str = "app") -> None:
        self.registry = registry
        self.repository = repository
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[bytes, str]] = {}
        self.tags: dict[str, str] = {}
        self.neighbours: dict[str, MemoryStore] = {}
        self.phantoms: set[str] = set()
        self.tells_locks = False
        self.is_new = False
        self.pages: list[TagPage] = []
        self.quota: Quota | None = None
        self.calls: list[tuple[str, str]] = []
        self.expected: list[int] = []
        self.entered: list[str] = []
        self.looked: list[str] = []
        self.wants_token = False
        self.before: Callable[[str, str], None] = lambda method, what: None
        self.lock = threading.Lock()

    @property
    def key(self) -> str:
        """As in plans."""
        return f"{self.registry}/{self.repository}"

    def hold(self, artifact: Artifact, *tags: str) -> MemoryStore:
        """Have this content."""
        self.blobs |= artifact.blobs
        for media_type, raw in artifact.manifests:
            self.manifests[str(Digest.of(raw))] = raw, media_type
        self.tags |= dict.fromkeys(tags, artifact.digest)
        return self

    def count(self, method: str) -> int:
        """How often it was called."""
        return sum(called == method for called, _ in self.calls)

    def expect(self, requests: int) -> None:
        """As ``Source.expect``."""
        self.expected.append(requests)

    def enter_ahead(self, identifier: str) -> None:
        """As ``Source.enter_ahead``."""
        self.entered.append(identifier)

    def enter(self, identifier: str) -> Descriptor | None:
        """As ``Source.enter``; one that wants a token tells nothing before."""
        if self.wants_token:
            self._note("enter", identifier)
            return None
        return self.resolve(identifier)

    def resolve(self, identifier: str) -> Descriptor:
        """As ``Source.resolve``."""
        self._note("resolve", identifier)
        found = self._found(identifier)
        if found is None:
            raise NotFound(self.registry, origin="source", method="GET", path=f"/v2/app/manifests/{identifier}")
        return found

    def read(self, identifier: str) -> tuple[Descriptor, bytes]:
        """As ``Source.read``."""
        self._note("read", identifier)
        found = self._found(identifier)
        if found is None:
            raise NotFound(self.registry, origin="source", method="GET", path=f"/v2/app/manifests/{identifier}")
        return found, self.manifests[str(found.digest)][0]

    def find(self, identifier: str) -> Descriptor | None:
        """As ``Target.find``."""
        self._note("find", identifier)
        return self._found(identifier)

    def find_ahead(self, identifier: str) -> None:
        """As ``Target.find_ahead``."""
        self.looked.append(identifier)

    def tag_page(self, url: str) -> TagPage | None:
        """As ``Target.tag_page``: those of ``pages``, whose names are their numbers."""
        self._note("tag_page", url)
        return self.pages[int(url or 0)] if self.pages else None

    def manifest(self, digest: Digest, size: int = -1) -> tuple[bytes, str]:
        """As ``Source.manifest``."""
        self._note("manifest", str(digest))
        if self.quota:
            self.quota = self.quota._replace(left=self.quota.left - 1)
        if str(digest) not in self.manifests:
            raise NotFound(self.registry, origin="source", method="GET", path=f"/v2/app/manifests/{digest}")
        return self.manifests[str(digest)]

    def referrers(self, subject: Digest) -> list[Descriptor]:
        """As ``Source.referrers`` and ``Target.referrers``, by looking at each manifest."""
        self._note("referrers", str(subject))
        manifests = [Manifest.parse(raw, kind, Digest.parse(digest)) for digest, (raw, kind) in self.manifests.items()]
        return [m.descriptor for m in manifests if m.subject and m.subject.digest == subject]

    def list_tags(self, pages: int) -> list[str]:
        """As ``Source.list_tags``."""
        self._note("list_tags", "")
        return list(self.tags)

    def blob(self, descriptor: Descriptor) -> Body:
        """As ``Source.blob``."""

        def opened() -> io.BytesIO:
            self._note("blob", str(descriptor.digest))
            if str(descriptor.digest) not in self.blobs:
                raise NotFound(self.registry, origin="source", method="GET", path=f"/v2/app/blobs/{descriptor.digest}")
            return io.BytesIO(self.blobs[str(descriptor.digest)])

        return Body(descriptor, opened)

    def require_push(self) -> None:
        """As ``Target.require_push``: nobody is kept out."""

    def look_at_locks(self) -> None:
        """As ``Target.look_at_locks``."""
        self._note("look_at_locks", "")

    def require_writable(self, tags: Sequence[str], digest: Digest) -> None:
        """As ``Target.require_writable``: nothing is locked."""

    def has_blob(self, descriptor: Descriptor) -> bool:
        """As ``Target.has_blob``; says yes for phantoms, too."""
        self._note("has_blob", str(descriptor.digest))
        return str(descriptor.digest) in self.blobs or str(descriptor.digest) in self.phantoms

    def piece(self, descriptor: Descriptor, start: int, length: int) -> bytes | None:
        """As ``Source.piece``."""
        self._note("piece", str(descriptor.digest))
        return self.blobs.get(str(descriptor.digest), b"")[start : start + length] or None

    def piece_of(self, repository: str, descriptor: Descriptor, start: int, length: int) -> bytes | None:
        """As ``Target.piece_of``."""
        neighbour = self.neighbours.get(repository)
        return neighbour.piece(descriptor, start, length) if neighbour else None

    def put_blob(self, descriptor: Descriptor, body: Body) -> None:
        """As ``Target.put_blob``."""
        self._note("put_blob", str(descriptor.digest))
        reader = body.open()
        with contextlib.closing(reader):
            raw = b"".join(iter(lambda: reader.read(100), b""))
        self.blobs[str(descriptor.digest)] = raw

    def bring_blob(
        self, descriptor: Descriptor, body: Body, from_repository: str = "", *, at_once: bool = False
    ) -> str:
        """As ``Target.bring_blob``."""
        if from_repository and self._mount_blob(descriptor, from_repository):
            return "mounted"
        if self.has_blob(descriptor):
            return "existing"
        self.put_blob(descriptor, body)
        return "copied"

    def _mount_blob(self, descriptor: Descriptor, from_repository: str) -> bool:
        self._note("mount_blob", str(descriptor.digest))
        neighbour = self.neighbours.get(from_repository)
        if neighbour is None or str(descriptor.digest) not in neighbour.blobs:
            return False
        self.blobs[str(descriptor.digest)] = neighbour.blobs[str(descriptor.digest)]
        return True

    def put_manifest(self, digest: Digest, media_type: str, raw: bytes) -> None:
        """As ``Target.put_manifest``."""
        self._note("put_manifest", str(digest))
        self._store(digest, media_type, raw)

    def tag(self, tag: str, digest: Digest, media_type: str, raw: bytes) -> None:
        """As ``Target.tag``."""
        self._note("tag", tag)
        self._store(digest, media_type, raw)
        self.tags[tag] = str(digest)

    def _store(self, digest: Digest, media_type: str, raw: bytes) -> None:
        assert Digest.of(raw) == digest
        manifest = Manifest.parse(raw, media_type, digest)
        missing = [d for d in manifest.blobs if str(d.digest) not in self.blobs]
        missing += [d for d in manifest.manifests if str(d.digest) not in self.manifests]
        if missing:
            raise BlobUnknown(self.registry, origin="target", method="PUT", text=f"{missing[0].digest} is missing")
        self.manifests[str(digest)] = raw, media_type

    def _found(self, identifier: str) -> Descriptor | None:
        digest = self.tags.get(identifier, identifier)
        if digest not in self.manifests:
            return None
        return Descriptor(self.manifests[digest][1], Digest.parse(digest), -1)

    def _note(self, method: str, what: str) -> None:
        with self.lock:
            self.calls.append((method, what))
        self.before(method, what)


def complete(store: MemoryStore, digest: str) -> bool:
    """True when everything below the digest is there and is what it is named."""
    if digest not in store.manifests:
        return False
    raw, media_type = store.manifests[digest]
    manifest = Manifest.parse(raw, media_type, Digest.of(raw))
    blobs = all(Digest.of(store.blobs.get(str(d.digest), b"")) == d.digest for d in manifest.blobs)
    return str(Digest.of(raw)) == digest and blobs and all(complete(store, str(d.digest)) for d in manifest.manifests)


def copy(source: MemoryStore, *targets: Any, tag: str = "1", jobs: int = 1, force: bool = False, **wanted: Any) -> Any:
    """Copy one image from store to store; its result."""
    from azext_acrimport.engine import Cancellation, CopyRequest, Destination, copy_images

    cancellation = wanted.pop("cancellation", None) or Cancellation()
    destinations = tuple(Destination(target, tuple(wanted.pop("tags", (tag,)))) for target in targets)
    content = {name: wanted.pop(name) for name in ("platforms", "referrers") if name in wanted}
    request = CopyRequest(source, tag, destinations, force, **content)
    return copy_images([request], cancellation, jobs=jobs, **wanted).items[0]


def planned(source: MemoryStore, target: Any, **wanted: Any) -> Any:
    """What a dry run says of the same."""
    return copy(source, target, go_on=lambda image: False, count_above=-1, **wanted)
