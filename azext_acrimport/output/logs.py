# SPDX-License-Identifier: MIT
"""What az's own logs may hold of our requests, and how they reach the agent of a pipeline; and what is said of waits.

All of these with --verbose; to people those that look like a hang.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from typing import TYPE_CHECKING

from knack.log import get_logger

from ..progress import pipeline

if TYPE_CHECKING:
    from ..engine import Wait

logger = get_logger(__name__)

# Seconds of silence that nobody wonders about.
UNNOTICED = 5.0
# Who reads Azure's answers, in newer versions of the SDK and in older ones.
MODELS = ("azure.mgmt.containerregistry._utils.model_base", "azure.mgmt.containerregistry._model_base")


class QueryFilter(logging.Filter):
    """Hides query values in what urllib3 writes with --debug: signatures of storage, states of uploads."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record's arguments; keep the record."""
        if isinstance(record.args, tuple):
            record.args = tuple(_hidden(value) if isinstance(value, str) else value for value in record.args)
        return True


class FailsafeFilter(logging.Filter):
    """The SDK warns, with a traceback, of an answer that it cannot read. We tell what it was; so it is for --debug."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lower the record's level; keep the record."""
        if record.exc_info:
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        return True


def prepare_logs() -> None:
    """Once a process, however often commands run in it."""
    if pipeline.in_pipeline(os.environ):
        pipeline.mark_issues()
    _filter("urllib3.connectionpool", QueryFilter)
    for name in MODELS:
        _filter(name, FailsafeFilter)


def _filter(name: str, kind: type[logging.Filter]) -> None:
    theirs = logging.getLogger(name)
    if not any(isinstance(present, kind) for present in theirs.filters):
        theirs.addFilter(kind())


def _hidden(text: str) -> str:
    from ..engine import redact_url

    return redact_url(text) if re.match(r"(https?:/)?/", text) and "?" in text else text


class Waits:
    """Told of each wait, in any thread. Many requests to a host that must wait for the same are one notice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def __call__(self, wait: Wait) -> None:
        """Say it, to whom it concerns."""
        said = f"{wait.why.rstrip('.')}; the next attempt is in {wait.seconds:.1f} s"
        logger.info("%s.", said)
        end = time.monotonic() + wait.seconds
        with self._lock:
            known = end < self._until.get(wait.subject, 0.0) + UNNOTICED
            if wait.seconds <= UNNOTICED or known:
                return
            self._until[wait.subject] = end
        logger.warning("%s.", said)
