# SPDX-License-Identifier: MIT
"""Source and Target: all that copying knows of the places that hold content.

A registry repository is both. One contract suite runs over every implementation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from .descriptor import Descriptor
from .digest import Digest
from .stream import Body

__all__ = ["Outcome", "Quota", "Source", "TagPage", "Target", "key_of"]

# How a blob came to be where it is wanted.
Outcome = Literal["copied", "mounted", "existing"]


class Quota(NamedTuple):
    """How many more manifests a place lets us read in a window of so many seconds."""

    left: int
    window: int


class TagPage(NamedTuple):
    """What some tags of a repository name, and where the list of them goes on: empty at its end.

    ``is_new``: there is no such repository yet, so that no tag of it names anything.
    """

    named: Mapping[str, Digest]
    next_page: str
    is_new: bool = False


class Source(Protocol):
    """Where content is read. All methods may be called from several threads at once."""

    @property
    def registry(self) -> str:
        """The host, as people write it; empty for a place that is no registry."""

    @property
    def repository(self) -> str:
        """The repository within the registry."""

    def expect(self, requests: int) -> None:
        """Be told that so many will come soon, and at once. Returns at once."""

    def enter(self, identifier: str) -> Descriptor | None:
        """Be let in. What this tag or digest names, where that was told on the way; None where it is to be asked now.

        By then it may be known whether ``resolve`` or ``read`` is to ask it.
        """

    def enter_ahead(self, identifier: str) -> None:
        """Begin to: the next ``enter`` returns, or raises, what comes of it. Returns at once."""

    def resolve(self, identifier: str) -> Descriptor:
        """What this tag or digest names now. Size may be -1. Raises NotFound when it names nothing."""

    def read(self, identifier: str) -> tuple[Descriptor, bytes]:
        """As ``resolve``, with the manifest's bytes: one request where both are wanted."""

    def manifest(self, digest: Digest, size: int = -1) -> tuple[bytes, str]:
        """The manifest's bytes, verified against the digest (and the size, unless -1), and its media type."""

    def find(self, identifier: str) -> Descriptor | None:
        """As ``resolve``, but None when it names nothing. An unclear answer is an exception, never None."""

    def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """The manifests that refer to this one: signatures, SBOMs. An unclear answer is an exception, never none."""

    @property
    def quota(self) -> Quota | None:
        """What the place has told of it by now; None where it counts nothing."""

    def list_tags(self, pages: int) -> Sequence[str] | None:
        """All tags of the repository; None where that takes more pages than so many, or cannot be told."""

    def piece(self, descriptor: Descriptor, start: int, length: int) -> bytes | None:
        """So many bytes of the blob, from there on; None where they are not to be had by themselves."""

    def blob(self, descriptor: Descriptor) -> Body:
        """The blob, to be opened later; nothing is asked of the registry yet."""


class Target(Protocol):
    """Where content is written. All methods may be called from several threads at once, and again after a failure."""

    @property
    def registry(self) -> str:
        """The host, as people write it; empty for a place that is no registry."""

    @property
    def repository(self) -> str:
        """The repository within the registry."""

    def expect(self, requests: int) -> None:
        """As ``Source.expect``."""

    def find(self, identifier: str) -> Descriptor | None:
        """What this tag or digest names now, or None. An unclear answer is an exception, never None."""

    def find_ahead(self, identifier: str) -> None:
        """Begin to: the next ``find`` of it returns, or raises, what comes of that. Returns at once."""

    def tag_page(self, url: str) -> TagPage | None:
        """What tags name, from there on (empty: from the first one on); None where the place does not tell.

        A tag that is on no page may name something all the same.
        """

    def manifest(self, digest: Digest, size: int = -1) -> tuple[bytes, str]:
        """As ``Source.manifest``, to compare."""

    def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """As ``Source.referrers``. The subject need not be there yet."""

    def require_push(self) -> None:
        """Raise Denied when it is known already that we may not write here; asks nothing to find out."""

    @property
    def tells_locks(self) -> bool:
        """Whether ``require_writable`` asks anything."""

    def look_at_locks(self) -> None:
        """Ask what ``require_writable`` asks of the repository as a whole, so that it is known by then."""

    @property
    def is_new(self) -> bool:
        """Whether the place has told that there is no such repository yet, and nobody has put a manifest here since."""

    def require_writable(self, tags: Sequence[str], digest: Digest) -> None:
        """Raise Disallowed when the place tells that it would not take this digest, or move these (existing) tags."""

    def has_blob(self, descriptor: Descriptor) -> bool:
        """True only when the repository itself holds the blob. An unclear answer is False: copying is safe."""

    def piece_of(self, repository: str, descriptor: Descriptor, start: int, length: int) -> bytes | None:
        """As ``Source.piece``, of another repository of this registry."""

    def put_blob(self, descriptor: Descriptor, body: Body) -> None:
        """Store the blob, whole and verified, or raise and leave nothing visible. Idempotent."""

    def bring_blob(
        self, descriptor: Descriptor, body: Body, from_repository: str = "", *, at_once: bool = False
    ) -> Outcome:
        """See to it that the blob is there: taken from another repository of this registry, found, or stored.

        ``at_once``: it is most likely not there, and what can be asked at the same moment is. A place may be wrong
        about what it has; ``put_blob`` stores the blob whatever it says.
        """

    def put_manifest(self, digest: Digest, media_type: str, raw: bytes) -> None:
        """Store the manifest under its digest, and list it among its subject's referrers if it has one.

        Raises BlobUnknown when something it names is missing.
        """

    def tag(self, tag: str, digest: Digest, media_type: str, raw: bytes) -> None:
        """Store the manifest and make the tag name it, in one step. Raises BlobUnknown as ``put_manifest``."""


def key_of(place: Source | Target) -> str:
    """``registry/repository``: two stores with the same key are the same place."""
    return f"{place.registry}/{place.repository}"
