# SPDX-License-Identifier: MIT
"""An OCI image layout, in a folder or in an archive, as Source.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .descriptor import Descriptor, Digest
from .errors import DigestMismatch, LayoutError, ManifestError, Truncated
from .files import Files
from .manifest import MAX_MANIFEST_BYTES, Manifest
from .stream import Body

__all__ = ["OciLayout", "read_json"]

REF_NAME = "org.opencontainers.image.ref.name"
# containerd and Docker write the whole name of the image here, and only the tag into the other.
IMAGE_NAME = "io.containerd.image.name"


class OciLayout:
    """Source (see ``store``) over files. ``index.json`` names its images; an empty identifier is the only one."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.registry = ""
        self.repository = files.path
        self._subjects: dict[Digest, Digest | None] = {}
        version = read_json(files, "oci-layout").get("imageLayoutVersion")
        if not isinstance(version, str) or not version.startswith("1."):
            raise LayoutError(files.path, f"its layout has the version {version!r}, which is not known here")
        entries = read_json(files, "index.json").get("manifests")
        try:
            self._roots = [Descriptor.from_json(entry) for entry in entries or ()]
        except (ManifestError, TypeError) as error:
            raise LayoutError(files.path, f"its index.json is not an index ({error})") from None

    def resolve(self, identifier: str) -> Descriptor:
        """As ``Source.resolve``. Raises LayoutError, with the names that there are, when it names none or several."""
        if ":" in identifier:
            return self._by_digest(identifier)
        found = {root.digest: root for root in self._roots if not identifier or identifier in _names(root)}
        if len(found) > 1 and not identifier:  # what vouches for another one is listed beside it
            found = {digest: root for digest, root in found.items() if not root.is_manifest or not self._subject(root)}
        if len(found) == 1:
            return next(iter(found.values()))
        there = sorted({name for root in self._roots for name in _names(root) or {f"@{root.digest}"}})
        listed = f"it has {', '.join(there)}" if there else "it is empty"
        if not identifier and found:
            raise LayoutError(self._files.path, f"it holds several images, and one must be named: {listed}")
        why = "several images have" if found else "no image has"
        raise LayoutError(self._files.path, f"{why} the name '{identifier}'; {listed}", missing=not found)

    def manifest(self, digest: Digest, size: int = -1) -> tuple[bytes, str]:
        """As ``Source.manifest``."""
        name = _blob_name(digest)
        there = self._files.size(name)
        if there is None:
            raise LayoutError(self._files.path, f"the manifest {digest} is not in it", missing=True)
        if there > MAX_MANIFEST_BYTES:
            raise ManifestError(f"{digest}: the manifest is larger than {MAX_MANIFEST_BYTES} bytes", origin="source")
        raw = _read(self._files, name)
        if size >= 0 and len(raw) != size:
            raise Truncated(f"manifest {digest}", f"{size} bytes", f"{len(raw)} bytes", origin="source")
        actual = Digest.of(raw, digest.algorithm)
        if actual != digest:
            raise DigestMismatch(f"manifest {digest}", str(digest), str(actual), origin="source")
        known = next((root.media_type for root in self._roots if root.digest == digest), "application/json")
        return raw, known

    def find(self, identifier: str) -> Descriptor | None:
        """As ``Source.find``."""
        try:
            return self.resolve(identifier)
        except LayoutError as error:
            if error.missing:
                return None
            raise

    def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """As ``Source.referrers``: of what ``index.json`` names, the manifests that have this subject."""
        return [root for root in self._roots if root.is_manifest and self._subject(root) == subject]

    def _subject(self, root: Descriptor) -> Digest | None:
        if root.digest not in self._subjects:
            raw, media_type = self.manifest(root.digest)
            subject = Manifest.parse(raw, media_type, root.digest).subject
            self._subjects[root.digest] = subject.digest if subject else None
        return self._subjects[root.digest]

    def blob(self, descriptor: Descriptor) -> Body:
        """As ``Source.blob``."""
        return Body(descriptor, lambda: self._files.open(_blob_name(descriptor.digest)))

    def close(self) -> None:
        """Let go of the files."""
        self._files.close()

    def _by_digest(self, identifier: str) -> Descriptor:
        try:
            digest = Digest.parse(identifier)
        except ValueError as error:
            raise LayoutError(self._files.path, f"'{identifier}' is not a digest: {error}") from None
        raw, media_type = self.manifest(digest)
        return Manifest.parse(raw, media_type, digest).descriptor


def read_json(files: Files, name: str) -> Any:
    """A small JSON object. Raises LayoutError."""
    value = load_json(files, name)
    if not isinstance(value, dict):
        raise LayoutError(files.path, f"its {name} is not a JSON object")
    return value


def load_json(files: Files, name: str) -> Any:
    """Any JSON of at most the size of a manifest. Raises LayoutError."""
    size = files.size(name)
    if size is None:
        raise LayoutError(files.path, f"the file {name} is missing", missing=False)
    if size > MAX_MANIFEST_BYTES:
        raise LayoutError(files.path, f"its {name} is larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        return json.loads(_read(files, name))
    except (ValueError, RecursionError):
        raise LayoutError(files.path, f"its {name} is not JSON") from None


def _read(files: Files, name: str) -> bytes:
    stream = files.open(name)
    try:
        return b"".join(iter(lambda: stream.read(MAX_MANIFEST_BYTES), b""))
    finally:
        stream.close()


def _blob_name(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _names(root: Descriptor) -> set[str]:
    """What a user may call it: its tag, and the whole name where one is given."""
    names = {root.annotations.get(REF_NAME, ""), root.annotations.get(IMAGE_NAME, "")}
    return names - {""}
