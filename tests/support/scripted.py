# SPDX-License-Identifier: MIT
"""A registry that is a list of answers: what stands below ``Transport`` in tests that need no socket."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from azext_acrimport.engine.cancellation import Cancellation, Wait
from azext_acrimport.engine.transport.options import TransportOptions
from azext_acrimport.engine.transport.retry import RetryPolicy
from azext_acrimport.engine.transport.transport import Transport


def answer(status: int = 200, headers: dict[str, str] | None = None, body: bytes | io.BytesIO = b"") -> HTTPResponse:
    """One answer; Content-Length is added."""
    stream = io.BytesIO(body) if isinstance(body, bytes) else body
    named = {"Content-Length": str(len(stream.getbuffer())), **(headers or {})}
    return HTTPResponse(stream, named, status, preload_content=False, enforce_content_length=False)


@dataclass
class Sent:
    """One request as it left us."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    options: dict[str, Any]


@dataclass
class Script:
    """Gives its answers one after the other, or asks a function for each. An exception is raised."""

    answers: list[Any] | Callable[[Sent], Any]
    sent: list[Sent] = field(default_factory=list)

    def __call__(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        body = request.body.read(1 << 30) if hasattr(request.body, "read") else request.body or b""
        if hasattr(request.body, "read"):
            while more := request.body.read(1 << 30):
                body += more
        sent = Sent(request.method or "", request.url or "", dict(request.headers), body, options)
        self.sent.append(sent)
        found = self.answers(sent) if callable(self.answers) else self.answers.pop(0)
        if isinstance(found, BaseException):
            raise found
        return HTTPAdapter().build_response(request, found)

    @property
    def asked(self) -> list[str]:
        """Method and URL of each request."""
        return [f"{sent.method} {sent.url}" for sent in self.sent]


class Patience(Cancellation):
    """Time passes only by waiting, and then at once; ``waits``: the seconds of each, ``told``: what was said of it."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.told: list[Wait] = []
        super().__init__(self.told.append)

    def now(self) -> float:
        """What has been waited."""
        return sum(self.waits)

    def wait(self, seconds: float) -> None:
        """It is later now."""
        self.check()
        self.waits.append(seconds)


def transport(script: Script, *, origin: Any = "source", attempts: int = 4) -> Transport:
    """A transport over the script; chance is always 1, so waits are the longest that the policy allows."""
    options = TransportOptions(retry=RetryPolicy(attempts=attempts, base=1.0, cap=8.0, chance=lambda: 1.0))
    return Transport(origin, options, Patience(), exchange=script)
