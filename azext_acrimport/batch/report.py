# SPDX-License-Identifier: MIT
"""What has become of a batch: the summary, for scripts; JUnit, as pipelines' test tabs read it; the file of both.

JUnit: https://github.com/windyroad/JUnit-Schema, and what Azure Pipelines takes of it:
https://learn.microsoft.com/azure/devops/pipelines/tasks/reference/publish-test-results-v2
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["STATES", "ReportFile", "junit", "summary"]

STATES = ("copied", "updated", "unchanged", "skipped", "failed", "blocked", "cancelled", "planned")
WAYS = ("copied", "mounted", "existing")
SUFFIXES = (".json", ".xml")


def summary(
    items: Sequence[dict[str, Any]], seconds: float, shard: tuple[int, int] | None, hub: dict[str, Any] | None
) -> dict[str, Any]:
    """``bytes`` are null where those of no item are known."""
    states = Counter(item["status"] for item in items)
    known = [item["bytes"] for item in items if item["bytes"]]
    return {
        "items": len(items),
        **{state: states[state] for state in STATES},
        "bytes": {way: sum(tally[way] for tally in known) for way in WAYS} if known or not items else None,
        "seconds": round(seconds, 3),
        "shard": f"{shard[0]}/{shard[1]}" if shard else None,
        "hub": hub,
    }


def junit(report: dict[str, Any]) -> bytes:
    """One suite, one case an item."""
    totals = report["summary"]
    suite = ET.Element(
        "testsuite",
        name="az acr import-batch",
        tests=str(totals["items"]),
        failures=str(totals["failed"]),
        errors="0",
        skipped=str(sum(totals[state] for state in ("blocked", "cancelled", "skipped"))),
        time=str(totals["seconds"]),
    )
    for item in report["items"]:
        head, slash, last = item["source"].partition("@")[0].rpartition("/")
        case = ET.SubElement(
            suite,
            "testcase",
            classname=_plain(head + slash + (last.partition(":")[0] if slash else last)),
            name=_plain(", ".join(item["targets"]) or item["source"]),
            time=str(item["seconds"]),
        )
        error = item["error"] or {}
        said = _plain(" ".join(filter(None, (error.get("message"), error.get("recommendation")))))
        if item["status"] == "failed":
            failure = ET.SubElement(case, "failure", type=error.get("code") or "failed", message=said)
            failure.text = said
        elif item["status"] in ("blocked", "cancelled", "skipped"):
            ET.SubElement(case, "skipped", message=said or item["status"])
    suites = ET.Element("testsuites")
    suites.append(suite)
    return bytes(ET.tostring(suites, encoding="utf-8", xml_declaration=True))


def _plain(text: str) -> str:
    """No control characters, which XML has no way to write, and nothing that is half of one."""
    return "".join(c if c.isprintable() and not 0xD800 <= ord(c) <= 0xDFFF else " " for c in text)


class ReportFile:
    """``--report``: its place is taken at once, so that one that cannot be written is found before anything moves."""

    def __init__(self, path: str) -> None:
        """Raises ValueError and OSError."""
        suffix = Path(path).suffix.lower()
        if suffix not in SUFFIXES:
            raise ValueError(f"'{path}' ends neither in .json nor in .xml")
        if os.path.isdir(path):
            raise ValueError(f"'{path}' is a folder")
        self._xml = suffix == ".xml"
        self._path = Path(os.path.realpath(path))  # a link stays one
        handle, self._beside = tempfile.mkstemp(prefix=f".{self._path.name}-", dir=self._path.parent)
        os.close(handle)

    def write(self, report: dict[str, Any]) -> None:
        """Whole or not at all. Raises OSError."""
        raw = junit(report) if self._xml else (json.dumps(report, indent=2) + "\n").encode()
        Path(self._beside).write_bytes(raw)
        os.chmod(self._beside, 0o666 & ~_umask())
        os.replace(self._beside, self._path)

    def close(self) -> None:
        """Leave nothing beside it."""
        with contextlib.suppress(OSError):
            os.unlink(self._beside)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
