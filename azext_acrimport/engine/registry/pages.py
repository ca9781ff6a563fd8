# SPDX-License-Identifier: MIT
"""Lists that go on: what a registry names as the next page.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..errors import NetworkError
from ..transport.response import Answer
from .client import RegistryClient

__all__ = ["next_page"]

NEXT = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?', re.IGNORECASE)


def next_page(client: RegistryClient, answer: Answer, what: str) -> str:
    """The next page's URL, empty at the last one. Raises NetworkError when it is not on this registry's host."""
    match = NEXT.search(answer.headers.get("Link", ""))
    if not match:
        return ""
    url = client.locate(match[1], answer.url)
    if urlsplit(url)[:2] != urlsplit(client.base)[:2]:
        said = f"{what} goes on at another host"
        raise NetworkError(client.registry, "redirect", said, origin=client.transport.origin)
    return url
