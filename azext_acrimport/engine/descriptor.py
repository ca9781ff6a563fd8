# SPDX-License-Identifier: MIT
"""Digest, Platform and Descriptor: how OCI content is named.

https://github.com/opencontainers/image-spec/blob/main/descriptor.md
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import ManifestError

__all__ = [
    "ACCEPTED_MANIFESTS",
    "DOCKER_LIST",
    "DOCKER_MANIFEST",
    "OCI_INDEX",
    "OCI_MANIFEST",
    "Descriptor",
    "Digest",
    "Platform",
]

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
ORAS_ARTIFACT = "application/vnd.cncf.oras.artifact.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT, ORAS_ARTIFACT})
SCHEMA1 = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})

# Registries convert a manifest, or deny having it, when its type is not asked for: so all are. Schema 1 is asked for
# last, only to be able to say that it is what is there.
ACCEPTED_MANIFESTS = (
    OCI_INDEX,
    OCI_MANIFEST,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_ARTIFACT,
    ORAS_ARTIFACT,
    DOCKER_SCHEMA1_SIGNED,
    DOCKER_SCHEMA1,
    "*/*",
)

FOREIGN = re.compile(
    r"application/vnd\.(docker\.image\.rootfs\.foreign\.diff\.|oci\.image\.layer\.nondistributable\.v1\.)"
)

# "This property is of type int64": https://github.com/opencontainers/image-spec/blob/main/descriptor.md#properties
MAX_SIZE = 2**63 - 1

PLATFORM = re.compile(r"([a-z0-9]+)/([a-z0-9_-]+)(?:/([a-z0-9.]+))?(?::([a-z0-9.]+))?")
# How machines call themselves, and how images do.
# https://github.com/opencontainers/image-spec/blob/main/image-index.md#platform-variants
ARCHITECTURES = {
    "aarch64": ("arm64", None),
    "armel": ("arm", "v6"),
    "armhf": ("arm", "v7"),
    "i386": ("386", None),
    "x86-64": ("amd64", None),
    "x86_64": ("amd64", None),
}
USUAL_VARIANTS = {"amd64": "v1", "arm64": "v8"}

# The two algorithms that the image specification registers, with the length of their hexadecimal form.
ALGORITHMS = {"sha256": 64, "sha512": 128}


@dataclass(frozen=True, slots=True)
class Digest:
    """``algorithm:hex``; https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests"""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Raises ValueError when the text is no digest of a registered algorithm."""
        algorithm, _, encoded = text.partition(":")
        length = ALGORITHMS.get(algorithm)
        if length is None:
            raise ValueError(f"'{text}' is not a digest of a known algorithm (sha256, sha512)")
        if len(encoded) != length or not re.fullmatch("[0-9a-f]+", encoded):
            raise ValueError(f"'{text}' is not {length} lower-case hexadecimal digits after '{algorithm}:'")
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, raw: bytes, algorithm: str = "sha256") -> Digest:
        """The digest of these bytes."""
        return cls(algorithm, hashlib.new(algorithm, raw).hexdigest())

    def hasher(self) -> Any:
        """A new hash object of this digest's algorithm."""
        return hashlib.new(self.algorithm)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


@dataclass(frozen=True, slots=True)
class Platform:
    """``os/architecture[/variant][:version of the os]``, of one image in an index or as somebody asks for it."""

    os: str
    architecture: str
    variant: str | None = None
    os_version: str | None = None

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Raises ValueError. ``linux/amd64``, ``linux/arm/v7``, ``windows/amd64:10.0.20348``."""
        match = PLATFORM.fullmatch(text.strip().lower())
        if not match:
            raise ValueError(f"'{text}' is not a platform")
        system, architecture, variant, version = match.groups()
        architecture, implied = ARCHITECTURES.get(architecture, (architecture, None))
        return cls(system, architecture, variant or implied, version)

    def includes(self, other: Platform) -> bool:
        """True when an image for ``other`` is what this asks for: a part that is not named may be anything.

        An unnamed variant of amd64 and arm64 is the first one that there was, as everybody takes it.
        """
        if (self.os, self.architecture) != (other.os, other.architecture):
            return False
        usual = USUAL_VARIANTS.get(self.architecture)
        if self.variant and self.variant != (other.variant or usual):
            return False
        # versions of Windows are told apart by their first parts: 10.0.20348 includes 10.0.20348.2655
        return not self.os_version or f"{other.os_version or ''}.".startswith(f"{self.os_version}.")

    def __str__(self) -> str:
        version = f":{self.os_version}" if self.os_version else ""
        return "/".join(filter(None, (self.os, self.architecture, self.variant))) + version


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of something it refers to. Two are equal when type, digest and size are.

    ``size`` is in bytes; -1 where it is not known yet (a tag that was only asked for with HEAD).
    """

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = field(default=None, compare=False)
    artifact_type: str | None = field(default=None, compare=False)
    annotations: Mapping[str, str] = field(default_factory=dict, compare=False)
    urls: tuple[str, ...] = field(default=(), compare=False)

    @property
    def is_index(self) -> bool:
        """True for an OCI index and a Docker manifest list."""
        return self.media_type in INDEXES

    @property
    def is_manifest(self) -> bool:
        """True for everything that is read and written at ``/manifests/``, an index included."""
        return self.media_type in MANIFESTS or self.media_type in INDEXES or self.media_type in SCHEMA1

    @property
    def is_foreign(self) -> bool:
        """True for a layer that registries usually do not hold (old Windows base layers)."""
        return bool(FOREIGN.match(self.media_type))

    @classmethod
    def from_json(cls, value: Any) -> Descriptor:
        """Raises ManifestError when a required member is missing or of the wrong type."""
        if not isinstance(value, dict):
            raise ManifestError("a descriptor in the manifest is not a JSON object")
        media_type, size = value.get("mediaType"), value.get("size")
        if not isinstance(media_type, str) or not isinstance(value.get("digest"), str):
            raise ManifestError("a descriptor in the manifest lacks its mediaType or digest")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_SIZE:
            raise ManifestError("a descriptor in the manifest lacks its size")
        try:
            digest = Digest.parse(value["digest"])
        except ValueError as error:
            raise ManifestError(str(error)) from None
        artifact_type, urls = value.get("artifactType"), value.get("urls")
        return cls(
            media_type,
            digest,
            size,
            platform=platform_of(value.get("platform")),
            artifact_type=artifact_type if isinstance(artifact_type, str) else None,
            annotations=_texts(value.get("annotations")),
            urls=tuple(url for url in urls if isinstance(url, str)) if isinstance(urls, list) else (),
        )


def platform_of(value: Any) -> Platform | None:
    """From the member of a descriptor, or from an image's config, where the same names are used."""
    if not isinstance(value, dict):
        return None
    variant, version = value.get("variant"), value.get("os.version")
    return Platform(
        str(value.get("os", "")),
        str(value.get("architecture", "")),
        str(variant) if variant else None,
        str(version) if version else None,
    )


def _texts(value: Any) -> Mapping[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}
