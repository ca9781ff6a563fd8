# SPDX-License-Identifier: MIT
"""Images that are built the same every time, from a seed. Standard library only."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .server import Handler, call
from .storage import digest_of

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
IN_TOTO = "application/vnd.in-toto+json"
EMPTY = "application/vnd.oci.empty.v1+json"

# Debian's docker-registry denies having what it is not asked for by type.
ACCEPT = {"Accept": ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST, "*/*"))}


@dataclass
class Artifact:
    """Manifests, children first and the root last, and the blobs that they name."""

    manifests: list[tuple[str, bytes]] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)

    @property
    def media_type(self) -> str:
        """Of the root."""
        return self.manifests[-1][0]

    @property
    def raw(self) -> bytes:
        """The root's bytes."""
        return self.manifests[-1][1]

    @property
    def digest(self) -> str:
        """The root's digest."""
        return digest_of(self.raw)

    @property
    def blob_bytes(self) -> int:
        """All blobs together."""
        return sum(map(len, self.blobs.values()))

    def descriptor(self, **members: Any) -> dict[str, Any]:
        """What an index says of the root."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.raw), **members}

    def push(self, registry: Handler, repository: str, *tags: str) -> Artifact:
        """Upload it the way that a client does, without signing in."""
        for digest, raw in self.blobs.items():
            started = call(registry, "POST", f"/v2/{repository}/blobs/uploads/")
            location = started.headers["Location"]
            call(registry, "PUT", f"{location}{'&' if '?' in location else '?'}digest={digest}", body=raw, expect=201)
        for media_type, raw in self.manifests:
            last = raw is self.raw
            for name in tags if last and tags else (digest_of(raw),):
                path = f"/v2/{repository}/manifests/{name}"
                call(registry, "PUT", path, headers={"Content-Type": media_type}, body=raw, expect=201)
        return self


def noise(seed: object, size: int) -> bytes:
    """Bytes that do not compress, the same for the same seed."""
    return random.Random(f"acrimport {seed}").randbytes(size)


def layer(seed: object, size: int) -> bytes:
    """A gzipped tar with one file of noise."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(f"layer-{seed}")
        content = noise(seed, size)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), 1, mtime=0)


def image(
    seed: object,
    layer_sizes: Sequence[int] = (500, 900),
    *,
    platform: str = "linux/amd64",
    docker: bool = False,
    shared: Sequence[bytes] = (),
    **members: Any,
) -> Artifact:
    """One platform's image: config and layers. ``shared``: layers that other images have as well."""
    layers = [*shared, *(layer(f"{seed}-{number}", size) for number, size in enumerate(layer_sizes))]
    config = {
        **_platform(platform),
        "config": {"Cmd": ["/hello"], "Env": [f"SEED={seed}"]},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(gzip.decompress(raw)) for raw in layers]},
    }
    return manifest(
        json.dumps(config).encode(),
        layers,
        docker=docker,
        config_type=DOCKER_CONFIG if docker else OCI_CONFIG,
        layer_type=DOCKER_LAYER if docker else OCI_LAYER,
        **members,
    )


def manifest(
    config: bytes, layers: Iterable[bytes], *, config_type: str, layer_type: str, docker: bool = False, **members: Any
) -> Artifact:
    """Any manifest with a config and layers; ``foreign``: the descriptor of a layer that no registry holds."""
    layers, foreign = list(layers), members.pop("foreign", None)
    notes = {"annotations": notes} if (notes := members.pop("layer_annotations", None)) else {}
    media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
    body = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {"mediaType": config_type, "digest": digest_of(config), "size": len(config)},
        "layers": [
            *([foreign] if foreign else []),
            *({"mediaType": layer_type, "digest": digest_of(raw), "size": len(raw), **notes} for raw in layers),
        ],
        **members,
    }
    raw = json.dumps(body, indent=3 if docker else None).encode()
    return Artifact([(media_type, raw)], {digest_of(blob): blob for blob in (config, *layers)})


def artifact(seed: object, artifact_type: str = "application/vnd.example.sbom.v1", **members: Any) -> Artifact:
    """An OCI artifact with an empty config; ``subject`` makes it a referrer."""
    content = json.dumps({"seed": str(seed)}).encode()
    return manifest(
        b"{}", [content], config_type=EMPTY, layer_type="application/json", artifactType=artifact_type, **members
    )


def cosign(subject: Artifact, suffix: str, *payloads: bytes, **annotations: str) -> tuple[str, Artifact]:
    """What cosign keeps under a tag that is named after the subject; the tag, and the image.

    https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
    """
    made = manifest(
        json.dumps({"rootfs": {"type": "layers", "diff_ids": [digest_of(payload) for payload in payloads]}}).encode(),
        payloads,
        config_type=OCI_CONFIG,
        layer_type="application/vnd.dev.cosign.simplesigning.v1+json",
        layer_annotations=annotations,
    )
    return f"{subject.digest.replace(':', '-')}{suffix}", made


def index(
    children: Sequence[tuple[str, Artifact]], *, docker: bool = False, attestations: bool = False, **members: Any
) -> Artifact:
    """Images by platform; with attestations each is followed by what BuildKit says of it."""
    whole, entries = Artifact(), []
    for platform, child in children:
        group = [(child, _platform(platform), {})]
        if attestations:
            note = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": child.digest}
            group.append((_attestation(child), {"architecture": "unknown", "os": "unknown"}, {"annotations": note}))
        for part, described, extra in group:
            whole.manifests += part.manifests
            whole.blobs |= part.blobs
            entries.append(part.descriptor(platform=described, **extra))
    media_type = DOCKER_LIST if docker else OCI_INDEX
    body = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries, **members}
    whole.manifests.append((media_type, json.dumps(body, indent=2).encode()))
    return whole


def hello_world() -> Artifact:
    """As Docker Hub's: many platforms, one tiny layer each, an attestation for each."""
    platforms = (
        "linux/amd64",
        "linux/arm/v5",
        "linux/arm/v7",
        "linux/arm64/v8",
        "linux/386",
        "linux/mips64le",
        "linux/ppc64le",
        "linux/riscv64",
        "linux/s390x",
    )
    return index([(p, image(f"hello-{p}", (2400,), platform=p)) for p in platforms], attestations=True)


def web_app(size: int = 2_500_000) -> Artifact:
    """Three platforms of six layers; the first layer of each is the same. About 22 MB with the default size."""
    base = layer("web-base", size)
    return index(
        [
            (p, image(f"web-{p}", (size, size, size // 2, 40_000, 600), platform=p, shared=[base]))
            for p in ("linux/amd64", "linux/arm64/v8", "linux/s390x")
        ]
    )


def _platform(text: str) -> dict[str, str]:
    name, _, version = text.partition(":")
    described = dict(zip(("os", "architecture", "variant"), name.split("/"), strict=False))
    return {**described, "os.version": version} if version else described


def _attestation(subject: Artifact) -> Artifact:
    statement = json.dumps({"_type": "https://in-toto.io/Statement/v0.1", "subject": [{"digest": subject.digest}]})
    return manifest(
        b'{"architecture":"unknown","os":"unknown"}', [statement.encode()], config_type=OCI_CONFIG, layer_type=IN_TOTO
    )
