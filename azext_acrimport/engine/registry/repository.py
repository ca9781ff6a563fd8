# SPDX-License-Identifier: MIT
"""A repository of a registry, as Source and as Target.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..auth.scope import Scope
from ..content.descriptor import Descriptor
from ..content.digest import Digest
from ..content.document import parse_document
from ..content.manifest import Manifest
from ..content.store import Outcome, Quota, TagPage
from ..content.stream import Body, ByteStream
from ..errors import (
    AuthError,
    Denied,
    Disallowed,
    EngineError,
    Firewall,
    NetworkError,
    NotFound,
    RateLimited,
    RegistryError,
    ServerError,
)
from ..transport.transport import REDIRECTS
from ..waiting import Ahead, Attempts, Postponed
from .acr import METADATA_ACTIONS, AcrMetadata
from .client import RegistryClient
from .download import BlobDownload, EarlyDownload, read_piece
from .manifests import Manifests
from .pages import next_page
from .ranges import HUGE_BYTES, RangedDownload
from .referrers import Referrers
from .upload import BlobUpload

__all__ = ["RegistryRepository"]

logger = logging.getLogger(__name__)

# Sending so much again costs no more than asking first.
SMALL_BYTES = 4 * 1024 * 1024

# The most that registries are known to give at once.
TAGS_A_PAGE = 1000
# Of one repository; a hundred thousand tags of the longest kind, and more than half a million of the usual ones.
MAX_TAG_LIST_BYTES = 16 * 1024 * 1024


class RegistryRepository:
    """Source and Target (see ``store``) over HTTP. Safe in any thread.

    As a target it asks for the right to push from the first request on, so that one token serves the whole import.
    """

    def __init__(self, client: RegistryClient, repository: str) -> None:
        self._client = client
        self._origin = client.transport.origin
        scope = Scope.push(repository) if self._origin == "target" else Scope.pull(repository)
        if self._origin == "target" and client.acr:
            scope = Scope(repository, (*METADATA_ACTIONS, *scope.actions))
        self._scopes: tuple[Scope, ...] = (scope,)
        self._metadata = AcrMetadata(client, repository, self._scopes) if client.acr else None
        self._upload = BlobUpload(client, repository, self._scopes, self.has_blob)
        self._looks = True
        # begun before anybody asked, by identifier
        self._entering: dict[str, Ahead[Descriptor | None]] = {}
        self._finding: dict[str, Ahead[Descriptor | None]] = {}
        self._manifests = Manifests(client, repository, self._scopes)
        self._referrers = Referrers(client, repository, self._scopes, self._manifests.get, self.find)
        self.registry = client.registry
        self.repository = repository

    def expect(self, requests: int) -> None:
        """As ``Source.expect``."""
        self._client.expect(requests)

    def enter(self, identifier: str) -> Descriptor | None:
        """As ``Source.enter``: HEAD, which Docker Hub does not count as a pull."""
        ahead = self._entering.pop(identifier, None)
        return ahead.result() if ahead else self._manifests.enter(identifier)

    def enter_ahead(self, identifier: str) -> None:
        """As ``Source.enter_ahead``, in a thread of its own."""
        if identifier not in self._entering:
            self._entering[identifier] = Ahead(lambda: self._manifests.enter(identifier))

    def resolve(self, identifier: str) -> Descriptor:
        """As ``Source.resolve``: HEAD."""
        found = self.find(identifier)
        if found is None:
            if self._client.meter:  # there such a request counts as a pull
                path = f"/v2/{self.repository}/manifests/{identifier}"
                raise NotFound(self.registry, origin=self._origin, method="HEAD", path=path, status=404)
            # HEAD has no body; the registry's words (unknown name, or unknown tag) are worth one more request
            return self.read(identifier)[0]
        return found

    def read(self, identifier: str) -> tuple[Descriptor, bytes]:
        """As ``Source.read``."""
        return self._manifests.read(identifier)

    def find(self, identifier: str) -> Descriptor | None:
        """As ``Target.find``."""
        ahead = self._finding.pop(identifier, None)
        return ahead.result() if ahead else self._manifests.find(identifier)

    def find_ahead(self, identifier: str) -> None:
        """As ``Target.find_ahead``, in a thread of its own."""
        self._finding[identifier] = Ahead(lambda: self._manifests.find(identifier))

    def tag_page(self, url: str) -> TagPage | None:
        """As ``Target.tag_page``: an Azure container registry tells, any other is not asked."""
        return self._metadata.tag_page(url) if self._metadata else None

    def manifest(self, digest: Digest, size: int = -1) -> tuple[bytes, str]:
        """As ``Source.manifest``."""
        return self._manifests.verified(digest, size)

    def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """As ``Source.referrers``: by the API, or by the fallback tag."""
        return self._referrers.of(subject)

    def blob(self, descriptor: Descriptor) -> Body:
        """As ``Source.blob``."""
        place = self._client, self.repository, descriptor, self._scopes
        wide = descriptor.size > HUGE_BYTES

        def early() -> EarlyDownload:
            return EarlyDownload(BlobDownload(*place), self._client.transport.cancellation)

        return Body(
            descriptor,
            lambda: _started(BlobDownload(*place)),
            origin=self._origin,
            wide_opener=(lambda spare: _started(RangedDownload(*place, spare))) if wide else None,
            early=early if descriptor.size and not wide else None,
        )

    @property
    def quota(self) -> Quota | None:
        """As ``Source.quota``."""
        return self._client.meter.quota if self._client.meter else None

    def list_tags(self, pages: int) -> Sequence[str] | None:
        """As ``Source.list_tags``."""
        found: dict[str, None] = {}
        left = MAX_TAG_LIST_BYTES
        url = f"/v2/{self.repository}/tags/list?n={TAGS_A_PAGE}"
        for _ in range(pages):
            try:
                answer = self._manifests.fetch("GET", url, {200})
                left -= len(answer.body)
                listed = parse_document(answer.body)["tags"] or []
                url = next_page(self._client, answer, "the list of tags")
            except (RegistryError, AuthError, ValueError, KeyError, TypeError) as error:
                logger.debug("the tags of %s cannot be listed: %s", self.repository, error)
                return None
            if left < 0 or not isinstance(listed, list) or not all(isinstance(tag, str | None) for tag in listed):
                return None
            found.update(dict.fromkeys(tag for tag in listed if tag))
            if not url:
                return tuple(found)
        return None

    def require_push(self) -> None:
        """As ``Target.require_push``: the token that ``find`` needed tells what it is good for."""
        tokens = self._client.tokens
        for scope in tokens.lacks([Scope.push(self.repository)]):
            error = Denied(
                self.registry,
                origin=self._origin,
                path=f"/v2/{scope.repository}/blobs/uploads/",
                text=f"the token that it gave does not allow {' and '.join(scope.actions)}",
                mode=tokens.mode,
            )
            error.by_repository = tokens.by_repository
            raise error

    @property
    def tells_locks(self) -> bool:
        """As ``Target.tells_locks``."""
        return self._metadata is not None

    @property
    def is_new(self) -> bool:
        """As ``Target.is_new``: an Azure container registry tells."""
        return self._metadata is not None and self._metadata.is_new

    def look_at_locks(self) -> None:
        """As ``Target.look_at_locks``."""
        if self._metadata:
            self._metadata.look_at_locks()

    def require_writable(self, tags: Sequence[str], digest: Digest) -> None:
        """As ``Target.require_writable``: an Azure container registry tells, any other is not asked."""
        if self._metadata:
            self._metadata.require_writable(tags, str(digest))

    def has_blob(self, descriptor: Descriptor) -> bool:
        """As ``Target.has_blob``: some registries refuse HEAD or answer oddly, and then copying finds out."""
        path = f"/v2/{self.repository}/blobs/{descriptor.digest}"
        try:
            answer = self._manifests.fetch("HEAD", path, {200, *REDIRECTS})
        except Firewall:
            raise
        except (NotFound, Denied, Disallowed):
            return False
        return answer.status == 200 or self._is_told(descriptor)

    def _is_told(self, descriptor: Descriptor) -> bool:
        """A redirect may come from anybody in between. That the blob is there is said by its first byte."""
        try:
            return read_piece(self._client, self.repository, descriptor, self._scopes, 0, 1, retry=False) is not None
        except (NetworkError, ServerError):
            return False

    def piece(self, descriptor: Descriptor, start: int, length: int) -> bytes | None:
        """As ``Source.piece``."""
        return read_piece(self._client, self.repository, descriptor, self._scopes, start, length)

    def piece_of(self, repository: str, descriptor: Descriptor, start: int, length: int) -> bytes | None:
        """As ``Target.piece_of``, with the token that a mount from there needs."""
        scopes = (*self._scopes, Scope.pull(repository))
        return read_piece(self._client, repository, descriptor, scopes, start, length)

    def put_blob(self, descriptor: Descriptor, body: Body) -> None:
        """As ``Target.put_blob``."""
        self._upload.put(body, look=False)

    def bring_blob(
        self, descriptor: Descriptor, body: Body, from_repository: str = "", *, at_once: bool = False
    ) -> Outcome:
        """As ``Target.bring_blob``. One POST asks for a mount, and where there is nothing to mount opens the upload."""
        if self._upload.has_come(descriptor):
            return "copied"
        if descriptor.size <= SMALL_BYTES:
            return self._bring_small(descriptor, body, from_repository)
        return self._bring_large(descriptor, body, from_repository, at_once)

    def _bring_small(self, descriptor: Descriptor, body: Body, from_repository: str) -> Outcome:
        """It is looked for by a mount, too: from its own repository."""
        session = self._offer(descriptor, from_repository) if from_repository or self._looks else None
        if session == "":
            return "mounted" if from_repository else "existing"
        if session is None and self.has_blob(descriptor):
            return "existing"
        self._upload.put(body, session or "")
        return "copied"

    def _bring_large(self, descriptor: Descriptor, body: Body, from_repository: str, at_once: bool) -> Outcome:
        """It is looked for by HEAD: not every registry is known to look at such a mount, and to send it twice costs."""
        look = self._look_for(descriptor) if at_once and self._looks and not from_repository else None
        session = self._offer(descriptor, from_repository) if from_repository or look else None
        if session == "":
            return "mounted" if from_repository else "existing"
        if self._has_blob(descriptor, session, look):
            return "existing"
        self._upload.put(body, session or "")
        return "copied"

    def _offer(self, descriptor: Descriptor, from_repository: str) -> str | None:
        """What ``BlobUpload.mount`` says; None when the registry refuses."""
        try:
            return self._upload.mount(str(descriptor.digest), from_repository or self.repository)
        except RateLimited:
            raise  # it has been asked again and again already
        except (RegistryError, AuthError) as error:
            logger.debug("mount refused: %s", error)
            self._looks = self._looks and bool(from_repository)
            return None

    def _look_for(self, descriptor: Descriptor) -> Ahead[bool | None]:
        """Begin to ask whether it is here; None where that is to be asked once more."""

        def asked() -> bool | None:
            try:
                return Attempts().postponing(lambda: self.has_blob(descriptor))
            except (EngineError, Postponed):
                return None

        return Ahead(asked)

    def _has_blob(self, descriptor: Descriptor, session: str | None, look: Ahead[bool | None] | None) -> bool:
        """As ``has_blob``; the upload that is open already is cancelled when it is of no use."""
        try:
            has = look.result(self._client.transport.cancellation.check) if look else None
            if has is None:
                has = self.has_blob(descriptor)
        except BaseException as error:
            if session:
                self._upload.cancel(session, error)
            raise
        if session and has:
            self._upload.cancel(session)
        return has

    def put_manifest(self, digest: Digest, media_type: str, raw: bytes) -> None:
        """As ``Target.put_manifest``."""
        self._put(str(digest), digest, media_type, raw)

    def tag(self, tag: str, digest: Digest, media_type: str, raw: bytes) -> None:
        """As ``Target.tag``: a manifest that is put under a tag is stored and tagged in one step."""
        self._put(tag, digest, media_type, raw)

    def _put(self, identifier: str, digest: Digest, media_type: str, raw: bytes) -> None:
        has_listed = self._manifests.put(identifier, digest, media_type, raw)
        if self._metadata:
            self._metadata.is_new = False
        if not has_listed:
            manifest = Manifest.parse(raw, media_type, digest, origin=self._origin)
            if manifest.subject:
                self._referrers.keep(manifest)


def _started(download: BlobDownload) -> ByteStream:
    download.start()
    return download
