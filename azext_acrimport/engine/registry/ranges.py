# SPDX-License-Identifier: MIT
"""One huge blob over several connections: parts of it are read at once, and handed on in their order.

It begins as an ordinary download. Only where that turns out to wait for the source, and where connections are to spare,
threads read what is ahead, a part each. Whatever is wrong with a part ends this, and the ordinary download goes on:
it knows how to retry, and which error to raise. https://www.rfc-editor.org/rfc/rfc9110#section-14
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Iterable

from ..auth.scope import Scope
from ..cancellation import Cancellation
from ..content.descriptor import Descriptor
from ..content.stream import BLOCK_BYTES, Spare
from ..errors import Cancelled, EngineError, ServerError
from ..transport.response import Response
from .client import RegistryClient
from .download import BlobDownload

__all__ = ["HUGE_BYTES", "RangedDownload"]

logger = logging.getLogger(__name__)

# With less there is little to win: at 60 MB/s it is a second, and some of that is over before we know the rate.
HUGE_BYTES = 64 * 1024 * 1024
# Each part costs a round trip, so not too small; each is held in memory until its turn, so not large.
PART_BYTES = 4 * 1024 * 1024
# A connection that brings less is worth help. Loopback and a good line bring more, and one process has no more to give.
SLOW_BYTES_A_SECOND = 100e6
HELPERS = 4
# How long, in seconds, ``close`` waits for each helper: only one that is just connecting needs any time to hear of it.
FAREWELL = 0.2

Whole = tuple[RegistryClient, str, Descriptor, tuple[Scope, ...]]

CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")


class RangedDownload(BlobDownload):
    """A ByteStream. The own connection is kept until the first part is there, so trying costs nothing."""

    def __init__(
        self,
        client: RegistryClient,
        repository: str,
        descriptor: Descriptor,
        scopes: Iterable[Scope],
        spare: Spare,
    ) -> None:
        super().__init__(client, repository, descriptor, scopes)
        self._spare = spare
        self._whole: Whole = client, repository, descriptor, self._scopes
        self._helped: _Parts | None = None
        self._refused = False
        self._looked = 0
        self._since = time.monotonic()
        self._waited = 0.0

    def read(self, size: int = BLOCK_BYTES, /) -> bytes:
        """As ``BlobDownload.read``."""
        helped = self._helped
        if helped and self._done >= helped.start:
            block = helped.read(size)
            if block or self._done == self._size:
                super().close()
                self._done += len(block)
                return block
            self._refused = True
            self._end_help()
        elif helped:
            size = min(size, helped.start - self._done)
        began = time.monotonic()
        block = super().read(size)
        if not (helped or self._refused):
            self._waited += time.monotonic() - began
            if self._done - self._looked >= PART_BYTES:
                self._look()
        return block

    def close(self) -> None:
        """End the own connection and all helpers."""
        self._end_help()
        super().close()

    def _look(self) -> None:
        """After each part's worth of bytes: is it the source that we wait for, and is there help?"""
        count, self._looked = self._done - self._looked, self._done
        waited, self._waited = self._waited, 0.0
        elapsed, self._since = time.monotonic() - self._since, time.monotonic()
        start = self._done + PART_BYTES
        if start + PART_BYTES >= self._size or not self._pays(count, waited, elapsed):
            return
        if self._response is None or self._response.headers.get("Accept-Ranges", "").lower() == "none":
            return
        helpers = self._spare.take(HELPERS)
        if helpers < 2:  # one alone would only take our place
            self._spare.give(helpers)
            return
        logger.debug("a blob comes with %.0f MB/s; %d more connections", count / waited / 1e6, helpers)
        self._helped = _Parts(self._whole, start, helpers)

    def _pays(self, count: int, waited: float, elapsed: float) -> bool:
        """So many bytes came, in seconds of waiting for the source out of seconds in all."""
        return waited * SLOW_BYTES_A_SECOND > count and waited * 2 > elapsed

    def _end_help(self) -> None:
        if self._helped is not None:
            self._helped.close()
            self._spare.give(self._helped.helpers)
            self._helped = None


