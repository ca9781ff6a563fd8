# SPDX-License-Identifier: MIT
"""Waiting for what another thread or process shows only when it is through."""

from __future__ import annotations

import time
from collections.abc import Callable

# Seconds: long on a slow machine, and not for ever.
PATIENCE = 30.0


def until(holds: Callable[[], object]) -> None:
    """Wait for it. Fails when it never comes."""
    end = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    assert holds()
