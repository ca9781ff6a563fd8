# SPDX-License-Identifier: MIT
"""Image layouts and archives on disk, as skopeo, buildx and docker save write them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from tests.sandbox.images import Artifact
from tests.sandbox.storage import digest_of


def layout_files(*images: tuple[Artifact, str]) -> dict[str, bytes]:
    """The files of an OCI layout with these images and their tags; an empty tag is none."""
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    entries = []
    for artifact, tag in images:
        named = {"annotations": {"org.opencontainers.image.ref.name": tag}} if tag else {}
        entries.append(artifact.descriptor(**named))
        for raw in [*artifact.blobs.values(), *(raw for _, raw in artifact.manifests)]:
            files[f"blobs/{digest_of(raw).replace(':', '/')}"] = raw
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    return files


def docker_files(artifact: Artifact, *tags: str, new: bool = False, unzip: bool = True) -> dict[str, bytes]:
    """What ``docker save`` writes: layers unpacked, in folders by image id (old) or under blobs/sha256 (new)."""
    body = json.loads(artifact.raw)
    config = artifact.blobs[body["config"]["digest"]]
    layers = [artifact.blobs[layer["digest"]] for layer in body["layers"]]
    layers = [gzip.decompress(raw) for raw in layers] if unzip else layers
    hexes = [digest_of(raw).partition(":")[2] for raw in layers]
    names = [f"blobs/sha256/{name}" if new else f"{name}/layer.tar" for name in hexes]
    identifier = digest_of(config).partition(":")[2]
    named = f"blobs/sha256/{identifier}" if new else f"{identifier}.json"
    entry = {"Config": named, "RepoTags": list(tags) or None, "Layers": names}
    return {named: config, **dict(zip(names, layers, strict=True)), "manifest.json": json.dumps([entry]).encode()}


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    """As a folder."""
    for name, raw in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
    return folder


def write_tar(
    path: Path, files: dict[str, bytes], *members: tarfile.TarInfo, zipped: bool = False, dot: str = ""
) -> Path:
    """As an archive; ``members`` are entries without content."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, raw in files.items():
            entry = tarfile.TarInfo(dot + name)
            entry.size = len(raw)
            archive.addfile(entry, io.BytesIO(raw))
        for entry in members:  # only the header: from 3.13 on, tarfile refuses to write a size without content
            packed.write(header := entry.tobuf())
            archive.offset += len(header)
    raw = packed.getvalue()
    path.write_bytes(gzip.compress(raw, 1) if zipped else raw)
    return path


def link(name: str, target: str, **members: Any) -> tarfile.TarInfo:
    """A symbolic link in an archive."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    for member, value in members.items():
        setattr(entry, member, value)
    return entry
