# SPDX-License-Identifier: MIT
"""No test sees the user's proxies, authorities or registry credentials."""

from __future__ import annotations

import os

import pytest

OUTSIDE = ("PROXY", "CA_BUNDLE", "SSL_CERT", "AZURE_", "ACRIMPORT_SOURCE", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine has set for itself is not part of a test."""
    for name in os.environ:
        if any(part in name.upper() for part in OUTSIDE):
            monkeypatch.delenv(name)
