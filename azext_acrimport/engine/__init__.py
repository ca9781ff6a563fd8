# SPDX-License-Identifier: MIT
"""The embedded copy engine: images and OCI artifacts from registry to registry, with ``requests`` and nothing else.

    cancellation, pool = Cancellation(), make_pool(jobs=4)
    client = RegistryClient("ghcr.io", "ghcr.io", Transport("source", cancellation=cancellation), lambda: ANONYMOUS)
    source = RegistryRepository(client, "contoso/app")
    target = ...  # the same with "target" and another credential
    plan = make_plan([CopyRequest(source, "1.0", (Destination(target, ("1.0",)),))], pool, cancellation)
    report = run_plan(plan, pool, cancellation)

It never prints, never logs above DEBUG, and knows nothing of az.
"""

from __future__ import annotations

from .archive import open_location
from .cancellation import Cancellation
from .client import RegistryClient
from .credential import ANONYMOUS, Credential, CredentialProvider
from .descriptor import Descriptor, Digest, Platform
from .errors import (
    AuthError,
    BlobUnknown,
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
    ManifestError,
    NetworkError,
    NoMatchingPlatform,
    NotFound,
    Origin,
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
from .location import LayoutReference, parse_location
from .manifest import Manifest
from .network import is_loopback
from .places import BlobPlaces
from .plan import Attachment, CopyPlan, CopyRequest, Destination
from .planning import make_plan, survey
from .pool import make_pool
from .redaction import redact_url
from .reference import Reference, is_registry_host, parse_repository_tag
from .registry import RegistryRepository
from .report import CopyReport, ItemResult, Progress, Tally
from .retry import RetryPolicy
from .run import run_plan, run_requests
from .store import Source, Target
from .stream import Body
from .transport import Transport, TransportOptions

__all__ = [
    "ANONYMOUS",
    "Attachment",
    "AuthError",
    "BlobPlaces",
    "BlobUnknown",
    "Body",
    "Cancellation",
    "Cancelled",
    "ContentError",
    "CopyPlan",
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
    "InvalidReference",
    "ItemResult",
    "LayoutError",
    "LayoutReference",
    "Manifest",
    "ManifestError",
    "NetworkError",
    "NoMatchingPlatform",
    "NotFound",
    "Origin",
    "Platform",
    "Progress",
    "RateLimited",
    "Reference",
    "RegistryClient",
    "RegistryError",
    "RegistryRepository",
    "Rejected",
    "RetryPolicy",
    "ServerError",
    "Source",
    "TagConflict",
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
    "is_loopback",
    "is_registry_host",
    "make_plan",
    "make_pool",
    "open_location",
    "parse_location",
    "parse_repository_tag",
    "redact_url",
    "run_plan",
    "run_requests",
    "survey",
]
