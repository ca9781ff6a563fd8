# SPDX-License-Identifier: MIT
"""A long-running operation of Azure Resource Manager, asked until it has ended.

https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations, with what the import service does
beyond it: empty bodies, the body ``null``, one member a tag, and another Location in each answer.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin

from ..engine import TimedOut, foreign_text, network_error
from ..output.catalogue import THROTTLED, TIMED_OUT, UNKNOWN, UNREACHABLE
from ..output.service_error import ServiceError, understand
from ..registries.arm import Arm, Quiet, is_page, own_address
from ..registries.deadline import Deadline

# The service asks for this; an answer without Retry-After means the same. Seconds.
INTERVAL = 10.0
MAX_INTERVAL = 60.0
# Where it asks for none: Azure limits how often it may be asked.
MIN_INTERVAL = 1.0
# So many failures one after the other are no passing ones.
MAX_FAILURES = 8
TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})
# Nothing has begun when the request itself is answered so. After any other failure of the server it may have.
NOT_BEGUN = frozenset({429, 503})
# With 200: an operation that is asked for by Azure-AsyncOperation says in the body where it stands.
ENDED = frozenset({"", "succeeded", "failed", "canceled", "cancelled"})


def begin(ask: Callable[[], Any], arm: Arm, deadline: Deadline, quiet: Quiet, **names: str) -> Operation:
    """``ask``: request it, and give the answer. Raises HttpResponseError when it is refused, and ServiceError."""
    from azure.core.exceptions import AzureError, HttpResponseError

    failures = 0
    while True:
        while pause := quiet.left:  # another thread may have been told meanwhile to wait for longer
            if deadline.left is not None and pause > deadline.left:
                raise ServiceError(THROTTLED, "arm", f"Azure asks to wait for {pause:.0f} s.")
            time.sleep(pause)
        try:
            answer = deadline.wait_for(ask)
            headers = answer.headers
            if answer.status_code == 200 and is_page(answer):
                raise ServiceError(UNREACHABLE, "arm", "Something else answered in its place, with 200.")
            named = headers.get("Location") or headers.get("Azure-AsyncOperation") or ""
            return Operation(arm, _own(named, arm.endpoint) if named else "", **names)
        except HttpResponseError as error:
            if error.response is None or error.response.status_code not in NOT_BEGUN:
                raise
            failures += 1
            if failures == MAX_FAILURES:
                raise ServiceError(THROTTLED, "arm", f"Azure answered {error.response.status_code}.") from error
            quiet.ask_for(seconds_to_wait(error.response.headers))
        except AzureError as error:
            said = network_error(error, "", "local").detail
            raise ServiceError(UNREACHABLE, "arm", f"{said[0].upper()}{said[1:]}.") from error


def _own(location: str, endpoint: str) -> str:
    """The absolute address. Raises ServiceError where it is not Azure Resource Manager's."""
    try:
        return own_address(location, endpoint)
    except ValueError as error:
        place = foreign_text(str(error))
    message = f"Azure has begun the import, but names {place} to be asked for its end, which is not Azure's."
    raise ServiceError(UNKNOWN, "arm", message)


class Operation:
    """``arm``: signed in where it was begun; ``url``: the Location that the service gave, if any."""

    def __init__(self, arm: Arm, url: str, *, source: str = "", target: str = "") -> None:
        self._arm = arm
        self.url = url
        self._names = {"source": source, "target": target}

    def wait(self, deadline: Deadline, on_poll: Callable[[str], None]) -> dict[str, Any]:
        """The last answer. Tells ``on_poll`` what was said. Raises ServiceError."""
        failures, said = 0, "nothing"
        while self.url:
            try:
                status, headers, text = deadline.wait_for(self._asked)
            except TimedOut:
                raise ServiceError(TIMED_OUT, "arm", f"The last answer: {said}.", operation=self.url) from None
            body = _object(text)
            if status == 200 and _is_somebody_elses(body, text):
                status = 503
            failures = failures + 1 if status in TEMPORARY else 0
            if status in TEMPORARY and failures < MAX_FAILURES:
                said = f"it answered {status}"
            elif status == 202 or (status == 200 and _state(body) not in ENDED):
                self._follow(headers.get("Azure-AsyncOperation") or headers.get("Location") or "")
                said = _said(body)
            else:
                return self._ended(status, headers, body, text)
            on_poll(said)
            pause = seconds_to_wait(headers)
            time.sleep(pause if deadline.left is None else min(pause, deadline.left))
        return {}  # it had ended when it was asked for

    def _asked(self) -> tuple[int, Any, str]:
        """Status, headers and body; a connection that fails counts as 503."""
        from azure.core.exceptions import DecodeError, HttpResponseError, ServiceRequestError, ServiceResponseError

        try:
            return self._arm.get(self.url)
        except DecodeError as error:  # it says that it is JSON, and is not; or it was cut off, and is not there at all
            response = error.response
            if response and response.status_code != 200:  # of which it would be the end
                return response.status_code, response.headers, ""
            return 503, {}, ""
        except (ServiceRequestError, ServiceResponseError, HttpResponseError):
            return 503, {}, ""

    def _follow(self, location: str) -> None:
        """The newest address counts, as long as it is the service's."""
        with contextlib.suppress(ValueError):  # what is no address is not newer than the one that is known
            self.url = own_address(urljoin(self.url, location), self._arm.endpoint)

    def _ended(self, status: int, headers: Any, body: dict[str, Any], text: str) -> dict[str, Any]:
        error = body.get("error") if isinstance(body.get("error"), dict) else {}
        if status in TEMPORARY and not error:
            known = THROTTLED if status == 429 else UNREACHABLE
            raise ServiceError(known, "arm", f"Azure answered {status}.", operation=self.url)
        failed = _state(body) in ("failed", "canceled", "cancelled")
        if status < 300 and not failed and not error:
            return body
        said = error.get("message") or text or f"it answered {status}"
        failure = understand(
            str(said),
            arm_code=str(error.get("code") or body.get("status") or status),
            request_id=headers.get("x-ms-correlation-request-id", ""),
            **self._names,
        )
        if status == 401 or not (failed or error):  # our question was refused: of the import that tells nothing
            failure.operation = self.url
        raise failure


def _object(text: str) -> dict[str, Any]:
    """Empty for nothing, for ``null``, and for what is no JSON."""
    try:
        body = json.loads(text or "null")
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _is_somebody_elses(body: dict[str, Any], text: str) -> bool:
    """Whether an answer is none of the service's: a page for people, or JSON of another form."""
    if not body:
        return text.strip() not in ("", "null", "{}")
    return bool(body.get("error")) and not isinstance(body["error"], dict)


def _said(body: dict[str, Any]) -> str:
    """The state, and that of each tag where the service tells it."""
    tags = [f"{name} {state}" for name, state in body.items() if name != "status" and isinstance(state, str)]
    return foreign_text(", ".join([str(body.get("status") or "Accepted"), *tags]))


def _state(body: dict[str, Any]) -> str:
    return str(body.get("status") or "").lower()


def seconds_to_wait(headers: Any) -> float:
    """By Retry-After, a number or a date, within reason. A date that is over is one by another clock than ours."""
    value = headers.get("Retry-After") or ""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError):
            return INTERVAL
        if seconds <= 0:
            return INTERVAL
    if seconds != seconds:
        return INTERVAL
    return min(seconds, MAX_INTERVAL) if seconds > 0 else MIN_INTERVAL
