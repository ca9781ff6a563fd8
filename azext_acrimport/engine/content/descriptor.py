# SPDX-License-Identifier: MIT
"""What a manifest says of something it refers to, and the media types of manifests.

https://github.com/opencontainers/image-spec/blob/main/descriptor.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..errors import ManifestError
from .digest import Digest
from .platform import Platform, platform_of

__all__ = [
    "ACCEPTED_MANIFESTS",
    "ATTESTED",
    "DOCKER_LIST",
    "DOCKER_MANIFEST",
    "IMAGE_NAME",
    "OCI_INDEX",
    "OCI_MANIFEST",
    "REF_NAME",
    "Descriptor",
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

# Annotations that copying heeds; what else somebody has written there is in the manifest's bytes, and need not be kept.
# The tag of an image in a layout, and its whole name as containerd and Docker write it:
REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"
# Which image one of BuildKit's attestation manifests attests.
# https://docs.docker.com/build/metadata/attestations/attestation-storage/
ATTESTED = "vnd.docker.reference.digest"
HEEDED = (REF_NAME, IMAGE_NAME, ATTESTED)

# "This property is of type int64": https://github.com/opencontainers/image-spec/blob/main/descriptor.md#properties
MAX_SIZE = 2**63 - 1


NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of something it refers to. Two are equal when type, digest and size are.

    ``size`` is in bytes; -1 where it is not known yet (a tag that was only asked for with HEAD). ``annotations``: only
    those that copying heeds.
    """

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = field(default=None, compare=False)
    artifact_type: str | None = field(default=None, compare=False)
    annotations: Mapping[str, str] = field(default_factory=lambda: NONE, compare=False)
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
        """True for a layer that registries usually do not hold (old Windows base layers): its ``urls`` say who does."""
        return bool(self.urls and FOREIGN.match(self.media_type))

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
            annotations=_heeded(value.get("annotations")),
            urls=tuple(url for url in urls if isinstance(url, str)) if isinstance(urls, list) else (),
        )


def _heeded(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict):
        return NONE
    return {name: value[name] for name in HEEDED if isinstance(value.get(name), str)} or NONE
