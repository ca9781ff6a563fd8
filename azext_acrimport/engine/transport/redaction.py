# SPDX-License-Identifier: MIT
"""What of a URL may be shown. Query values are hidden unless their name is known to be harmless."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

__all__ = ["redact_url"]

# A query that is not ours comes from a redirect or an upload session, and is then often a signature.
SHOWN = frozenset({"digest", "from", "last", "mount", "n", "scope", "service"})


def redact_url(url: str) -> str:
    """The URL without user name, fragment and unknown query values."""
    parts = urlsplit(url)
    query = "&".join(
        f"{name}={quote(value, safe=':/,@') if name in SHOWN else 'REDACTED'}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))
