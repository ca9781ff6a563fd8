# SPDX-License-Identifier: MIT
"""A long-running operation of Azure Resource Manager, asked until it has ended.

https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations, with what the import service does
beyond it: empty bodies, the body ``null``, one member a tag, and another Location in each answer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from ._arm_errors import TIMED_OUT, ServiceError, understand

# The service asks for this; an answer without Retry-After means the same. Seconds.
INTERVAL = 10.0
MAX_INTERVAL = 60.0
# So many failures one after the other are no passing ones.
MAX_FAILURES = 8
TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})


class Operation:
    """``client``: the management client, whose sign-in is used; ``url``: the Location that the service gave."""

    def __init__(self, client: Any, url: str, *, source: str = "", target: str = "") -> None:
        self._client = client
        self.url = url
        self._names = {"source": source, "target": target}

    def wait(self, timeout: float | None, on_poll: Callable[[float, str], None]) -> dict[str, Any]:
        """The last answer. Tells ``on_poll`` the seconds so far and what was said. Raises ServiceError."""
        started, failures = time.monotonic(), 0
        while True:
            status, headers, text = self._asked()
            body = _object(text)
            failures = failures + 1 if status in TEMPORARY else 0
            if status in TEMPORARY and failures < MAX_FAILURES:
                said = f"it answered {status}"
            elif status == 202:
                self._follow(headers.get("Location", ""))
                said = _said(body)
            else:
                return self._ended(status, headers, body, text)
            elapsed = time.monotonic() - started
            on_poll(elapsed, said)
            if timeout is not None and elapsed >= timeout:
                raise ServiceError(TIMED_OUT, "arm", f"It last said: {said}.", operation=self.url)
            pause = min(_seconds(headers.get("Retry-After", "")), MAX_INTERVAL)
            time.sleep(pause if timeout is None else max(0.0, min(pause, timeout - elapsed)))

    def _asked(self) -> tuple[int, Any, str]:
        """Status, headers and body; a connection that fails counts as 503."""
        from azure.core.exceptions import DecodeError, ServiceRequestError, ServiceResponseError
        from azure.core.rest import HttpRequest

        try:
            answer = self._client.send_request(HttpRequest("GET", self.url), retry_total=0)
            return answer.status_code, answer.headers, answer.text()
        except DecodeError as error:  # it says that it is JSON, and is not
            assert error.response is not None
            return error.response.status_code, error.response.headers, ""
        except (ServiceRequestError, ServiceResponseError):
            return 503, {}, ""

    def _follow(self, location: str) -> None:
        """The newest address counts, as long as it is the service's: our token goes there."""
        if location and urlsplit(location)[:2] == urlsplit(self.url)[:2]:
            self.url = location

    def _ended(self, status: int, headers: Any, body: dict[str, Any], text: str) -> dict[str, Any]:
        error = body.get("error") if isinstance(body.get("error"), dict) else {}
        failed = str(body.get("status", "")).lower() in ("failed", "canceled", "cancelled")
        if status < 300 and not failed and not error:
            return body
        said = error.get("message") or text or f"it answered {status}"
        raise understand(
            str(said),
            arm_code=str(error.get("code") or body.get("status") or status),
            request_id=headers.get("x-ms-correlation-request-id", ""),
            **self._names,
        )


def _object(text: str) -> dict[str, Any]:
    """Empty for nothing, for ``null``, and for what is no JSON."""
    try:
        body = json.loads(text or "null")
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _said(body: dict[str, Any]) -> str:
    """The state, and that of each tag where the service tells it."""
    tags = [f"{name} {state}" for name, state in body.items() if name != "status" and isinstance(state, str)]
    return ", ".join([str(body.get("status") or "Accepted"), *tags])


def _seconds(value: str) -> float:
    try:
        return max(float(value), 0.0)
    except ValueError:
        return INTERVAL
