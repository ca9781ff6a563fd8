# SPDX-License-Identifier: MIT
"""A repository of a registry, as Source and as Target.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from ..auth.scope import Scope
from ..content.descriptor import ACCEPTED_MANIFESTS, Descriptor
from ..content.digest import Digest
from ..content.document import parse_document
from ..content.manifest import MAX_MANIFEST_BYTES, Manifest
from ..content.store import Outcome
from ..content.stream import Body, ByteStream
from ..errors import (
    AuthError,
    ContentError,
    Denied,
    DigestMismatch,
    Disallowed,
    Firewall,
    ManifestError,
    NotFound,
    RateLimited,
    RegistryError,
    Truncated,
)
from ..transport.response import Answer
from ..waiting import Ahead
from .acr import METADATA_ACTIONS, check_writable
from .client import RegistryClient
from .download import BlobDownload
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

ACCEPT = {"Accept": ", ".join(ACCEPTED_MANIFESTS)}


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
        self._upload = BlobUpload(client, repository, self._scopes)
        self._looks = True
        self._ahead: dict[str, Ahead[Descriptor]] = {}
        self._referrers = Referrers(client, repository, self._scopes, self._get, self.find)
        self.registry = client.registry
        self.repository = repository

    def resolve(self, identifier: str) -> Descriptor:
        """As ``Source.resolve``: HEAD, which Docker Hub does not count as a pull."""
        ahead = self._ahead.pop(identifier, None)
        return ahead.result() if ahead else self._resolve(identifier)

    def resolve_ahead(self, identifier: str) -> None:
        """Begin to resolve, in a thread of its own; the next ``resolve`` returns, or raises, what comes of it."""
        self._ahead[identifier] = Ahead(lambda: self._resolve(identifier))

    def _resolve(self, identifier: str) -> Descriptor:
        found = self.find(identifier)
        if found is None:
            # HEAD has no body; the registry's words (unknown name, or unknown tag) are worth one more request
            return self.read(identifier)[0]
        return found

    def read(self, identifier: str) -> tuple[Descriptor, bytes]:
        """As ``Source.read``. Raises DigestMismatch when the registry states another digest than the content has."""
        answer = self._fetch("GET", self._manifests(identifier), {200}, headers=ACCEPT)
        raw, stated = answer.body, _stated_digest(answer)
        actual = Digest.of(raw, stated.algorithm) if stated else Digest.of(raw)
        if stated and stated != actual:
            raise DigestMismatch(f"manifest {identifier}", str(stated), str(actual), origin=self._origin)
        return Descriptor(_media_type(answer), actual, len(raw)), raw

    def find(self, identifier: str) -> Descriptor | None:
        """As ``Target.find``. A HEAD that is refused, or that names no digest, is asked again as GET."""
        try:
            answer = self._fetch("HEAD", self._manifests(identifier), {200}, headers=ACCEPT)
        except NotFound:
            return None
        except (Denied, Disallowed):
            try:
                return self._found_by_get(identifier)
            except Denied as error:
                if error.status != 403 or isinstance(error, Firewall) or not self._is_absent(identifier):
                    raise
                return None
        digest = _stated_digest(answer)
        if digest is None:
            return self._found_by_get(identifier)
        return Descriptor(_media_type(answer), digest, -1)

    def manifest(self, digest: Digest, size: int = -1) -> tuple[bytes, str]:
        """As ``Source.manifest``."""
        subject = f"manifest {digest}"
        if size > MAX_MANIFEST_BYTES:
            message = f"{digest}: the manifest is larger than {MAX_MANIFEST_BYTES} bytes"
            raise ManifestError(message, origin=self._origin, subject=str(digest))
        try:
            raw, media_type = self._get(str(digest), size)
        except ManifestError:
            if size < 0:
                raise
            raise Truncated(subject, f"{size} bytes", "more", origin=self._origin) from None
        if size >= 0 and len(raw) != size:
            raise Truncated(subject, f"{size} bytes", f"{len(raw)} bytes", origin=self._origin)
        actual = Digest.of(raw, digest.algorithm)
        if actual != digest:
            raise DigestMismatch(subject, str(digest), str(actual), origin=self._origin)
        return raw, media_type

    def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """As ``Source.referrers``: by the API, or by the fallback tag."""
        return self._referrers.of(subject)

    def blob(self, descriptor: Descriptor) -> Body:
        """As ``Source.blob``."""
        place = self._client, self.repository, descriptor, self._scopes
        wide = descriptor.size > HUGE_BYTES
        return Body(
            descriptor,
            lambda: _started(BlobDownload(*place)),
            origin=self._origin,
            wide_opener=(lambda spare: _started(RangedDownload(*place, spare))) if wide else None,
        )

    def list_tags(self, pages: int) -> Sequence[str] | None:
        """As ``Source.list_tags``."""
        found: dict[str, None] = {}
        left = MAX_TAG_LIST_BYTES
        url = f"/v2/{self.repository}/tags/list?n={TAGS_A_PAGE}"
        for _ in range(pages):
            try:
                answer = self._fetch("GET", url, {200})
                left -= len(answer.body)
                listed = parse_document(answer.body)["tags"] or ()
                url = next_page(self._client, answer, "the list of tags")
            except (RegistryError, AuthError, ValueError, KeyError, TypeError) as error:
                logger.debug("the tags of %s cannot be listed: %s", self.repository, error)
                return None
            if left < 0 or not isinstance(listed, (list, tuple)) or not all(isinstance(tag, str) for tag in listed):
                return None
            found.update(dict.fromkeys(listed))
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
        return self._client.acr

    def require_writable(self, tags: Sequence[str], digest: Digest) -> None:
        """As ``Target.require_writable``: an Azure container registry tells, any other is not asked."""
        if self._client.acr:
            check_writable(self._client, self.repository, self._scopes, tags, str(digest))

    def has_blob(self, descriptor: Descriptor) -> bool:
        """As ``Target.has_blob``: some registries refuse HEAD or answer oddly, and then copying finds out."""
        path = f"/v2/{self.repository}/blobs/{descriptor.digest}"
        try:
            # a redirect to storage is a yes as well
            self._fetch("HEAD", path, {200, 301, 302, 303, 307, 308})
        except Firewall:
            raise
        except (NotFound, Denied, Disallowed):
            return False
        return True

    def put_blob(self, descriptor: Descriptor, body: Body) -> None:
        """As ``Target.put_blob``."""
        self._upload.put(body)

    def bring_blob(self, descriptor: Descriptor, body: Body, from_repository: str = "") -> Outcome:
        """As ``Target.bring_blob``. One POST asks for a mount, and where there is nothing to mount opens the upload.

        Small blobs are looked for in the same way: by a mount from their own repository. Large ones by HEAD: not every
        registry is known to look there, and then it is worth a question not to send them again.
        """
        small = descriptor.size <= SMALL_BYTES
        session = self._offer(descriptor, from_repository) if from_repository or (small and self._looks) else None
        if session == "":
            return "mounted" if from_repository else "existing"
        if not (session and small) and self._has_blob(descriptor, session):
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

    def _has_blob(self, descriptor: Descriptor, session: str | None) -> bool:
        """As ``has_blob``; the upload that is open already is cancelled when it is of no use."""
        useless = True
        try:
            useless = self.has_blob(descriptor)
            return useless
        finally:
            if session and useless:
                self._upload.cancel(session)

    def put_manifest(self, digest: Digest, media_type: str, raw: bytes) -> None:
        """As ``Target.put_manifest``."""
        self._put(str(digest), digest, media_type, raw)

    def tag(self, tag: str, digest: Digest, media_type: str, raw: bytes) -> None:
        """As ``Target.tag``: a manifest that is put under a tag is stored and tagged in one step."""
        self._put(tag, digest, media_type, raw)

    def _put(self, identifier: str, digest: Digest, media_type: str, raw: bytes) -> None:
        headers = {"Content-Type": media_type}
        answer = self._fetch("PUT", self._manifests(identifier), {200, 201, 202, 204}, headers=headers, body=raw)
        stated = _stated_digest(answer)
        if stated is not None and stated.algorithm == digest.algorithm and stated != digest:
            raise ContentError(f"manifest {identifier}", str(digest), str(stated), origin=self._origin)
        if not answer.headers.get("OCI-Subject"):
            # the registry keeps no list of referrers, so that is ours to keep
            manifest = Manifest.parse(raw, media_type, digest, origin=self._origin)
            if manifest.subject:
                self._referrers.link(manifest)

    def _found_by_get(self, identifier: str) -> Descriptor | None:
        try:
            raw, media_type = self._get(identifier)
        except NotFound:
            return None
        return Descriptor(media_type, Digest.of(raw), len(raw))

    def _is_absent(self, identifier: str) -> bool:
        """Artifactory answers 403 for what is not there. A digest may be written again; a tag must be known free."""
        if ":" in identifier:
            return True
        try:
            answer = self._fetch("GET", f"/v2/{self.repository}/tags/list", {200})
            tags = parse_document(answer.body)["tags"] or []
        except NotFound:
            return True
        except (Denied, Disallowed, ValueError, KeyError, TypeError):
            return False
        return isinstance(tags, list) and identifier not in tags and not answer.headers.get("Link")

    def _get(self, identifier: str, size: int = -1) -> tuple[bytes, str]:
        """Of a manifest whose size is known no more is read. Raises ManifestError when there is more."""
        limit = size if size >= 0 else MAX_MANIFEST_BYTES
        answer = self._fetch("GET", self._manifests(identifier), {200}, headers=ACCEPT, limit=limit)
        return answer.body, _media_type(answer)

    def _fetch(
        self,
        method: str,
        path: str,
        accept: Iterable[int],
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        limit: int = MAX_MANIFEST_BYTES,
    ) -> Answer:
        return self._client.fetch(
            method,
            path,
            scopes=self._scopes,
            accept=frozenset(accept),
            limit=limit,
            headers=headers,
            body=body,
        )

    def _manifests(self, identifier: str) -> str:
        return f"/v2/{self.repository}/manifests/{identifier}"


def _started(download: BlobDownload) -> ByteStream:
    download.start()
    return download


def _media_type(answer: Answer) -> str:
    """Without parameters: some registries add a charset."""
    return answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _stated_digest(answer: Answer) -> Digest | None:
    """Docker-Content-Digest, which old registries leave out."""
    try:
        return Digest.parse(answer.headers.get("Docker-Content-Digest", ""))
    except ValueError:
        return None
