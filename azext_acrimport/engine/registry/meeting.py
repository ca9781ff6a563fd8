# SPDX-License-Identifier: MIT
"""The first words with a host: whether it speaks https, and one request that finds out for all how we are let in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..errors import EngineError, NetworkError, TlsError
from ..transport import addresses
from ..transport.transport import Transport
from ..waiting import SingleFlight

__all__ = ["Meeting"]

EVERY_STATUS = range(200, 600)

T = TypeVar("T")


class Meeting:
    """With one host, of all threads. ``is_over``: whether a request has come to its end, whichever.

    ``known_base``: ``base``, empty while nobody has asked.
    """

    def __init__(self, host: str, transport: Transport) -> None:
        self._host = host
        self._transport = transport
        self._flights = SingleFlight(transport.cancellation)
        # how many were to be the first
        self._waiting = 0
        self.is_over = False
        self.known_base = ""

    @property
    def base(self) -> str:
        """``https://host``; ``http://host`` only where plain http is allowed and https is not spoken."""
        if not self.known_base:
            self._flights.do("base", lambda: self.known_base or None, self._found_base)
        return self.known_base

    def _found_base(self) -> str:
        self.known_base = self._probed()  # before the others are told: else one that comes now would ask again
        return self.known_base

    def _probed(self) -> str:
        secure = f"https://{self._host}"
        plain_allowed = addresses.is_loopback(self._host) or self._host in self._transport.options.plain_http_hosts
        if not plain_allowed:
            return secure
        try:
            self._transport.open("GET", f"{secure}/v2/", accept=EVERY_STATUS, retry=False).close()
        except TlsError as error:
            if error.spoken:
                raise
            return f"http://{self._host}"
        except NetworkError as error:
            if error.reason != "reset":
                raise
            return f"http://{self._host}"
        return secure

    def first(self, ask: Callable[[], T], expect: Callable[[int], None]) -> T | None:
        """The first request goes alone, and what it learns is for all: else each of sixty-four would be refused once.

        None for those that waited for its end, whichever that was; ``expect`` is told meanwhile how many there are.
        """
        if self.is_over:
            return None
        found: list[T] = []
        failed: list[EngineError] = []

        def alone() -> bool:
            try:
                found.append(ask())
            except EngineError as error:
                failed.append(error)
            finally:
                self.is_over = True
            return True

        self._waiting += 1
        if self._waiting > 1:
            expect(self._waiting)
        self._flights.do("met", lambda: self.is_over or None, alone)
        if failed:
            raise failed[0]
        return found[0] if found else None
