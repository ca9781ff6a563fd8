# SPDX-License-Identifier: MIT
"""Manifests and tags of one repository: asked for, read and verified, put.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests and #pushing-manifests
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial

from ..auth.scope import Scope
from ..content.descriptor import ACCEPTED_MANIFESTS, Descriptor
from ..content.digest import Digest
from ..content.document import parse_document
from ..content.manifest import MAX_MANIFEST_BYTES, Manifest
from ..errors import (
    ContentError,
    Denied,
    DigestMismatch,
    Disallowed,
    EngineError,
    Firewall,
    ManifestError,
    NotFound,
    Truncated,
    UnsupportedManifest,
)
from ..transport.response import Answer
from .client import RegistryClient

__all__ = ["Manifests"]

ACCEPT = {"Accept": ", ".join(ACCEPTED_MANIFESTS)}


class Manifests:
    """Of one repository."""

    def __init__(self, client: RegistryClient, repository: str, scopes: Iterable[Scope]) -> None:
        self._client = client
        self._origin = client.transport.origin
        self._repository = repository
        self._scopes = tuple(scopes)

    def read(self, identifier: str) -> tuple[Descriptor, bytes]:
        """As ``Source.read``. Raises DigestMismatch when the registry states another digest than the content has."""
        answer = self.get(identifier)
        raw, stated = answer.body, _stated_digest(answer)
        actual = Digest.of(raw, stated.algorithm) if stated else Digest.of(raw)
        if stated and stated != actual:
            raise self._mismatch(answer, f"manifest {identifier}", stated, actual)
        return Descriptor(_media_type(answer), actual, len(raw)), raw

    def find(self, identifier: str) -> Descriptor | None:
        """As ``Target.find``. A HEAD that is refused, or that names no digest, is asked again as GET."""
        return self._found(identifier, lambda: self.fetch("HEAD", self._path(identifier), {200}, headers=ACCEPT))

    def enter(self, identifier: str) -> Descriptor | None:
        """As ``Source.enter``."""
        ask = partial(self._client.enter, "HEAD", self._path(identifier), scopes=self._scopes, accept={200})
        return self._found(identifier, lambda: ask(headers=ACCEPT))

    def _found(self, identifier: str, ask: Callable[[], Answer | None]) -> Descriptor | None:
        try:
            answer = ask()
        except NotFound:
            return None
        except (Denied, Disallowed):
            try:
                return self._found_by_get(identifier)
            except Denied as error:
                if error.status != 403 or isinstance(error, Firewall) or not self._is_absent(identifier):
                    raise
                return None
        if answer is None:
            return None
        digest = _stated_digest(answer)
        if digest is None:
            return self._found_by_get(identifier)
        return _unless_another(Descriptor(_media_type(answer), digest, -1), identifier)

    def verified(self, digest: Digest, size: int = -1) -> tuple[bytes, str]:
        """As ``Source.manifest``."""
        subject = f"manifest {digest}"
        if size > MAX_MANIFEST_BYTES:
            message = f"{digest}: the manifest is larger than {MAX_MANIFEST_BYTES} bytes"
            raise ManifestError(message, origin=self._origin, subject=str(digest))
        try:
            answer = self.get(str(digest), size)
        except ManifestError:
            if size < 0:
                raise
            raise Truncated(subject, f"{size} bytes", "more", origin=self._origin) from None
        actual = Digest.of(answer.body, digest.algorithm)
        if actual == digest and size in (-1, len(answer.body)):
            return answer.body, _media_type(answer)
        if actual != digest and size in (-1, len(answer.body)):
            raise self._mismatch(answer, subject, digest, actual)
        raise Truncated(subject, f"{size} bytes", f"{len(answer.body)} bytes", origin=self._origin)

    def _mismatch(self, answer: Answer, subject: str, wanted: Digest, actual: Digest) -> EngineError:
        """A signed manifest of schema 1 is named by the digest of what was signed, and is said to be what it is."""
        try:
            Manifest.parse(answer.body, _media_type(answer), wanted, origin=self._origin)
        except UnsupportedManifest as error:
            return error
        except ManifestError:
            pass
        return DigestMismatch(subject, str(wanted), str(actual), origin=self._origin)

    def put(self, identifier: str, digest: Digest, media_type: str, raw: bytes) -> bool:
        """Under a tag or its digest. Whether the registry says that it lists referrers itself; see ``Referrers``."""
        headers = {"Content-Type": media_type}
        answer = self.fetch("PUT", self._path(identifier), {200, 201, 202, 204}, headers=headers, body=raw)
        if _media_type(answer) == "text/html":  # a proxy's page for people
            raise self._client.transport.refusal("PUT", answer, self._client.tokens.mode)
        stated = _stated_digest(answer)
        if not answer.says_what:
            found = self.find(identifier)
            if found is None:
                raise ContentError(f"manifest {identifier}", str(digest), "nothing", origin=self._origin)
            stated = found.digest
        if stated is not None and stated.algorithm == digest.algorithm and stated != digest:
            raise ContentError(f"manifest {identifier}", str(digest), str(stated), origin=self._origin)
        return bool(answer.headers.get("OCI-Subject"))

    def get(self, identifier: str, size: int = -1) -> Answer:
        """As it comes; where its size is known no more is read. Raises ManifestError when there is more."""
        limit = size if size >= 0 else MAX_MANIFEST_BYTES
        return self.fetch("GET", self._path(identifier), {200}, headers=ACCEPT, limit=limit)

    def fetch(
        self,
        method: str,
        path: str,
        accept: Collection[int],
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        limit: int = MAX_MANIFEST_BYTES,
    ) -> Answer:
        """What is as small as a manifest, or a list of tags."""
        return self._client.fetch(
            method,
            path,
            scopes=self._scopes,
            accept=frozenset(accept),
            limit=limit,
            headers=headers,
            body=body,
        )

    def _found_by_get(self, identifier: str) -> Descriptor | None:
        try:
            answer = self.get(identifier)
        except NotFound:
            return None
        digest = Digest.of(answer.body, identifier.partition(":")[0] if ":" in identifier else "sha256")
        return _unless_another(Descriptor(_media_type(answer), digest, len(answer.body)), identifier)

    def _is_absent(self, identifier: str) -> bool:
        """Artifactory answers 403 for what is not there. A digest may be written again; a tag must be known free."""
        if ":" in identifier:
            return True
        try:
            answer = self.fetch("GET", f"/v2/{self._repository}/tags/list", {200})
            tags = parse_document(answer.body)["tags"] or []
        except NotFound:
            return True
        except (Denied, Disallowed, ValueError, KeyError, TypeError):
            return False
        return isinstance(tags, list) and identifier not in tags and not answer.headers.get("Link")

    def _path(self, identifier: str) -> str:
        return f"/v2/{self._repository}/manifests/{identifier}"


def _media_type(answer: Answer) -> str:
    """Without parameters: some registries add a charset."""
    return answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _unless_another(found: Descriptor, identifier: str) -> Descriptor | None:
    """Who asks for a digest is told of no other manifest; that of another algorithm may be the same."""
    another = found.digest.algorithm == identifier.partition(":")[0] and str(found.digest) != identifier
    return None if another else found


def _stated_digest(answer: Answer) -> Digest | None:
    """Docker-Content-Digest, which old registries leave out."""
    try:
        return Digest.parse(answer.headers.get("Docker-Content-Digest", ""))
    except ValueError:
        return None
