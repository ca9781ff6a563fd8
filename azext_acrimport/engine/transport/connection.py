# SPDX-License-Identifier: MIT
"""One connection: its host's name is looked up where that can be given up, and leads no further than it may."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NameResolutionError
from urllib3.util.connection import allowed_gai_family

from ..cancellation import Cancellation
from ..waiting import Ahead
from .addresses import Astray, Reach, check_address
from .head import MailHead
from .tls import greeting

__all__ = ["Connection", "LookUps", "PlainConnection", "TlsConnection"]

# Of a host that has more addresses the others are no better.
MAX_ADDRESSES = 8


class Connection(HTTPConnection):
    """What has no value here is set by the pool. ``met``: told of host and port whether their address is public.

    ``look_up``: begins to find out the addresses of a name, or has begun to.
    """

    response_class = MailHead
    cancellation: Cancellation
    reach: Reach
    met: Callable[[str, int, bool], None]
    look_up: Callable[[str], Ahead[list[Any]]]

    def _new_conn(self) -> socket.socket:
        """As urllib3 calls it: the first of the host's addresses that is within reach, and answers. Raises Astray."""
        name, timeout = self._dns_host, float(self.timeout or 0)
        found = self._within_reach(name, self._looked_up(name))[:MAX_ADDRESSES]
        try:
            for number, (self._dns_host, public) in enumerate(found):
                self.cancellation.check()
                self.timeout = min(timeout, self.cancellation.left or timeout)
                try:
                    sock = super()._new_conn()
                except (OSError, HTTPError):
                    if number == len(found) - 1:
                        raise
                else:
                    self.met(name, int(self.port or 0), public)
                    return sock
        finally:
            self._dns_host, self.timeout = name, timeout
        raise OSError("it has no address")

    def is_silent(self) -> bool:
        """Of one that is open and was asked nothing yet: whether the other side has neither closed it nor spoken.

        The tickets that TLS 1.3 sends after its greeting are nothing that was said; urllib3 takes them for the end.
        """
        sock: Any = self.sock
        if sock is None or not isinstance(sock, ssl.SSLSocket):
            return self.is_connected
        try:
            sock.settimeout(0)
            sock.recv(1)
        except ssl.SSLWantReadError:
            return True
        except OSError:
            pass
        return False

    def _within_reach(self, name: str, found: Iterable[str]) -> list[tuple[str, bool]]:
        """Those to which we may go, and whether they are public. Those of a proxy are for whoever has chosen it."""
        if self.proxy is not None:
            return [(address, True) for address in found]
        allowed: list[tuple[str, bool]] = []
        astray: Astray | None = None
        for address in found:
            try:
                allowed.append((address, check_address(name, address, self.reach)))
            except Astray as error:
                astray = error
        if astray and not allowed:
            raise astray
        return allowed

    def _looked_up(self, name: str) -> list[str]:
        try:
            found = self.look_up(name).result(self.cancellation.check)
            return list(dict.fromkeys(str(entry[4][0]) for entry in found))
        except (socket.gaierror, UnicodeError) as error:
            cause = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
            raise NameResolutionError(self.host, self, cause) from error


class LookUps:
    """Of a host: in a thread of its own, since nothing can interrupt the system's resolver.

    Sixty-four who connect at once ask for it once. What was found is not kept: the next may be sent elsewhere.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[str, Ahead[list[Any]]] = {}

    def __call__(self, name: str) -> Ahead[list[Any]]:
        with self._lock:
            work = self._under_way.get(name)
            if work is None or work.ended:
                work = Ahead(lambda: socket.getaddrinfo(name, None, allowed_gai_family(), socket.SOCK_STREAM))
                self._under_way[name] = work
            return work


class PlainConnection(Connection):
    """http, and to a proxy."""


class TlsConnection(Connection, HTTPSConnection):
    """https."""

    def connect(self) -> None:
        """As urllib3 calls it. Raises Cancelled, too."""
        with greeting(self):
            super().connect()
