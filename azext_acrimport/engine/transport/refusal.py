# SPDX-License-Identifier: MIT
"""From an answer that was not wanted to the exception that says what it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..content.document import parse_document
from ..errors import (
    BlobUnknown,
    Denied,
    Disallowed,
    Firewall,
    NotFound,
    Origin,
    RateLimited,
    RegistryError,
    Rejected,
    ServerError,
    TooLarge,
    Unauthorized,
    UploadLost,
)
from ..foreign import foreign_text
from .retry import retry_after

__all__ = ["registry_error"]

# Enough for every message that a person reads; an HTML page of a proxy is cut here.
MAX_TEXT = 500
# What a page for people begins with, its style sheet included; the rest is cut before any pattern runs over it.
MAX_PAGE = 16 * 1024
MARKUP = re.compile(r"<[^<>]*>")
# A registry names one or two errors; what is said after the tenth helps nobody.
MAX_ENTRIES = 10
# Longer than any honest header.
MAX_HEADER = 32 * 1024

# ACR's words for a closed network; there is no code of its own for it.
FIREWALL = re.compile(r"is not allowed access|aka\.ms/acr/firewall", re.IGNORECASE)

# RFC 6750 section 3.1, as registries write it: who asked is known, and may not
LACKS_RIGHT = re.compile(r'\berror="?insufficient_scope\b')

_BY_STATUS: dict[int, type[RegistryError]] = {
    401: Unauthorized,
    403: Denied,
    404: NotFound,
    405: Disallowed,
    413: TooLarge,
    416: UploadLost,
    429: RateLimited,
}
# Statuses that say all: a front end that refuses a large body may name any code, and has looked at no upload.
CLEAR = frozenset({413, 429})
# Codes that say more than the status. https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
_BY_CODE: dict[str, type[RegistryError]] = {
    "BLOB_UPLOAD_INVALID": UploadLost,
    "BLOB_UPLOAD_UNKNOWN": UploadLost,
    "DIGEST_INVALID": UploadLost,
    # ACR's word for what waits to be released
    "IMAGE_QUARANTINED": Disallowed,
    "MANIFEST_BLOB_UNKNOWN": BlobUnknown,
    "SIZE_INVALID": UploadLost,
    "TOOMANYREQUESTS": RateLimited,
    "UNSUPPORTED": Disallowed,
}


def registry_error(
    origin: Origin,
    method: str,
    url: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    mode: str = "",
    name: str = "",
) -> RegistryError:
    """Pick the class by code, then by status. ``body`` may be anything: JSON, HTML, XML, nothing.

    ``mode`` and ``name``: how we had signed in, and how people call this host.
    """
    parts = urlsplit(url)
    codes, text = _said(body)
    kind = next((_BY_CODE[code] for code in codes if code in _BY_CODE), None)
    if kind is None or status in CLEAR or status >= 500:
        kind = _BY_STATUS.get(status, ServerError if status >= 500 else Rejected)
    if (
        kind is Unauthorized
        and mode != "anonymous"
        and LACKS_RIGHT.search(headers.get("WWW-Authenticate", "")[:MAX_HEADER])
    ):
        kind = Denied
    if kind is Denied and FIREWALL.search(text):
        kind = Firewall
    if kind is NotFound and method in ("PATCH", "PUT") and "/blobs/uploads/" in parts.path:
        kind = UploadLost
    if method == "PUT" and "/manifests/" in parts.path and kind in (NotFound, Rejected) and _names_missing(codes):
        kind = BlobUnknown
    error = kind(
        name or parts.netloc,
        origin=origin,
        method=method,
        path=parts.path,
        status=status,
        codes=codes,
        text=text,
        request_id=headers.get("x-ms-correlation-request-id", "") or headers.get("x-request-id", ""),
        mode=mode,
    )
    error.retry_after = retry_after(headers)
    return error


def _names_missing(codes: tuple[str, ...]) -> bool:
    return any(code in ("BLOB_UNKNOWN", "MANIFEST_UNKNOWN") for code in codes)


def _said(body: bytes) -> tuple[tuple[str, ...], str]:
    """The codes and the message of an error body; a body that is not the specification's JSON becomes plain text."""
    try:
        errors = parse_document(body)["errors"]
        entries = [entry for entry in errors if isinstance(entry, dict)]
    except (ValueError, KeyError, TypeError):
        return (), _plain(body.decode("utf-8", "replace"))
    first = entries[:MAX_ENTRIES]
    codes = tuple(dict.fromkeys(filter(None, (_plain(_text(entry.get("code"))) for entry in first))))
    texts = [_plain(f"{_text(entry.get('message'))}{_detail(entry.get('detail'))}") for entry in first]
    return codes, "; ".join(dict.fromkeys(filter(None, texts)))[:MAX_TEXT]


def _detail(detail: Any) -> str:
    if isinstance(detail, str) and detail:
        return f" ({detail})"
    entries = [entry for entry in detail[:MAX_ENTRIES] if isinstance(entry, dict)] if isinstance(detail, list) else []
    wanted = [f"{_text(entry['Name'])}:{_text(entry.get('Action'))}" for entry in entries if entry.get("Name")]
    return f" ({', '.join(wanted)})" if wanted else ""


def _text(value: Any) -> str:
    """Nothing of what is no text: to write a list that is nested without end takes as deep a stack."""
    return str(value) if isinstance(value, (str, int)) else ""


def _plain(text: str) -> str:
    """One line without markup."""
    return foreign_text(" ".join(MARKUP.sub(" ", text[:MAX_PAGE]).split()), MAX_TEXT)
