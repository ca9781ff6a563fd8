# SPDX-License-Identifier: MIT
"""Every exception that the engine raises. Whatever text one holds is fit to be shown: it has passed ``foreign``.

EngineError                    code, origin, subject, message
├─ InvalidReference            text, reason
├─ LayoutError                 path, reason: an image layout or archive on this machine
├─ NetworkError                host, reason: dns | refused | timeout | reset | proxy | redirect | other
│  └─ TlsError                 the certificate or the handshake was refused
├─ RegistryError               host, method, path, status, codes, text, request_id, retry_after
│  ├─ Unauthorized             401 although a credential (or an anonymous token) was tried; mode
│  ├─ Denied                   403, or a token that lacks the right; mode
│  │  └─ Firewall              403 because of this machine's address
│  ├─ NotFound                 404 with nothing more to try
│  ├─ Disallowed               405: locked, read-only, quarantined
│  ├─ RateLimited              429
│  ├─ TooLarge                 413
│  ├─ BlobUnknown              a manifest was refused because something it names is not there
│  ├─ UploadLost               the upload session is gone or out of step
│  ├─ Rejected                 any other 4xx
│  └─ ServerError              5xx
├─ CredentialError             who we are could not be found out: a credential helper, a configuration file
├─ AuthError                   no usable challenge, a realm that is not allowed, a token answer that is none
├─ ContentError                expected, actual
│  ├─ DigestMismatch
│  └─ Truncated
├─ ManifestError               not a manifest, or over a limit
│  └─ UnsupportedManifest      Docker schema 1
├─ TagConflict                 tag, existing, wanted
├─ TimedOut                    the time that the caller gave is over
├─ NoMatchingPlatform          asked, available
├─ ListingError                a list of tags or repositories that is none, or has no end
├─ Blocked                     not tried, because something else had failed before
│  └─ QuotaSpent               host, left, window
└─ Cancelled

``code`` is stable and what tests and scripts compare: the side and the kind, such as ``source-not-found``.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from .foreign import foreign_text

__all__ = [
    "AuthError",
    "BlobUnknown",
    "Blocked",
    "Cancelled",
    "ContentError",
    "CredentialError",
    "Denied",
    "DigestMismatch",
    "Disallowed",
    "EngineError",
    "Firewall",
    "InvalidReference",
    "ManifestError",
    "LayoutError",
    "ListingError",
    "NetworkError",
    "NoMatchingPlatform",
    "NotFound",
    "Origin",
    "QuotaSpent",
    "RateLimited",
    "RegistryError",
    "Rejected",
    "ServerError",
    "TagConflict",
    "TimedOut",
    "TlsError",
    "TooLarge",
    "Truncated",
    "Unauthorized",
    "UnsupportedManifest",
    "UploadLost",
]

Origin = Literal["source", "target", "local"]


class EngineError(Exception):
    """Base of all. ``str()`` never holds a secret: it is built from facts that are safe to show.

    ``repository``: what it was about, where it was about one. ``mode``: how we had signed in, in words; empty when
    nothing had been asked for yet.
    """

    slug: ClassVar[str] = "failed"
    # members that are to be used as they are, not shown
    verbatim: ClassVar[frozenset[str]] = frozenset()
    # tags that may have been meant instead of one that is not there
    closest: tuple[str, ...] = ()

    def __init__(self, message: str, *, origin: Origin = "local", subject: str = "") -> None:
        self.message = message
        super().__init__(self.message)
        self.origin: Origin = origin
        self.subject = subject
        self.repository = ""
        self.mode = ""

    def __setattr__(self, name: str, value: Any) -> None:
        """What kind of error it is may be ours; what it tells may be anybody's, so no text gets in unseen."""
        if name in self.verbatim:
            pass
        elif isinstance(value, str):
            value = foreign_text(value)
        elif isinstance(value, tuple):
            value = tuple(foreign_text(part) if isinstance(part, str) else part for part in value)
        super().__setattr__(name, value)

    @property
    def code(self) -> str:
        """Stable, kebab-case: ``source-unauthorized``, ``target-tag-conflict``, ``invalid-reference``."""
        return self.slug if self.origin == "local" else f"{self.origin}-{self.slug}"


