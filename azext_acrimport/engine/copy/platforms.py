# SPDX-License-Identifier: MIT
"""Only some platforms of a multi-platform image: its index is written anew, and names no others.

https://github.com/opencontainers/image-spec/blob/main/image-index.md
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..content.descriptor import ATTESTED, Descriptor
from ..content.digest import Digest
from ..content.document import parse_document
from ..content.manifest import MAX_MANIFEST_BYTES, Manifest
from ..content.platform import Platform, platform_of
from ..content.store import Source
from ..errors import ManifestError, NoMatchingPlatform

__all__ = ["Selection", "select"]

# Two levels of indexes exist.
MAX_DEPTH = 6
# All indexes of an image together, in bytes: what one of them may have. They are some kilobytes.
MAX_INDEXES_BYTES = MAX_MANIFEST_BYTES
# An image's config is a few kilobytes; a history of thousands of commands some hundred.
MAX_CONFIG_BYTES = 4 * 1024 * 1024


@dataclass(slots=True)
class Selection:
    """What is left. ``read``: the manifests that need not be read again, or that no source holds."""

    root: Manifest
    read: dict[Digest, Manifest]


def select(source: Source, root: Descriptor, wanted: tuple[Platform, ...], name: str) -> Selection:
    """Read the root (and indexes below it), and keep what is for one of the wanted platforms.

    Where nothing has to go, the bytes and the digest stay. Raises NoMatchingPlatform when one of them is not there.
    """
    return _Selector(source, wanted).select(root, name)


class _Selector:
    def __init__(self, source: Source, wanted: tuple[Platform, ...]) -> None:
        self._source = source
        self._wanted = wanted
        self._met: set[Platform] = set()
        self._available: dict[str, None] = {}
        self._read: dict[Digest, Manifest] = {}
        # what is left of each index that has been met below the root, and the bytes of all of them
        self._left: dict[Digest, Manifest | None] = {}
        self._bytes = 0

    def select(self, root: Descriptor, name: str) -> Selection:
        raw, media_type = self._source.manifest(root.digest, root.size)
        manifest = Manifest.parse(raw, media_type, root.digest)
        if manifest.descriptor.is_index:
            reduced = self._reduced(manifest, 0)
        else:
            reduced = manifest
            platform = self._platform_of(manifest)
            if platform:
                self._is_wanted(platform)
        for platform in self._wanted:
            if platform not in self._met:
                raise NoMatchingPlatform(name, str(platform), tuple(self._available))
        assert reduced
        self._read[reduced.descriptor.digest] = reduced
        return Selection(reduced, self._read)

    def _reduced(self, index: Manifest, depth: int) -> Manifest | None:
        """The index without what is not wanted; itself where all is; None where nothing is."""
        self._bytes += len(index.raw)
        if depth > MAX_DEPTH or self._bytes > MAX_INDEXES_BYTES:
            message = "indexes are nested deeper, or are larger, than those of any real image"
            raise ManifestError(message, origin="source", subject=str(index.descriptor.digest))
        body = parse_document(index.raw)
        entries = body.get("manifests") or []
        kept: list[Any] = [self._kept(entry, depth) for entry in entries]
        digests = {str(entry["digest"]) for entry in kept if entry}
        # what is attested may stand behind its attestation, so these are looked at when all others are known
        for number, entry in enumerate(entries):
            if kept[number] is None and _attested(entry) in digests:
                kept[number] = entry
        left = [entry for entry in kept if entry]
        if not left:
            return None
        try:
            if left == entries:
                return index
            body["manifests"] = left
            raw = json.dumps(body, separators=(",", ":")).encode()  # in the order in which it came: always the same
        except RecursionError:
            name = str(index.descriptor.digest)
            raise ManifestError(f"{name}: the index is nested too deeply", origin="source", subject=name) from None
        digest = Digest.of(raw, index.descriptor.digest.algorithm)
        return Manifest.parse(raw, index.descriptor.media_type, digest)

    def _kept(self, entry: Any, depth: int) -> Any:
        """The entry, perhaps with the digest of a smaller index; None when nothing of it is wanted, or not yet."""
        descriptor = Descriptor.from_json(entry)
        if _attested(entry):
            return None
        if descriptor.is_index:
            nested = self._nested(descriptor, depth + 1)
            if nested is None:
                return None
            self._read[nested.descriptor.digest] = nested
            return {**entry, "digest": str(nested.descriptor.digest), "size": len(nested.raw)}
        return entry if descriptor.platform and self._is_wanted(descriptor.platform) else None

    def _nested(self, descriptor: Descriptor, depth: int) -> Manifest | None:
        """What is left of an index; each is read once, however many name it."""
        if descriptor.digest not in self._left:
            if self._bytes + descriptor.size > MAX_INDEXES_BYTES:
                message = f"its indexes have more than {MAX_INDEXES_BYTES} bytes"
                raise ManifestError(message, origin="source", subject=str(descriptor.digest))
            raw, _ = self._source.manifest(descriptor.digest, descriptor.size)
            index = Manifest.parse(raw, descriptor.media_type, descriptor.digest)
            self._left[descriptor.digest] = self._reduced(index, depth)
        return self._left[descriptor.digest]

    def _is_wanted(self, platform: Platform) -> bool:
        if platform.os != "unknown":
            self._available[str(platform)] = None
        met = {wanted for wanted in self._wanted if wanted.includes(platform)}
        self._met |= met
        return bool(met)

    def _platform_of(self, image: Manifest) -> Platform | None:
        """What a single image's config says; None for what is no image."""
        if image.config is None or not 0 < image.config.size <= MAX_CONFIG_BYTES:
            return None
        reader = self._source.blob(image.config).open()
        try:
            config = parse_document(b"".join(iter(reader.read, b"")))
        except ValueError:
            return None
        finally:
            reader.close()
        return platform_of(config) if isinstance(config, dict) and config.get("os") else None


def _attested(entry: Any) -> str:
    """The digest of the image that this entry attests, or an empty text."""
    annotations = entry.get("annotations")
    attested = annotations.get(ATTESTED) if isinstance(annotations, dict) else ""
    return attested if isinstance(attested, str) else ""
