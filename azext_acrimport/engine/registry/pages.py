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

# Twice what servers take as the first line of the request that would come of it.
MAX_LINK = 8 * 1024
# What is within < and > holds neither, so no place is looked at from many others.
NEXT = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel="?next"?', re.IGNORECASE)


def next_page(client: RegistryClient, answer: Answer, what: str) -> str:
    """The next page's URL, empty at the last one. Raises NetworkError when it is not on this registry's host."""
    link = answer.headers.get("Link", "")
    if len(link) > MAX_LINK:
        raise NetworkError(
            client.registry,
            "redirect",
            f"{what} goes on at something that is no address",
            origin=client.transport.origin,
        )
    match = NEXT.search(link)
    if not match:
        return ""
    url = client.locate(match[1], answer.url)
    if urlsplit(url)[:2] != urlsplit(client.base)[:2]:
        said = f"{what} goes on at another host"
        raise NetworkError(client.registry, "redirect", said, origin=client.transport.origin)
    return url