class InvalidReference(EngineError):
    """A text that should name an image does not."""

    slug = "invalid-reference"

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"'{text}' is not an image reference: {reason}.", subject=text)
        self.text = text
        self.reason = reason


class LayoutError(EngineError):
    """Content in files that is not what it should be. ``missing``: the file, or the image in it, is not there;
    ``denied``: this user may not read it.
    """

    slug = "layout"

    def __init__(self, path: str, reason: str, *, missing: bool = False, denied: bool = False) -> None:
        super().__init__(f"{path} (source): {reason}.", origin="source", subject=path)
        self.path = path
        self.reason = reason
        self.missing = missing
        self.denied = denied


class NetworkError(EngineError):
    """No complete answer came. ``reason``: dns, refused, timeout, reset, proxy, redirect or other; ``detail``: in
    words.
    """

    slug = "unreachable"

    def __init__(self, host: str, reason: str, detail: str = "", *, origin: Origin = "local") -> None:
        super().__init__(f"{host} ({origin}) could not be reached: {detail or reason}.", origin=origin, subject=host)
        self.host = host
        self.reason = reason
        self.detail = detail or reason


class TlsError(NetworkError):
    """TLS was tried and failed. ``spoken``: the other side does speak it, so plain http is no way out."""

    slug = "tls"

    def __init__(self, host: str, detail: str, *, spoken: bool = True, origin: Origin = "local") -> None:
        super().__init__(host, "tls", detail, origin=origin)
        self.spoken = spoken


class RegistryError(EngineError):
    """A registry answered, but not with what was asked for. ``retry_after``: seconds that it asked to wait, or None."""

    slug = "registry-error"
    retry_after: float | None = None

    def __init__(
        self,
        host: str,
        *,
        origin: Origin,
        method: str = "",
        path: str = "",
        status: int = 0,
        codes: tuple[str, ...] = (),
        text: str = "",
        request_id: str = "",
        mode: str = "",
    ) -> None:
        said = f": {' '.join(codes)} {text}".replace("  ", " ").rstrip() if codes or text else ""
        answered = f" answered {status} to {method} {path}" if status else ""  # of an answer that says what is not so
        super().__init__(f"{host} ({origin}){answered}{said}", origin=origin, subject=host)
        self.host = host
        self.method = method
        self.path = path
        self.status = status
        self.codes = codes
        self.text = text
        self.request_id = request_id
        self.mode = mode
        self.repository = _repository(path)


class Unauthorized(RegistryError):
    """The registry asks for a sign-in and none was given, or it refused the one that was (401)."""

    slug = "unauthorized"


class Denied(RegistryError):
    """The registry knows who asks, and does not allow it (403, or 401 with ``insufficient_scope``).

    ``by_repository``: this Azure container registry grants rights for single repositories (ABAC), so that other roles
    count; None when that is not known.
    """

    slug = "denied"
    by_repository: bool | None = None


class Firewall(Denied):
    """The registry does not let this machine's address in (403)."""

    slug = "firewall"


class NotFound(RegistryError):
    """The repository, tag, manifest or blob is not there."""

    slug = "not-found"


class Disallowed(RegistryError):
    """The tag, repository or registry is locked or read-only, or the operation does not exist there (405).

    ``why``: what was found out before it was tried.
    """

    slug = "disallowed"
    why: Literal["", "repository locked", "tag locked", "manifest deleted"] = ""


class RateLimited(RegistryError):
    """The registry limits requests, also after waiting (429).

    ``window``: in seconds, where a quota is spent that is counted over hours; else 0.
    """

    slug = "rate-limited"
    window = 0

    @property
    def is_quota(self) -> bool:
        """Docker Hub's: https://docs.docker.com/docker-hub/usage/pulls/#pull-rate-limit-hourly-windows"""
        return "pull rate limit" in self.text


class TooLarge(RegistryError):
    """A part of the image is larger than the registry or a proxy takes (413)."""

    slug = "too-large"


class BlobUnknown(RegistryError):
    """A manifest names a blob or a manifest that the target says it does not have."""

    slug = "blob-unknown"


