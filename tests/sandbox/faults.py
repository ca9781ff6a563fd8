# SPDX-License-Identifier: MIT
"""Things that go wrong, on schedule: on this request do that."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .server import Handler, Request, Response


@dataclass
class Fault:
    """The requests that match, but for the first ``skip``, and at most ``times`` of them, go wrong.

    ``answer`` takes the place of the real one; ``cut_after`` ends the connection in its ``cut`` after so many bytes of
    the body, or in that ``share`` of it; ``damage`` changes the body; ``pause``: seconds before each byte of it;
    ``before`` is called first, and may take its time; ``lost``: the request is served, and its answer is not sent.
    """

    method: str = ".*"
    host: str = ".*"
    path: str = ".*"
    skip: int = 0
    times: int = 1
    answer: Response | None = None
    cut_after: int | None = None
    share: float | None = None
    cut: str = "reset"
    pause: float = 0.0
    lost: bool = False
    damage: Callable[[bytes], bytes] | None = None
    before: Callable[[Request], None] | None = None
    seen: int = field(default=0, init=False)

    def concerns(self, request: Request) -> bool:
        """Counts the request when it matches."""
        parts = ((self.method, request.method), (self.host, request.host), (self.path, request.path))
        if not all(re.fullmatch(pattern, text) for pattern, text in parts):
            return False
        self.seen += 1
        return self.skip < self.seen <= self.skip + self.times


class Faults:
    """The schedule. Empty, it does nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, **members: object) -> Fault:
        """Plan one."""
        fault = Fault(**members)  # type: ignore[arg-type]
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Back to fair weather."""
        with self._lock:
            self._faults.clear()

    def around(self, handler: Handler) -> Handler:
        """The handler in this weather."""

        def exposed(request: Request) -> Response:
            with self._lock:
                hits = [fault for fault in self._faults if fault.concerns(request)]
            for fault in hits:
                if fault.before:
                    fault.before(request)
            answer = next((fault.answer for fault in hits if fault.answer), None)
            response = answer or handler(request)
            for fault in hits:
                _spoil(response, fault)
            return response

        return exposed


def _spoil(response: Response, fault: Fault) -> None:
    if fault.lost:
        raise ConnectionResetError("the answer is lost by a fault")
    if fault.damage:
        response.body = fault.damage(b"".join(response.blocks()))
    if fault.share is not None or fault.pause:
        response.body = body = b"".join(response.blocks())
        fault_at = None if fault.share is None else int(fault.share * max(0, len(body) - 1))
        response.cut_after, response.cut = fault_at, fault.cut  # type: ignore[assignment]
        if fault.pause:
            response.body, response.length = _drops(body, fault.pause), len(body)
    if fault.cut_after is not None:
        response.cut_after, response.cut = fault.cut_after, fault.cut  # type: ignore[assignment]


def _drops(body: bytes, pause: float) -> Iterator[bytes]:
    for number in range(len(body)):
        time.sleep(pause)
        yield body[number : number + 1]