class _Parts:
    """The blob from ``start`` on, by so many threads; no more parts than threads are begun and not yet handed on."""

    def __init__(self, whole: Whole, start: int, helpers: int) -> None:
        client, _, descriptor, _ = self._whole = whole
        self.start = self._next = start
        self._size = descriptor.size
        self.helpers = helpers
        self._begun: deque[_Part] = deque()
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        # our own, since the helpers must also end when nothing but this one upload has failed
        self._stop = Cancellation()
        self._link = contextlib.ExitStack()
        self._link.enter_context(client.transport.cancellation.waking(self._cancel))
        self._outer = client.transport.cancellation
        self._threads: list[threading.Thread] = []
        with contextlib.suppress(RuntimeError):  # no more threads are allowed
            for number in range(helpers):
                thread = threading.Thread(target=self._help, name=f"acrimport-part-{number}", daemon=True)
                thread.start()
                self._threads.append(thread)
        if not self._threads:
            self._next = self._size  # so there are no parts, and the ordinary download goes on

    def read(self, size: int) -> bytes:
        """The next bytes in order; empty at the end, and when a part could not be had. Raises Cancelled."""
        with self._changed:
            while True:
                self._outer.check()
                part = self._begun[0] if self._begun else None
                if part and part.blocks:
                    block = part.blocks.popleft()
                    if len(block) > size:
                        part.blocks.appendleft(block[size:])
                        block = block[:size]
                    part.left -= len(block)
                    if not part.left:
                        self._begun.popleft()
                        self._changed.notify_all()
                    return block
                if self._error and not isinstance(self._error, EngineError):
                    raise self._error
                if self._error or (part is None and self._next >= self._size):
                    return b""
                self._changed.wait()

    def close(self) -> None:
        """Tell the helpers, and wait for them."""
        self._link.close()
        self._cancel()
        for thread in self._threads:
            thread.join(FAREWELL)

    def _cancel(self) -> None:
        self._stop.cancel()
        with self._changed:
            self._changed.notify_all()

    def _help(self) -> None:
        """In a helper."""
        try:
            while part := self._claim():
                try:
                    while block := part.read(BLOCK_BYTES):
                        with self._changed:
                            part.blocks.append(block)
                            self._changed.notify_all()
                finally:
                    part.close()
        except Cancelled:
            pass
        except BaseException as error:  # told to the reader, who goes on alone, or raises it if it is a bug
            logger.debug("a part could not be had: %s", error)
            with self._changed:
                self._error = self._error or error
            self._cancel()

    def _claim(self) -> _Part | None:
        with self._changed:
            while True:
                self._stop.check()
                if self._next >= self._size:
                    return None
                if len(self._begun) < self.helpers:
                    end = min(self._next + PART_BYTES, self._size)
                    part = _Part(self._whole, self._next, end, self._stop)
                    self._next = end
                    self._begun.append(part)
                    return part
                self._changed.wait()


class _Part(BlobDownload):
    """From ``start`` to before ``end``; taken up again where it broke, as the whole is.

    ``blocks``: read, and not yet handed on; ``left``: bytes that are not yet handed on.
    """

    def __init__(self, whole: Whole, start: int, end: int, stop: Cancellation) -> None:
        super().__init__(*whole)
        self._cancellation = stop
        self._total = self._size
        self._done, self._size = start, end
        self.blocks: deque[bytes] = deque()
        self.left = end - start

    def read(self, size: int = BLOCK_BYTES, /) -> bytes:
        """As ``BlobDownload.read``; nothing beyond the end is asked for."""
        self._cancellation.check()
        return super().read(min(size, self._size - self._done)) if self._done < self._size else b""

    def _opened(self) -> Response:
        """Only exactly what was asked for will do. A 429 is no matter for parts: it is heeded, and help ends."""
        wanted = (self._done, self._size - 1, self._total)
        response = self._client.open(
            "GET",
            self._path,
            scopes=self._scopes,
            accept={200, 206},
            headers={"Range": f"bytes={wanted[0]}-{wanted[1]}"},
            retry=False,
        )
        match = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if response.status != 206 or match is None or tuple(map(int, match.groups())) != wanted:
            response.close()
            raise self._without_ranges(response.status)
        return response

    def _without_ranges(self, status: int) -> ServerError:
        return ServerError(
            self._client.registry,
            origin=self._client.transport.origin,
            method="GET",
            path=self._path,
            status=status,
            text="which is not the range that was asked for",
        )
