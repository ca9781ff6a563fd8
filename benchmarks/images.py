# SPDX-License-Identifier: MIT
"""The images that are copied: the same bytes every time, and nothing in them that compresses.

They are written straight into the storage of a registry, since pushing gigabytes would take longer than measuring.
https://distribution.github.io/distribution/about/configuration/#filesystem
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

# skopeo looks at the first bytes, and compresses what does not begin as a gzip file does
GZIP = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


@dataclass(frozen=True)
class Image:
    """What one tag names: descriptors of the manifests (children first, the root last) and of the blobs."""

    manifests: tuple[dict, ...]
    blobs: tuple[dict, ...]

    @property
    def digest(self) -> str:
        """The root's."""
        return self.manifests[-1]["digest"]


class Storage:
    """A folder as Debian's docker-registry keeps it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._root = folder / "docker" / "registry" / "v2"

    def blob(self, seed: str, size: int, media_type: str = LAYER) -> dict:
        """Write a blob of noise; its descriptor."""
        hasher = hashlib.sha256()
        part = self.folder / "part"
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            for block in noise(seed, size):
                hasher.update(block)
                file.write(block)
        return self._keep(part, hasher.hexdigest(), size, media_type)

    def hole(self, size: int, media_type: str = LAYER) -> dict:
        """A blob of zeros, which takes no room; its descriptor."""
        hasher, zeros = hashlib.sha256(), bytes(MIB)
        part = self.folder / "part"
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.truncate(size)
        for left in range(size, 0, -MIB):
            hasher.update(zeros[:left])
        return self._keep(part, hasher.hexdigest(), size, media_type)

    def document(self, content: dict, media_type: str) -> dict:
        """Write a config or a manifest; its descriptor."""
        raw = json.dumps(content).encode()
        part = self.folder / "part"
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(raw)
        return self._keep(part, hashlib.sha256(raw).hexdigest(), len(raw), media_type)

    def _keep(self, part: Path, digest: str, size: int, media_type: str) -> dict:
        data = self._data(f"sha256:{digest}")
        data.parent.mkdir(parents=True, exist_ok=True)
        part.replace(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}

    def image(self, seed: str, layers: list[dict]) -> Image:
        """A manifest over these layers and a config of its own."""
        config = self.document({"architecture": "amd64", "os": "linux", "author": seed, "rootfs": {}}, CONFIG)
        body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        return Image((self.document(body, MANIFEST),), (config, *layers))

    def index(self, children: dict[str, Image]) -> Image:
        """An index over images by architecture."""
        named = [
            {**child.manifests[-1], "platform": {"os": "linux", "architecture": architecture}}
            for architecture, child in children.items()
        ]
        root = self.document({"schemaVersion": 2, "mediaType": INDEX, "manifests": named}, INDEX)
        manifests = tuple(manifest for child in children.values() for manifest in child.manifests)
        return Image((*manifests, root), tuple(blob for child in children.values() for blob in child.blobs))

    def tag(self, repository: str, tag: str, image: Image) -> None:
        """Make the repository hold the image, under this tag."""
        for link, digest in self._links(repository, tag, image):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.write_text(digest)

    def take(self, other: Storage) -> None:
        """Hold the same bytes as another storage (by hard links), as yet in no repository."""
        shutil.copytree(other._root / "blobs", self._root / "blobs", copy_function=os.link)

    def missing(self, repository: str, tag: str, image: Image) -> str:
        """What is not there or not right of the image, in words; empty when it is complete."""
        for link, digest in self._links(repository, tag, image):
            if not link.is_file() or link.read_text() != digest:
                return f"{repository}:{tag} has no {link.relative_to(self._root)}"
        return ""

    def damaged(self) -> str:
        """A blob whose bytes are not those that its name says; empty when all are right."""
        for data in sorted((self._root / "blobs").glob("*/*/*/data")):
            hasher = hashlib.sha256()
            with data.open("rb") as file:
                while block := file.read(MIB):
                    hasher.update(block)
            if hasher.hexdigest() != data.parent.name:
                return f"{data.parent.name} has other bytes"
        return ""

    def _links(self, repository: str, tag: str, image: Image) -> Iterator[tuple[Path, str]]:
        home = self._root / "repositories" / repository
        for blob in image.blobs:
            yield home / "_layers" / blob["digest"].replace(":", "/") / "link", blob["digest"]
        for manifest in image.manifests:
            yield home / "_manifests" / "revisions" / manifest["digest"].replace(":", "/") / "link", manifest["digest"]
        name = home / "_manifests" / "tags" / tag
        yield name / "index" / image.digest.replace(":", "/") / "link", image.digest
        yield name / "current" / "link", image.digest

    def _data(self, digest: str) -> Path:
        algorithm, _, encoded = digest.partition(":")
        return self._root / "blobs" / algorithm / encoded[:2] / encoded / "data"


def noise(seed: str, size: int) -> Iterator[bytes]:
    """Bytes from a seed, in blocks of 1 MiB."""
    source = random.Random(seed)
    yield GZIP
    for left in range(size - len(GZIP), 0, -MIB):
        yield source.randbytes(min(MIB, left))


def small(storage: Storage) -> Image:
    """One platform, three layers, 6 MB."""
    return storage.image("small", [storage.blob(f"small {n}", 2_000_000) for n in range(3)])


def typical(storage: Storage) -> Image:
    """Three platforms of eight layers, one of them large, 210 MB in all."""
    sizes = [30, 16, 10, 6, 4, 2, 1.5, 0.5]
    return storage.index(
        {
            architecture: storage.image(
                architecture, [storage.blob(f"{architecture} {n}", int(size * 1e6)) for n, size in enumerate(sizes)]
            )
            for architecture in ("amd64", "arm64", "s390x")
        }
    )


def huge(storage: Storage) -> Image:
    """Four layers of 500 MB."""
    return storage.image("huge", [storage.blob(f"huge {n}", 500_000_000) for n in range(4)])


def zeros(storage: Storage, size: int) -> Image:
    """One layer of so many bytes, all of them zero."""
    return storage.image(f"zeros {size}", [storage.hole(size)])


def layer(storage: Storage) -> Image:
    """One layer of 500 MB."""
    return storage.image("layer", [storage.blob("layer", 500_000_000)])


def many(storage: Storage, count: int) -> list[Image]:
    """Tiny images: a base layer of 2 MB that all share, a layer of 10 kB of their own."""
    base = storage.blob("base", 2_000_000)
    return [storage.image(f"many {n}", [base, storage.blob(f"many {n}", 10_000)]) for n in range(count)]
