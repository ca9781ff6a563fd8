# SPDX-License-Identifier: MIT
"""An OCI image layout, in a folder or in an archive, as Source.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from ..content.descriptor import IMAGE_NAME, REF_NAME, Descriptor
from ..content.digest import Digest
from ..content.document import parse_document
from ..content.manifest import MAX_MANIFEST_BYTES, Manifest
from ..content.reference import fallback_tag
from ..content.stream import Body, piece_from
from ..errors import DigestMismatch, LayoutError, ManifestError, Truncated
from .folder import Files

__all__ = ["NamedImages", "OciLayout", "blob_name", "load_json", "read_json"]


class NamedImages(ABC):
    """What sources over files have in common: images that are found by the names in a list."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.registry = ""
        self.repository = files.path

    def expect(self, requests: int) -> None:
        """As ``Source.expect``."""
        return  # a file needs no connection

    def enter(self, identifier: str) -> Descriptor | None:
        """As ``Source.enter``."""
        return self.resolve(identifier)

    def enter_ahead(self, identifier: str) -> None:  # noqa: B027  nothing to do, for any of them
        """As ``Source.enter_ahead``; nobody has to be let in."""

    @abstractmethod
    def resolve(self, identifier: str) -> Descriptor:
        """As ``Source.resolve``. Raises LayoutError, with the names that there are, when it names none or several."""

    @abstractmethod
    def manifest(self, digest: Digest, size: int = -1) -> tuple[bytes, str]:
        """As ``Source.manifest``."""

    def find(self, identifier: str) -> Descriptor | None:
        """As ``Source.find``."""
        try:
            return self.resolve(identifier)
        except LayoutError as error:
            if error.missing:
                return None
            raise

    def read(self, identifier: str) -> tuple[Descriptor, bytes]:
        """As ``Source.read``."""
        descriptor = self.resolve(identifier)
        return descriptor, self.manifest(descriptor.digest, descriptor.size)[0]

    def close(self) -> None:
        """Let go of the files."""
        self._files.close()

    def _none_or_several(self, identifier: str, several: bool, listed: str) -> LayoutError:
        if not identifier and several:
            return LayoutError(self._files.path, f"it holds several images, and one must be named: {listed}")
        why = "several images have" if several else "no image has"
        return LayoutError(self._files.path, f"{why} the name '{identifier}'; {listed}", missing=not several)


class OciLayout(NamedImages):
    """Source (see ``store``) over files. ``index.json`` names its images; an empty identifier is the only one."""

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self._subjects: dict[Digest, Digest | None] = {}
        self._referring: dict[Digest, list[Descriptor]] | None = None
        version = read_json(files, "oci-layout").get("imageLayoutVersion")
        if not isinstance(version, str) or not version.startswith("1."):
            raise LayoutError(files.path, f"its layout has the version {version!r}, which is not known here")
        entries = read_json(files, "index.json").get("manifests")
        try:
            self.roots = [Descriptor.from_json(entry) for entry in entries or ()]
        except (ManifestError, TypeError) as error:
            raise LayoutError(files.path, f"its index.json is not an index ({error})") from None
        self._types = {root.digest: root.media_type for root in reversed(self.roots)}
        self._named: dict[str, list[Descriptor]] = {}
        for root in self.roots:
            for name in _names(root):
                self._named.setdefault(name, []).append(root)

    def resolve(self, identifier: str) -> Descriptor:
        """As ``Source.resolve``. Raises LayoutError, with the names that there are, when it names none or several."""
        named = self._named.get(identifier, ())
        if not named and ":" in identifier:
            return self._by_digest(identifier.removeprefix("@"))
        found = {root.digest: root for root in (named if identifier else self._main())}
        if len(found) == 1:
            return next(iter(found.values()))
        there = sorted({name for root in self.roots for name in _names(root) or {f"@{root.digest}"}})
        listed = f"it has {', '.join(there)}" if there else "it is empty"
        raise self._none_or_several(identifier, bool(found), listed)

    def manifest(self, digest: Digest, size: int = -1) -> tuple[bytes, str]:
        """As ``Source.manifest``."""
        name = blob_name(digest)
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
        return raw, self._types.get(digest, "application/json")

    def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """As ``Source.referrers``: what ``index.json`` names besides, and the list under the fallback tag."""
        listed = self._named.get(fallback_tag(subject))
        named = self._parsed(listed[0]).manifests if listed else ()
        return list({entry.digest: entry for entry in (*named, *self._referring_to(subject))}.values())

    quota = None

    def list_tags(self, pages: int) -> Sequence[str]:
        """As ``Source.list_tags``: all names that there are."""
        return tuple(self._named)

    def piece(self, descriptor: Descriptor, start: int, length: int) -> bytes | None:
        """As ``Source.piece``."""
        name = blob_name(descriptor.digest)
        return None if self._files.size(name) is None else piece_from(self._files.open(name), start, length)

    def _referring_to(self, subject: Digest) -> Sequence[Descriptor]:
        """Each root is looked at once, however many images are asked about."""
        if self._referring is None:
            referring: dict[Digest, list[Descriptor]] = {}
            for root in self.roots:
                other = self._subject(root) if root.is_manifest else None
                if other:
                    referring.setdefault(other, []).append(root)
            self._referring = referring
        return self._referring.get(subject, ())

    def _subject(self, root: Descriptor) -> Digest | None:
        if root.digest not in self._subjects:
            subject = self._parsed(root).subject
            self._subjects[root.digest] = subject.digest if subject else None
        return self._subjects[root.digest]

    def _parsed(self, root: Descriptor) -> Manifest:
        raw, _ = self.manifest(root.digest, root.size)
        return Manifest.parse(raw, root.media_type, root.digest)

    def blob(self, descriptor: Descriptor) -> Body:
        """As ``Source.blob``."""
        return Body(descriptor, lambda: self._files.open(blob_name(descriptor.digest)))

    def _main(self) -> list[Descriptor]:
        """What is meant without a name: not what refers to another image, nor what cosign named after one."""
        if len(self.roots) == 1:
            return self.roots
        own = [root for root in self.roots if not any(name.startswith("sha256-") for name in _names(root))]
        return [root for root in own if not root.is_manifest or not self._subject(root)]

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
        return parse_document(_read(files, name))
    except ValueError:
        raise LayoutError(files.path, f"its {name} is not JSON") from None


def _read(files: Files, name: str) -> bytes:
    stream = files.open(name)
    try:
        return b"".join(iter(lambda: stream.read(MAX_MANIFEST_BYTES), b""))
    finally:
        stream.close()


def blob_name(digest: Digest) -> str:
    """Where a layout keeps it."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _names(root: Descriptor) -> set[str]:
    """What a user may call it: its tag, and the whole name where one is given."""
    names = {root.annotations.get(REF_NAME, ""), root.annotations.get(IMAGE_NAME, "")}
    return names - {""}
