# SPDX-License-Identifier: MIT
"""One request and its answer over a connection of urllib3's, in as few steps as there are.

What urllib3 and ``requests`` do for each request beyond that is three fifths of what a small one costs, and among many
threads each step is one more after which a thread waits for its turn (benchmarks/README.md). A connection is opened,
kept and closed as urllib3 does it. Only what goes through a proxy is sent their way, too.
"""

from __future__ import annotations

import contextlib
import errno
import io
import socket
import time
from collections.abc import Mapping
from http.client import HTTPException, IncompleteRead
from typing import Any

from urllib3.exceptions import ProtocolError

from ..content.stream import BLOCK_BYTES
from .head import AnswerHead, request_head

__all__ = ["SLICE_SECONDS", "Received", "exchange", "wake"]

# Such a body goes with the head, in one packet.
TOGETHER_BYTES = 64 * 1024
# What comes so slowly that no block is full after so many seconds is handed on as it is.
SLICE_SECONDS = 5.0
# The other side has closed before all was sent, and may have said why.
CLOSED = frozenset({errno.EPIPE, errno.ECONNRESET, errno.EPROTOTYPE})


def wake(conn: Any) -> None:
    """End what another thread is doing with this connection."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        # not the method of a TLS socket, which takes away what another thread is just using
        socket.socket.shutdown(conn.sock, socket.SHUT_RDWR)


def _within(sock: Any, seconds: float) -> None:
    """Set its timeout where it has another one: each time is a call into the system, and then a wait for one's turn."""
    if sock.gettimeout() != seconds:
        sock.settimeout(seconds)


def exchange(
    pool: Any, request: Any, target: str, headers: Mapping[str, str], connect: float, silence: float
) -> Received:
    """Send a ``requests.PreparedRequest``, read the head of its answer. ``target``: path and query.

    ``connect``: seconds that a new connection may take, ``silence``: those that the other side may take for a part of
    what is sent, and for one of its answer. Raises what ``urllib3`` raises, and what the body does where it is read.
    """
    conn = pool._get_conn()
    try:
        with pool.cancellation.waking(lambda: wake(conn)):
            conn.timeout = connect
            pool._validate_conn(conn)
            sock = conn.sock
            _within(sock, silence)
            _send(sock, request_head(request.method, target, _host(conn), headers), request.body)
            head = _head_of(sock, request.method)
    except BaseException as error:
        conn.close()
        pool._put_conn(None)
        if isinstance(error, (OSError, HTTPException)):
            raise ProtocolError("Connection aborted.", error) from error
        raise
    return Received(pool, conn, head, request)


def _host(conn: Any) -> str:
    name = f"[{conn.host}]" if ":" in conn.host else conn.host
    return name if conn.port == conn.default_port else f"{name}:{conn.port}"


def _send(sock: Any, head: bytes, body: Any) -> None:
    """All of it, or as much as the other side takes: why it has closed may stand in its answer."""
    try:
        if not body:
            sock.sendall(head)
        elif not isinstance(body, (bytes, bytearray)):
            sock.sendall(head)
            while block := body.read(BLOCK_BYTES):
                sock.sendall(block)
        elif len(body) <= TOGETHER_BYTES:
            sock.sendall(head + body)
        else:
            sock.sendall(head)
            sock.sendall(body)
    except OSError as error:
        if error.errno not in CLOSED:
            raise


def _head_of(sock: Any, method: str) -> AnswerHead:
    head = AnswerHead(sock, method=method)
    try:
        head.begin()
    except BaseException:
        head.close()  # or the socket stays open, for whoever might still read of it
        raise
    return head


class Received:
    """An answer whose body is on the wire; what ``Response`` asks of one of ``requests``, and of the ``raw`` below it.

    Its connection is given back with the last byte, ``is_over`` from then on; closed before that, it is ended.
    """

    def __init__(self, pool: Any, conn: Any, head: AnswerHead, request: Any) -> None:
        self.status_code = head.status
        self.headers: Any = head.headers
        self.request, self.raw, self.connection = request, self, conn
        self._pool, self._head, self._left = pool, head, head.length
        self._is_fresh = True
        self._error: OSError | None = None
        self.is_over = False
        if self._left == 0:
            self._end(head.will_close)

    def read1(self, size: int, decode_content: bool = False) -> bytes | bytearray:
        """What is there, at most so many bytes; waits for the first. Empty at the end. Raises IncompleteRead."""
        if self.is_over:
            return b""
        if self._head.chunked:
            block: bytes | bytearray = self._head.read1(size)
        else:
            wanted = size if self._left is None else min(size, self._left)
            block = self._head.fp.read1(wanted) if self._is_fresh else self._filled(wanted)
            # all that came with the head is then read
            self._is_fresh = self._is_fresh and wanted < io.DEFAULT_BUFFER_SIZE
            if self._left is not None:
                if not block:
                    raise IncompleteRead(b"", self._left)
                self._left -= len(block)
        if not block or self._left == 0:
            self._end(self._head.will_close)
        return block

    def _filled(self, size: int) -> bytearray:
        """So many bytes, fewer at the end or where they come slowly; a record of TLS has no more than 16 KiB.

        What has come before something goes wrong is handed out, and the next call hears of it.
        """
        if self._error:
            raise self._error
        sock, block, done, until = self.connection.sock, bytearray(size), 0, time.monotonic() + SLICE_SECONDS
        with memoryview(block) as view:
            while done < size and time.monotonic() < until:
                try:
                    count = sock.recv_into(view[done:])
                except OSError as error:
                    if not done:
                        raise
                    self._error = error
                    break
                if not count:
                    break
                done += count
        del block[done:]
        return block

    def shutdown(self) -> None:
        """Wake a thread that waits for the body."""
        if not self.is_over:
            wake(self.connection)

    def close(self) -> None:
        """Nobody wants the rest."""
        self._end(True)

    def _end(self, and_connection: bool) -> None:
        if self.is_over:
            return
        self.is_over = True
        self._head.close()
        if and_connection:
            self.connection.close()
        self._pool._put_conn(None if and_connection else self.connection)
