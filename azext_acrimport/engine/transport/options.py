# SPDX-License-Identifier: MIT
"""How one side is reached: whom it trusts, how long it waits, how often it asks again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from .retry import RetryPolicy

__all__ = ["TransportOptions"]


def _environment_verify() -> bool | str:
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """Times are in seconds. ``verify``: as in requests, True, False or the path of a CA bundle.

    The read timeout is the longest silence before and in an answer. What is sent may meet a long one, also after its
    last byte, while the registry hashes what it got: the upload timeout is for that, whatever form the body has.
    ``authorities`` (path of a CA bundle) and ``certificates`` (paths of a client certificate and its key) are for
    single hosts, port included where it is named.
    """

    verify: bool | str = field(default_factory=_environment_verify)
    user_agent: str = "acrimport"
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    upload_timeout: float = 300.0
    plain_http_hosts: frozenset[str] = frozenset()
    authorities: Mapping[str, str] = field(default_factory=dict)
    certificates: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    retry: RetryPolicy = RetryPolicy()
