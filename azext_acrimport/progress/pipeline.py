# SPDX-License-Identifier: MIT
"""What an agent of Azure Pipelines understands on standard error.

https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

# More of a text does not get into the summary of a run.
MAX_TEXT = 4000
ISSUES = {logging.WARNING: "warning", logging.ERROR: "error", logging.CRITICAL: "error"}


def in_pipeline(environ: Mapping[str, str]) -> bool:
    """Every agent says so."""
    return environ.get("TF_BUILD", "").lower() == "true"


def progress(percent: float, text: str) -> str:
    """How far this task is."""
    return f"##vso[task.setprogress value={max(0, min(100, int(percent)))};]{_data(text)}"


def issue(kind: str, text: str, code: str = "") -> str:
    """A warning or an error, for the summary of the run as well."""
    return f"##vso[task.logissue type={kind};{f'code={_value(code)};' if code else ''}]{_data(text)}"


def group(name: str) -> str:
    """From here on the lines can be folded, until ``END_GROUP``."""
    return f"##[group]{_plain(name)}"


END_GROUP = "##[endgroup]"


def mark_issues() -> None:
    """Once a process: what az says as a warning or an error is one to the agent, too."""
    for handler in {*logging.getLogger("cli").handlers}:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            known = handler.formatter
            if not isinstance(known, _Issues):
                handler.setFormatter(_Issues(known or logging.Formatter()))


class _Issues(logging.Formatter):
    """``known``: how all else is written."""

    def __init__(self, known: logging.Formatter) -> None:
        super().__init__()
        self._known = known

    def format(self, record: logging.LogRecord) -> str:
        kind = ISSUES.get(record.levelno)
        return issue(kind, record.getMessage()) if kind else self._known.format(record)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._known, name)


def _plain(text: str) -> str:
    """What came from outside may hold orders of its own."""
    from ..engine import foreign_text

    return foreign_text(text, MAX_TEXT)


def _data(text: str) -> str:
    """Line ends are written as the agent reads them, and nothing else is read so."""
    lines = [re.sub("%(?=[0-9A-Fa-f]{2})", "%AZP25", _plain(line)) for line in text.splitlines()]
    return "%0A".join(lines)


def _value(text: str) -> str:
    return _data(text).replace(";", "%3B").replace("]", "%5D")
