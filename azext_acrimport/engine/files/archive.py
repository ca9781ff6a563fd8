# SPDX-License-Identifier: MIT
"""What ``docker save`` writes, in its old and its new form, as Source; and the way from a location to its content.

https://github.com/moby/docker-image-spec/blob/main/spec.md (combined image JSON and file system changesets)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from ..cancellation import Cancellation
from ..content.descriptor import OCI_MANIFEST, Descriptor
from ..content.digest import Digest
from ..content.manifest import MAX_MANIFEST_BYTES, Manifest
from ..content.stream import Body, piece_from
from ..errors import LayoutError, NotFound
from .folder import Files, Folder
from .layout import NamedImages, OciLayout, blob_name, load_json
from .location import LayoutReference
from .tar import TarArchive

__all__ = ["DockerArchive", "open_location"]

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
GZIP = b"\x1f\x8b"
BLOCK = 1024 * 1024
# More manifests, and bytes of them, than anybody saves into one file.
MAX_ROOTS = 5000
MAX_READ_BYTES = 64 * 1024 * 1024
# Docker stacks at most 127. In a zipped archive it costs some megabytes of unpacking to look at one.
MAX_LAYERS = 500


class DockerArchive(NamedImages):
    """Source (see ``store``). ``manifest.json`` names its images by repository and tag; an empty name is the only one.

    The old form has no manifest that a registry would take: it is made here, the same each time, with the layers as
    they are in the archive. Uncompressed layers have the digests that the image's configuration states for them. The
    new form (since Docker 25) is an OCI layout as well: a manifest of the image that is in there is taken as it is.
    """

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self._entries = load_json(files, "manifest.json")
        if not isinstance(self._entries, list) or not all(isinstance(entry, dict) for entry in self._entries):
            raise LayoutError(files.path, "its manifest.json is not a list of images")
        self._manifests: dict[Digest, tuple[bytes, str]] = {}
        self._places: dict[Digest, str] = {}
        # of each member what it was found to be; an image may name one a hundred times
        self._digests: dict[str, Digest] = {}
        self._compressed: dict[str, bool] = {}

    def resolve(self, identifier: str) -> Descriptor:
        """As ``Source.resolve``. Raises LayoutError, with the names that there are, when it names none or several."""
        wanted = _short(identifier)
        found = [entry for entry in self._entries if not wanted or wanted in map(_short, _tags(entry))]
        if len(found) != 1:
            names = sorted({tag for entry in self._entries for tag in _tags(entry)})
            listed = f"it has {', '.join(names)}" if names else "none has a name"
            raise self._none_or_several(identifier, bool(found), listed)
        kept = self._kept(found[0])
        if kept:
            self._manifests[kept.descriptor.digest] = kept.raw, kept.descriptor.media_type
            return kept.descriptor
        raw = self._made(found[0])
        digest = Digest.of(raw)
        self._manifests[digest] = raw, OCI_MANIFEST
        return Descriptor(OCI_MANIFEST, digest, len(raw))

    def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """As ``Source.referrers``: Docker saves none."""
        return ()

    quota = None

    def list_tags(self, pages: int) -> Sequence[str]:
        """As ``Source.list_tags``: all names that there are."""
        return tuple(tag for entry in self._entries for tag in _tags(entry))

    def piece(self, descriptor: Descriptor, start: int, length: int) -> bytes | None:
        """As ``Source.piece``."""
        name = self._places.get(descriptor.digest)
        return None if name is None else piece_from(self._files.open(name), start, length)

    def manifest(self, digest: Digest, size: int = -1) -> tuple[bytes, str]:
        """As ``Source.manifest``."""
        if digest not in self._manifests:
            raise NotFound(self._files.path, origin="source", method="GET", path=f"/v2/app/manifests/{digest}")
        return self._manifests[digest]

    def blob(self, descriptor: Descriptor) -> Body:
        """As ``Source.blob``."""
        return Body(descriptor, lambda: self._files.open(self._places[descriptor.digest]))

    def _kept(self, entry: dict[str, Any]) -> Manifest | None:
        """The image's own manifest, from the layout in the same archive, if all that it names is there as well."""
        config = entry.get("Config")
        if not isinstance(config, str) or self._files.size("index.json") is None or self._files.size(config) is None:
            return None
        layout, wanted = OciLayout(self._files), self._hashed(config)
        waiting, met, left = list(layout.roots), set(), MAX_READ_BYTES
        for descriptor in waiting:  # grows while it is read; an index may name platforms that were not pulled
            if not descriptor.is_manifest or descriptor.digest in met or left < 0:
                continue
            met.add(descriptor.digest)
            if self._files.size(blob_name(descriptor.digest)) is None:
                continue
            raw, _ = layout.manifest(descriptor.digest, descriptor.size)
            left -= len(raw)
            manifest = Manifest.parse(raw, descriptor.media_type, descriptor.digest)
            if descriptor.is_index and len(waiting) < MAX_ROOTS:
                waiting += manifest.manifests
            elif manifest.config and manifest.config.digest == wanted:
                places = {blob.digest: blob_name(blob.digest) for blob in manifest.blobs}
                if all(self._files.size(place) is not None for place in places.values()):
                    self._places |= places
                    return manifest
        return None

    def _made(self, entry: dict[str, Any]) -> bytes:
        """The manifest of one image, as bytes."""
        config, layers = entry.get("Config"), entry.get("Layers")
        if not isinstance(config, str) or not isinstance(layers, list) or not all(isinstance(x, str) for x in layers):
            raise LayoutError(self._files.path, "its manifest.json lacks a configuration or layers")
        described = load_json(self._files, config)
        rootfs = described.get("rootfs") if isinstance(described, dict) else None
        diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not isinstance(diff_ids, list) or len(diff_ids) != len(layers):
            raise LayoutError(self._files.path, f"its configuration {config} does not describe its layers")
        if len(layers) > MAX_LAYERS:
            raise LayoutError(self._files.path, f"it has {len(layers)} layers, and no image has more than {MAX_LAYERS}")
        body = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self._described(config, CONFIG, None),
            "layers": [self._layer(name, diff_id) for name, diff_id in zip(layers, diff_ids, strict=True)],
        }
        raw = json.dumps(body, separators=(",", ":"), sort_keys=True).encode()
        if len(raw) > MAX_MANIFEST_BYTES:
            raise LayoutError(self._files.path, "it has more layers than a manifest can name")
        return raw

    def _layer(self, name: str, diff_id: Any) -> dict[str, Any]:
        if name not in self._compressed:
            with closing(self._files.open(name)) as stream:
                self._compressed[name] = stream.read(len(GZIP)) == GZIP
        if self._compressed[name]:
            return self._described(name, f"{LAYER}+gzip", None)
        try:
            return self._described(name, LAYER, Digest.parse(diff_id if isinstance(diff_id, str) else ""))
        except ValueError as error:
            raise LayoutError(self._files.path, f"its configuration names no digest for {name} ({error})") from None

    def _described(self, name: str, media_type: str, digest: Digest | None) -> dict[str, Any]:
        """The descriptor of a member; one whose digest nobody states is read through."""
        size = self._files.size(name)
        if size is None:
            raise LayoutError(self._files.path, f"{name}, which its manifest.json names, is not in it, or is a link")
        digest = digest or self._hashed(name)
        self._places[digest] = name
        return {"mediaType": media_type, "digest": str(digest), "size": size}

    def _hashed(self, name: str) -> Digest:
        """Of a member, which is read once."""
        if name not in self._digests:
            self._digests[name] = self._read_through(name)
        return self._digests[name]

    def _read_through(self, name: str) -> Digest:
        hasher = Digest.of(b"").hasher()
        with closing(self._files.open(name)) as stream:
            for block in iter(lambda: stream.read(BLOCK), b""):
                hasher.update(block)
        return Digest.parse(f"sha256:{hasher.hexdigest()}")


def open_location(reference: LayoutReference, cancellation: Cancellation | None = None) -> OciLayout | DockerArchive:
    """The content in files; the caller closes it. Raises LayoutError, and Cancelled."""
    check = (cancellation or Cancellation()).check
    files: Files = Folder(reference.path) if reference.kind == "oci" else TarArchive(reference.path, check)
    try:
        return DockerArchive(files) if reference.kind == "docker-archive" else OciLayout(files)
    except BaseException:
        files.close()
        raise


def _short(name: str) -> str:
    """Docker Hub's images are written with all of their name or with the end of it."""
    return name.removeprefix("docker.io/").removeprefix("library/")


def _tags(entry: dict[str, Any]) -> list[str]:
    tags = entry.get("RepoTags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
