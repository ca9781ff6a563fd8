# SPDX-License-Identifier: MIT
"""The embedded copy engine: images and OCI artifacts from registry to registry, with ``requests`` and nothing else.

    cancellation = Cancellation()
    client = RegistryClient("ghcr.io", "ghcr.io", Transport("source", cancellation=cancellation), lambda: ANONYMOUS)
    source = RegistryRepository(client, "contoso/app")
    target = ...  # the same with "target" and another credential
    report = copy_images([CopyRequest(source, "1.0", (Destination(target, ("1.0",)),))], cancellation)

It never prints, never logs above DEBUG, and knows nothing of az.
"""

from __future__ import annotations

from .auth.credential import ANONYMOUS, Credential, CredentialProvider
from .auth.foresight import Greeting, greet
from .auth.remembered import RegistryHints
from .cancellation import Cancellation, Wait
from .content.descriptor import Descriptor
from .content.digest import Digest
from .content.manifest import Manifest
from .content.platform import Platform
from .content.reference import Reference, is_registry_host, parse_repository_tag
from .content.store import Quota, Source, TagPage, Target
from .content.stream import Body
from .copy.images import copy_images, prepare
from .copy.places import BlobPlaces
from .copy.progress import Progress
from .copy.report import Attachment, Change, CopyReport, ItemResult, Planned, Tally
from .copy.request import CopyRequest, Destination
from .errors import (
    AuthError,
    BlobUnknown,
    Blocked,
    Cancelled,
    ContentError,
    CredentialError,
    Denied,
    DigestMismatch,
    Disallowed,
    EngineError,
    Firewall,
    InvalidReference,
    LayoutError,
    ListingError,
    ManifestError,
    NetworkError,
    NoMatchingPlatform,
    NotFound,
    Origin,
    QuotaSpent,
    RateLimited,
    RegistryError,
    Rejected,
    ServerError,
    TagConflict,
    TimedOut,
    TlsError,
    TooLarge,
    Truncated,
    Unauthorized,
    UnsupportedManifest,
    UploadLost,
)
from .files.archive import open_location
from .files.location import LayoutReference, parse_location
from .foreign import foreign_text
from .registry.client import RegistryClient
from .registry.listing import list_repositories, list_tags
from .registry.repository import RegistryRepository
from .transport.addresses import is_loopback
from .transport.failures import network_error
from .transport.options import TransportOptions
from .transport.redaction import redact_url
from .transport.retry import RetryPolicy
from .transport.transport import Transport
from .waiting import Ahead

__all__ = [
    "ANONYMOUS",
    "Ahead",
    "Attachment",
    "AuthError",
    "BlobPlaces",
    "BlobUnknown",
    "Blocked",
    "Body",
    "Cancellation",
    "Cancelled",
    "Change",
    "ContentError",
    "CopyReport",
    "CopyRequest",
    "Credential",
    "CredentialError",
    "CredentialProvider",
    "Denied",
    "Descriptor",
    "Destination",
    "Digest",
    "DigestMismatch",
    "Disallowed",
    "EngineError",
    "Firewall",
    "Greeting",
    "InvalidReference",
    "ItemResult",
    "LayoutError",
    "LayoutReference",
    "ListingError",
    "Manifest",
    "ManifestError",
    "NetworkError",
    "NoMatchingPlatform",
    "NotFound",
    "Origin",
    "Planned",
    "Platform",
    "Progress",
    "Quota",
    "QuotaSpent",
    "RateLimited",
    "Reference",
    "RegistryClient",
    "RegistryError",
    "RegistryHints",
    "RegistryRepository",
    "Rejected",
    "RetryPolicy",
    "ServerError",
    "Source",
    "TagConflict",
    "TagPage",
    "Tally",
    "Target",
    "TimedOut",
    "TlsError",
    "TooLarge",
    "Transport",
    "TransportOptions",
    "Truncated",
    "Unauthorized",
    "UnsupportedManifest",
    "UploadLost",
    "Wait",
    "copy_images",
    "foreign_text",
    "greet",
    "is_loopback",
    "is_registry_host",
    "list_repositories",
    "list_tags",
    "network_error",
    "open_location",
    "parse_location",
    "parse_repository_tag",
    "prepare",
    "redact_url",
]
