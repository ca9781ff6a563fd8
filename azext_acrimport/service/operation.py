# SPDX-License-Identifier: MIT
"""A long-running operation of Azure Resource Manager, asked until it has ended.

https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations, with what the import service does
beyond it: empty bodies, the body ``null``, one member a tag, and another Location in each answer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from ..output.catalogue import THROTTLED, TIMED_OUT, UNREACHABLE, ServiceError, understand

# The service asks for this; an answer without Retry-After means the same. Seconds.
INTERVAL = 10.0
MAX_INTERVAL = 60.0
# So many failures one after the other are no passing ones.
MAX_FAILURES = 8
TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})
# Nothing has begun when the request itself is answered so. After any other failure of the server it may have.
NOT_BEGUN = frozenset({429, 503})
# With 200: an operation that is asked for by Azure-AsyncOperation says in the body where it stands.
ENDED = frozenset({"", "succeeded", "failed", "canceled", "cancelled"})


def begin(client: Any, resource_id: str, parameters: Any, timeout: float | None, **names: str) -> Operation:
    """Ask the registry of this resource ID to import. Raises HttpResponseError when it refuses, and ServiceError."""
    from azure.core.exceptions import AzureError, HttpResponseError

    _, _, _, _, group, *_, name = resource_id.split("/")
    started, failures = time.monotonic(), 0
    while True:
        try:
            # the SDK would wait by itself as long as it is asked to, whatever our caller's patience
            answer = client.registries.begin_import_image(
                group.lower(),
                name,
                parameters,
                polling=False,
                cls=lambda response, *_: response.http_response,
                retry_total=0,
            ).result()
            return Operation(client, answer.headers.get("Location") or "", **names)
        except HttpResponseError as error:
            if error.response is None or error.response.status_code not in NOT_BEGUN:
                raise
            failures, pause = failures + 1, seconds_to_wait(error.response.headers)
            late = timeout is not None and time.monotonic() - started + pause > timeout
            if failures == MAX_FAILURES or late:
                raise ServiceError(THROTTLED, "arm", f"It answered {error.response.status_code}.") from error
            time.sleep(pause)
        except AzureError as error:
            raise ServiceError(UNREACHABLE, "arm", f"{type(error).__name__}.") from error


class Operation:
    """``client``: the management client, whose sign-in is used; ``url``: the Location that the service gave, if any."""

    def __init__(self, client: Any, url: str, *, source: str = "", target: str = "") -> None:
        self._client = client
        self.url = url
        self._names = {"source": source, "target": target}

    def wait(self, timeout: float | None, on_poll: Callable[[float, str], None]) -> dict[str, Any]:
        """The last answer. Tells ``on_poll`` the seconds so far and what was said. Raises ServiceError."""
        started, failures = time.monotonic(), 0
        while self.url:
            status, headers, text = self._asked()
            body = _object(text)
            failures = failures + 1 if status in TEMPORARY else 0
            if status in TEMPORARY and failures < MAX_FAILURES:
                said = f"it answered {status}"
            elif status == 202 or (status == 200 and _state(body) not in ENDED):
                self._follow(headers.get("Azure-AsyncOperation") or headers.get("Location") or "")
                said = _said(body)
            else:
                return self._ended(status, headers, body, text)
            elapsed = time.monotonic() - started
            on_poll(elapsed, said)
            if timeout is not None and elapsed >= timeout:
                raise ServiceError(TIMED_OUT, "arm", f"It last said: {said}.", operation=self.url)
            pause = seconds_to_wait(headers)
            time.sleep(pause if timeout is None else max(0.0, min(pause, timeout - elapsed)))
        return {}  # it had ended when it was asked for

    def _asked(self) -> tuple[int, Any, str]:
        """Status, headers and body; a connection that fails counts as 503."""
        from azure.core.exceptions import DecodeError, HttpResponseError, ServiceRequestError, ServiceResponseError
        from azure.core.rest import HttpRequest

        try:
            answer = self._client.send_request(HttpRequest("GET", self.url), retry_total=0)
            return answer.status_code, answer.headers, answer.text()
        except DecodeError as error:  # it says that it is JSON, and is not; or it was cut off, and is not there at all
            response = error.response
            return (response.status_code, response.headers, "") if response else (503, {}, "")
        except (ServiceRequestError, ServiceResponseError, HttpResponseError):
            return 503, {}, ""

    def _follow(self, location: str) -> None:
        """The newest address counts, as long as it is the service's: our token goes there."""
        newest = urljoin(self.url, location)
        if urlsplit(newest)[:2] == urlsplit(self.url)[:2]:
            self.url = newest

    def _ended(self, status: int, headers: Any, body: dict[str, Any], text: str) -> dict[str, Any]:
        error = body.get("error") if isinstance(body.get("error"), dict) else {}
        if status in TEMPORARY and not error:
            known = THROTTLED if status == 429 else UNREACHABLE
            raise ServiceError(known, "arm", f"It answered {status}.", operation=self.url)
        failed = _state(body) in ("failed", "canceled", "cancelled")
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


def _state(body: dict[str, Any]) -> str:
    return str(body.get("status") or "").lower()


def seconds_to_wait(headers: Any) -> float:
    """By Retry-After, a number or a date, within reason."""
    value = headers.get("Retry-After") or ""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError):
            return INTERVAL
    return min(max(seconds, 0.0), MAX_INTERVAL) if seconds == seconds else INTERVAL
