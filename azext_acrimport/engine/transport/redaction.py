# SPDX-License-Identifier: MIT
"""What of a URL may be shown. Query values are hidden unless their name is known to be harmless."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from ..foreign import foreign_text

__all__ = ["redact_url"]

# Characters; of a longer one nobody reads the rest.
MAX_URL = 16 * 1024
# A query that is not ours comes from a redirect or an upload session, and is then often a signature.
SHOWN = frozenset({"digest", "from", "last", "mount", "n", "scope", "service"})


def redact_url(url: str) -> str:
    """The URL without user name, fragment and unknown query values; what is no URL is not shown at all."""
    try:
        parts = urlsplit(url[:MAX_URL])
    except ValueError:
        return "REDACTED"
    query = "&".join(
        f"{name}={quote(value, safe=':/,@') if name in SHOWN else 'REDACTED'}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    return foreign_text(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, "")))
