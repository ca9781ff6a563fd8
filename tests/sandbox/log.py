# SPDX-License-Identifier: MIT
"""Every request as one JSON line, in a file and in memory. Values that could be secrets are never in it."""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path
from typing import Any

from .server import Handler, Request, Response

# Queries that identify what is asked for; all others (sig, _state) are shown by name only.
SHOWN = {"digest", "from", "last", "mount", "n", "scope", "service", "api-version", "orderby"}


class RequestLog:
    """Tests ask it what was sent, to whom, and as whom."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._entries: list[dict[str, Any]] = []

    def watch(self, handler: Handler) -> Handler:
        """The same handler, with everything that passes written down."""

        def watched(request: Request) -> Response:
            started = time.monotonic()
            status, size = 0, 0
            try:
                response = handler(request)
                status, size = response.status, response.size
                return response
            finally:
                self._write(request, status, size, time.monotonic() - started)

        return watched

    def mark(self) -> int:
        """A place in the log, for ``since``."""
        with self._lock:
            return len(self._entries)

    def find(self, *, since: int = 0, host: str = "", method: str = "", path: str = "", **equal: Any) -> list[dict]:
        """Entries after the mark; ``path`` is a regular expression that must match from the start."""
        with self._lock:
            entries = self._entries[since:]
        return [
            entry
            for entry in entries
            if (not host or entry["host"] == host)
            and (not method or entry["method"] == method)
            and (not path or re.match(path, entry["path"]))
            and all(entry[name] == value for name, value in equal.items())
        ]

    def _write(self, request: Request, status: int, size: int, seconds: float) -> None:
        entry = {
            "time": time.time(),
            "scheme": request.scheme,
            "host": request.host,
            "method": request.method,
            "path": request.path,
            "query": {name: value if name in SHOWN else "..." for name, value in request.query},
            "status": status,
            "authorization": _kind(request.headers.get("Authorization", "")),
            "subject": request.subject,
            "requestBytes": request.body.count,
            "responseBytes": size if request.method != "HEAD" else 0,
            "seconds": round(seconds, 6),
        }
        with self._lock:
            self._entries.append(entry)
            with self.path.open("a") as stream:
                stream.write(json.dumps(entry) + "\n")


def _kind(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return scheme.lower() or "none"
    from .tokens import claims_of

    return f"bearer:{claims_of(value).get('kind', 'unknown')}"
