# SPDX-License-Identifier: MIT
"""A manifest is its bytes. They are parsed to learn what must be copied with them, and never written again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..errors import ManifestError, Origin, UnsupportedManifest
from .descriptor import INDEXES, OCI_INDEX, OCI_MANIFEST, SCHEMA1, Descriptor
from .digest import Digest
from .document import parse_document

__all__ = ["MAX_MANIFEST_BYTES", "Manifest"]

# "It is recommended that registries accept manifests of 4 megabytes"; ACR takes no larger ones.
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
# What fits into the header in which the target will be told; the grammar itself is the target's to judge.
MEDIA_TYPE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


@dataclass(frozen=True, slots=True)
class Manifest:
    """``raw`` is what gets pushed. ``manifests`` are children at ``/manifests/``, ``blobs`` those at ``/blobs/``.

    Children and blobs hold each digest once, in the order in which the manifest first names them. Foreign layers,
    which registries do not hold, are in ``foreign`` instead. ``config`` is one of the blobs.
    """

    raw: bytes
    descriptor: Descriptor
    config: Descriptor | None
    manifests: tuple[Descriptor, ...]
    blobs: tuple[Descriptor, ...]
    foreign: tuple[Descriptor, ...]
    subject: Descriptor | None

    @classmethod
    def parse(cls, raw: bytes, media_type: str, digest: Digest, *, origin: Origin = "source") -> Manifest:
        """Read an image manifest, index or artifact manifest whose digest was verified before.

        The body's own mediaType wins over the one that the registry named. Raises ManifestError.
        """
        try:
            body = _object(raw)
            media_type = _media_type(body, media_type)
            config, subject = body.get("config"), body.get("subject")
            named = [Descriptor.from_json(config)] if config is not None else []
            for member in ("layers", "blobs", "manifests"):
                named += [Descriptor.from_json(value) for value in _list(body, member)]
            unique = list({descriptor.digest: descriptor for descriptor in reversed(named)}.values())[::-1]
            index = media_type in INDEXES
            return cls(
                raw,
                Descriptor(media_type, digest, len(raw)),
                config=named[0] if config is not None else None,
                manifests=tuple(d for d in unique if index and d.is_manifest),
                blobs=tuple(d for d in unique if not (index and d.is_manifest) and not d.is_foreign),
                foreign=tuple(d for d in unique if d.is_foreign),
                subject=Descriptor.from_json(subject) if subject is not None else None,
            )
        except ManifestError as error:
            raise type(error)(f"{digest}: {error.message}", origin=origin, subject=str(digest)) from None


def _object(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_MANIFEST_BYTES:
        raise ManifestError(f"the manifest is larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        body = parse_document(raw)
    except ValueError:
        raise ManifestError("the manifest is not JSON") from None
    if not isinstance(body, dict):
        raise ManifestError("the manifest is not a JSON object")
    return body


def _media_type(body: dict[str, Any], served_as: str) -> str:
    stated = body.get("mediaType")
    if isinstance(stated, str) and stated:
        media_type = stated
    elif served_as in INDEXES or served_as.endswith(("+json", "+prettyjws")):
        media_type = served_as
    else:  # served as application/json or text/plain by a registry that does not care: the members tell
        media_type = OCI_INDEX if "manifests" in body else OCI_MANIFEST
    if not MEDIA_TYPE.fullmatch(media_type):
        raise ManifestError("the manifest's mediaType is not one that could be sent on")
    if body.get("schemaVersion") == 1 or media_type in SCHEMA1:
        raise UnsupportedManifest("this is a Docker schema 1 manifest, a format that registries have retired")
    return media_type


def _list(body: dict[str, Any], member: str) -> list[Any]:
    value = body.get(member)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ManifestError(f"the manifest's member '{member}' is not a list")
    return value
