# SPDX-License-Identifier: MIT
"""A system that allows only so many threads more: ``ulimit -u``, or the limit of a container."""

from __future__ import annotations

import threading

import pytest


def allow(monkeypatch: pytest.MonkeyPatch, most: int, name: str = "acrimport") -> None:
    """So many of ours, whose names begin so, may still start; others, as a test's own server, are not counted."""
    start, started = threading.Thread.start, []

    def start_if_allowed(thread: threading.Thread) -> None:
        if thread.name.startswith(name) or isinstance(thread, threading.Timer):
            if len(started) == most:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_if_allowed)
