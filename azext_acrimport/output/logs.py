# SPDX-License-Identifier: MIT
"""What az's own logs may hold of our requests, and how they reach the agent of a pipeline."""

from __future__ import annotations

import logging
import os
import re

from ..progress import pipeline


class QueryFilter(logging.Filter):
    """Hides query values in what urllib3 writes with --debug: signatures of storage, states of uploads."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record's arguments; keep the record."""
        if isinstance(record.args, tuple):
            record.args = tuple(_hidden(value) if isinstance(value, str) else value for value in record.args)
        return True


def prepare_logs() -> None:
    """Once a process, however often commands run in it."""
    if pipeline.in_pipeline(os.environ):
        pipeline.mark_issues()
    logger = logging.getLogger("urllib3.connectionpool")
    if not any(isinstance(present, QueryFilter) for present in logger.filters):
        logger.addFilter(QueryFilter())


def _hidden(text: str) -> str:
    from ..engine import redact_url

    return redact_url(text) if re.match(r"(https?:/)?/", text) and "?" in text else text