class UploadLost(RegistryError):
    """The upload session is gone, or the registry and we disagree about its state: the blob starts anew."""

    slug = "upload-lost"


class Rejected(RegistryError):
    """The registry refused, with a status that has no class of its own (4xx)."""

    slug = "rejected"


class ServerError(RegistryError):
    """The registry is in trouble itself, also when asked again (5xx)."""

    slug = "server-error"


class CredentialError(EngineError):
    """Where a credential should have come from, none could be read."""

    slug = "credential"


class AuthError(EngineError):
    """The registry's way of signing in cannot be used, or must not be."""

    slug = "auth"

    def __init__(self, host: str, reason: str, *, origin: Origin) -> None:
        super().__init__(f"{host} ({origin}): {reason}.", origin=origin, subject=host)
        self.host = host
        self.reason = reason


class ContentError(EngineError):
    """The bytes that came are not those that were named."""

    slug = "content"

    def __init__(self, subject: str, expected: str, actual: str, *, origin: Origin) -> None:
        super().__init__(f"{subject} ({origin}): expected {expected}, got {actual}.", origin=origin, subject=subject)
        self.expected = expected
        self.actual = actual


class DigestMismatch(ContentError):
    """All bytes came, and they hash to something else."""

    slug = "digest-mismatch"


class Truncated(ContentError):
    """Fewer or more bytes came than the descriptor promises."""

    slug = "truncated"


class ManifestError(EngineError):
    """Not a manifest that the engine understands, or one beyond its limits."""

    slug = "manifest"


class UnsupportedManifest(ManifestError):
    """Docker image manifest version 2, schema 1: retired, and refused by ACR."""

    slug = "unsupported-manifest"


class TagConflict(EngineError):
    """The target tag names another digest, and overwriting was not asked for."""

    slug = "tag-conflict"

    def __init__(self, subject: str, existing: str, wanted: str) -> None:
        super().__init__(
            f"{subject} exists with another digest: it is {existing}, the import would make it {wanted}.",
            origin="target",
            subject=subject,
        )
        self.existing = existing
        self.wanted = wanted


class TimedOut(EngineError):
    """The time that the caller gave, in seconds, is over."""

    slug = "timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The import was not done within {seconds:g} s, and was given up.")
        self.seconds = seconds


class NoMatchingPlatform(EngineError):
    """The source has no image for a platform that was asked for."""

    slug = "no-matching-platform"

    def __init__(self, subject: str, asked: str, available: tuple[str, ...]) -> None:
        has = f"It has {', '.join(available)}" if available else "It names no platform at all"
        super().__init__(f"{subject} (source) has no image for {asked}. {has}.", origin="source", subject=subject)
        self.asked = asked
        self.available = available


class ListingError(EngineError):
    """A registry's list of tags or repositories that cannot be used, or that has no end."""

    slug = "listing"


class Blocked(EngineError):
    """Not tried, because another image had failed, and all were to stop then."""

    slug = "blocked"

    def __init__(self, message: str = "Not tried: another image has failed before.") -> None:
        super().__init__(message)


class QuotaSpent(Blocked):
    """Not tried, because the registry would not have let so many manifests be read. ``window`` in seconds."""

    slug = "quota-spent"

    def __init__(self, host: str, needed: int, left: int, window: int) -> None:
        super().__init__(
            f"{host} (source) allows {left} more {'pull' if left == 1 else 'pulls'} in its window of "
            f"{window / 3600:g} h; the image needs {needed}."
        )
        self.origin, self.subject, self.host = "source", host, host
        self.needed, self.left, self.window = needed, left, window


class Cancelled(EngineError):
    """The work was given up because the caller asked for it."""

    slug = "cancelled"

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)


def _repository(path: str) -> str:
    """The repository that a request was about, or an empty text (``/v2/``, token endpoints)."""
    for prefix, markers in (("/v2/", ("/manifests/", "/blobs/", "/tags/", "/referrers/")), ("/acr/v1/", ("/_",))):
        for marker in markers:
            name, found, _ = path.removeprefix(prefix).rpartition(marker)
            if found and path.startswith(prefix):
                return name
    return ""
