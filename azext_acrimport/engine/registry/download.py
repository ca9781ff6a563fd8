# SPDX-License-Identifier: MIT
"""Reading one blob from a registry; a connection that breaks is taken up again where it broke."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterable

from ..auth.scope import Scope
from ..cancellation import Cancellation, Wait
from ..content.descriptor import Descriptor
from ..content.stream import BLOCK_BYTES, ByteStream
from ..errors import (
    Cancelled,
    Denied,
    Disallowed,
    EngineError,
    Firewall,
    ManifestError,
    NetworkError,
    NotFound,
    RegistryError,
)
from ..transport.response import Answer, Response
from ..transport.transport import REDIRECTS
from ..waiting import Ahead, Attempts, Postponed
from .client import RegistryClient

__all__ = ["BlobDownload", "EarlyDownload", "read_piece"]

logger = logging.getLogger(__name__)

# Less than so many bytes are no progress: a server that gives one with each connection would keep us for ever. And so
# many are to come in so many seconds of waiting: no line that anybody uses is as slow as 273 bytes a second.
PROGRESS_BYTES = 16 * 1024
PROGRESS_SECONDS = 60.0

CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-")


class BlobDownload:
    """A ByteStream. Attempts start to count anew whenever some bytes have come, so a slow, shaky link gets there.

    Every resumption goes through the registry's own URL: signed storage URLs are short-lived.
    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-blobs
    """

    def __init__(
        self, client: RegistryClient, repository: str, descriptor: Descriptor, scopes: Iterable[Scope]
    ) -> None:
        self._client = client
        self._path = f"/v2/{repository}/blobs/{descriptor.digest}"
        self._scopes = tuple(scopes)
        self._cancellation: Cancellation = client.transport.cancellation
        self._size = descriptor.size  # where to end; with _done an offset in the blob
        self._done = 0
        self._failures = 0
        # where there was progress for the last time; the bytes that came since, and the seconds that they took
        self._mark = 0
        self._came = 0
        self._took = 0.0
        self._response: Response | None = None
        # where the registry has sent us, and we have not gone yet
        self._leads_to = ""

    def ask(self) -> None:
        """Ask the registry for it, once, and go nowhere else yet. Raises EngineError, and Postponed instead of a wait.

        Most registries answer with the address of a storage host: so nothing has come of what may never be wanted.
        """
        accept = {200, *REDIRECTS}
        response = self._client.open("GET", self._path, scopes=self._scopes, accept=accept, retry=False)
        if response.status == 200:
            self._response = response
            self._client.was_led_to(response.url)
            return
        response.close()
        if location := response.headers.get("Location", ""):
            self._leads_to = self._client.locate(location, response.url)
            self._client.is_led_to(self._leads_to)

    def start(self) -> None:
        """Open it, where a wait may still be a reason to come back later."""
        if self._response is None:
            self._response = self._followed() or self._opened()

    def read(self, size: int = BLOCK_BYTES, /) -> bytes:
        """The next block; empty at the end, also at an early one that could not be mended."""
        while True:
            try:
                if self._response is None:
                    with Attempts.staying():
                        self._response = self._opened()
                return self._next_block(self._response, size)
            except NetworkError as error:
                self.close()
                self._failures += 1
                self._came, self._took = 0, 0.0
                delay = self._client.transport.options.retry.delay(self._failures, None)
                if delay is None or self._done == self._size:
                    raise
                logger.debug("%s; going on at byte %d in %.1f s", error, self._done, delay)
                self._cancellation.on_wait(Wait.after(delay, error))
                self._cancellation.wait(delay)

    def _next_block(self, response: Response, size: int) -> bytes:
        block = self._taken(response, size)
        if not block and self._done < self._size:
            raise self._cut()
        self._done += len(block)
        if self._done - self._mark >= PROGRESS_BYTES:
            self._mark, self._failures = self._done, 0
        return block

    def _taken(self, response: Response, size: int) -> bytes:
        """What has come. Raises NetworkError when that is too little to go on with this connection."""
        if self._took > PROGRESS_SECONDS:
            said = f"{self._came} bytes of a blob came in {self._took:.0f} s"
            raise NetworkError(self._client.registry, "timeout", said, origin=self._client.transport.origin)
        started = time.monotonic()
        with self._cancellation.waking(response.shutdown):
            block = response.read(size)
        self._came += len(block)
        self._took += time.monotonic() - started
        if self._came >= PROGRESS_BYTES:
            self._came, self._took = 0, 0.0
        return block

    def close(self) -> None:
        """End the connection, or give it back if all was read."""
        if self._response is not None:
            self._response.close()
            self._response = None

    def _followed(self) -> Response | None:
        """Whatever goes wrong on the way that was shown, the registry is asked for it anew, as often as it takes."""
        location, self._leads_to = self._leads_to, ""
        if not location:
            return None
        try:
            response = self._client.open("GET", location, scopes=self._scopes, accept={200}, retry=False)
        except Cancelled:
            raise
        except EngineError as error:
            logger.debug("%s; asked for anew", error)
            return None
        self._client.was_led_to(response.url)
        return response

    def _opened(self) -> Response:
        headers = {"Range": f"bytes={self._done}-"} if self._done else {}
        accept = {200, 206} if self._done else {200}
        try:
            response = self._client.open("GET", self._path, scopes=self._scopes, accept=accept, headers=headers)
        except RegistryError as error:
            if error.status != 416:
                raise
            raise self._cut() from None
        self._client.was_led_to(response.url)
        try:
            start = self._offset(response)
            if start > self._done:
                raise self._cut()
            self._skip(response, self._done - start)
        except BaseException:
            response.close()
            raise
        return response

    def _offset(self, response: Response) -> int:
        """Where the answer starts: a server may ignore Range (200) or have its own idea of it."""
        return _begin_of(response) if response.status == 206 else 0

    def _skip(self, response: Response, count: int) -> None:
        """Read over what is here already: its hash is taken, and it has been sent on."""
        while count > 0:
            self._cancellation.check()
            with self._cancellation.waking(response.shutdown):
                block = self._taken(response, min(BLOCK_BYTES, count))
            if not block:
                raise self._cut()
            count -= len(block)

    def _cut(self) -> NetworkError:
        return NetworkError(
            self._client.registry,
            "reset",
            f"the download of a blob ended after {self._done} of {self._size} bytes",
            origin=self._client.transport.origin,
        )


class EarlyDownload:
    """Asked for in a thread of its own, while somebody finds out whether it is wanted. An ``Early``."""

    def __init__(self, download: BlobDownload, cancellation: Cancellation) -> None:
        self._download = download
        self._cancellation = cancellation
        self._lock = threading.Lock()
        self._has_answer = self._is_taken = self._is_declined = False
        self._asking = Ahead(self._ask)

    def take(self) -> ByteStream:
        """As ``Early.take``. What went wrong when it was asked for is nobody's business: it is asked for anew."""
        self._asking.result(self._cancellation.check)
        self._download.start()
        self._is_taken = True
        return self._download

    def decline(self) -> None:
        """As ``Early.decline``."""
        if self._is_taken:
            return
        with self._lock:  # either of the two sees that the other one is through
            self._is_declined, has_answer = True, self._has_answer
        if has_answer:
            self._download.close()

    def _ask(self) -> None:
        try:
            Attempts().postponing(self._download.ask)
        except (EngineError, Postponed) as error:
            logger.debug("%s, before it was wanted", error)
        with self._lock:
            self._has_answer, is_declined = True, self._is_declined
        if is_declined:
            self._download.close()


def read_piece(
    client: RegistryClient,
    repository: str,
    blob: Descriptor,
    scopes: Iterable[Scope],
    start: int,
    length: int,
    *,
    retry: bool = True,
) -> bytes | None:
    """A few bytes of a blob; None where it is not there, or where the whole would come instead. Raises EngineError."""
    try:
        answer = client.fetch(
            "GET",
            f"/v2/{repository}/blobs/{blob.digest}",
            scopes=scopes,
            accept={200, 206, 416},
            limit=length,
            headers={"Range": f"bytes={start}-{start + length - 1}"},
            retry=retry,
        )
    except Firewall:
        raise
    except (NotFound, Denied, Disallowed, ManifestError):
        return None
    begins = _begin_of(answer) if answer.status == 206 else 0
    return answer.body if answer.status < 300 and begins == start else None


def _begin_of(answer: Response | Answer) -> int:
    """Where a part of a blob begins, as its Content-Range says."""
    match = CONTENT_RANGE.match(answer.headers.get("Content-Range", ""))
    return int(match[1]) if match else 0
