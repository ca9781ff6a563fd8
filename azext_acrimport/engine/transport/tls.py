# SPDX-License-Identifier: MIT
"""One TLS context for all connections that trust the same: the file of trusted authorities is read once.

urllib3 makes a context for each connection, and loads the authorities into it: 15 ms of CPU with the usual file, as
much as moving 12 MB. A context may be shared as long as nobody changes it: both sides of an import share theirs.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from weakref import WeakValueDictionary

from ..waiting import Ahead

__all__ = ["SharedContext", "greeting", "shared_context"]

# of the connection that this thread is opening
_here = threading.local()


@contextlib.contextmanager
def greeting(connection: Any) -> Iterator[None]:
    """Meanwhile this thread opens that connection, and whoever cancels finds its socket there to wake."""
    _here.connection = connection
    try:
        yield
    finally:
        _here.connection = None


class _Socket(ssl.SSLSocket):
    """It takes the place of the plain one before it greets; urllib3 hands it to its connection only after that."""

    def do_handshake(self, block: bool = False) -> None:
        if connection := getattr(_here, "connection", None):
            connection.sock = self
            try:
                connection.cancellation.check()  # whoever has cancelled before that has found nothing to wake
            except BaseException:
                self.close()  # ssl closes it after failures of its own only
                raise
        super().do_handshake(block)


class SharedContext(ssl.SSLContext):
    """A client's context that nobody changes: urllib3 names the protocol for each connection anew.

    Its authorities are loaded while the first connection is being opened; who greets a server waits for them, and
    raises what comes of that.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> SharedContext:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, verified: bool, authorities: str | None, folder: str | None) -> None:
        self.sslsocket_class = _Socket
        self.minimum_version = ssl.TLSVersion.TLSv1_2
        super().set_alpn_protocols(["http/1.1"])
        self._loading: Ahead[None] | None = None
        if verified:
            self._loading = Ahead(lambda: self.load_verify_locations(authorities, folder))
        else:
            self.check_hostname = False
            self.verify_mode = ssl.CERT_NONE

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """They are set; to set them while another thread greets a server is not safe."""

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """As ``urllib3`` calls it."""
        self._loaded()
        return super().wrap_socket(*args, **kwargs)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """As ``urllib3`` calls it for TLS within that of a proxy."""
        self._loaded()
        return super().wrap_bio(*args, **kwargs)

    def _loaded(self) -> None:
        if loading := self._loading:
            loading.result()
            self._loading = None  # or the two would hold each other until the collector comes by


# by what they trust, for as long as somebody has connections with them: after that the file is read anew
_contexts: WeakValueDictionary[tuple[bool, str | None, str | None], SharedContext] = WeakValueDictionary()
_lock = threading.Lock()


def shared_context(verified: bool, authorities: str | None, folder: str | None) -> SharedContext:
    """That of all who trust the same: the authorities of a file and a folder; any server where not ``verified``."""
    key = verified, authorities, folder
    with _lock:
        context = _contexts.get(key) or SharedContext(*key)
        _contexts[key] = context
    return context
