# SPDX-License-Identifier: MIT
"""Writing one blob to a registry.

Order of attempts: POST and one PUT with the whole blob; where that is refused as too large, or breaks halfway, POST,
PATCH by chunks and an empty PUT. A session that fails is never continued, since ACR loses most of them with an error:
it is cancelled, and the blob starts anew from a source that is opened anew; but first it is looked for, since an answer
that did not come, or a gateway's 504, says nothing of what the registry has done.
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from urllib.parse import urlencode

from ..auth.scope import Scope
from ..cancellation import FAREWELL, PARTING
from ..content.descriptor import Descriptor
from ..content.digest import Digest
from ..content.stream import Body, VerifyingReader
from ..errors import EngineError, NetworkError, RateLimited, ServerError, TooLarge, UploadLost
from ..transport.response import Answer
from ..waiting import Attempts, Postponed
from .client import RegistryClient

__all__ = ["BlobUpload"]

logger = logging.getLogger(__name__)

# ECR refuses chunks below 5 MiB and GHCR those above 4 MiB; the target here is ACR, which takes both. One chunk is
# held in memory for each job, so it is not larger than the goal of 150 MB for a process allows with twelve transfers.
CHUNK_BYTES = 8 * 1024 * 1024
OCTETS = {"Content-Type": "application/octet-stream"}


class _Session:
    """An upload that is open. ``location``: the address at which it goes on, another one after each chunk."""

    __slots__ = ("location",)

    def __init__(self, location: str) -> None:
        self.location = location


class BlobUpload:
    """Uploads into one repository. ``has``: whether the repository says that it holds a blob."""

    def __init__(
        self, client: RegistryClient, repository: str, scopes: Iterable[Scope], has: Callable[[Descriptor], bool]
    ) -> None:
        self._client = client
        self._repository = repository
        self._start = f"/v2/{repository}/blobs/uploads/"
        self._scopes = tuple(scopes)
        self._has = has
        # blobs of which a whole PUT was cut, and those of which nobody knows whether they are stored
        self._cut: set[Digest] = set()
        self._doubtful: set[Digest] = set()

    def put(self, body: Body, session: str = "", *, look: bool = True) -> None:
        """Store the blob. Errors of the source pass through; those of the target are tried again.

        ``session``: the address of an upload that is open already. ``look``: whether the registry is believed that it
        has the blob by now. Raises Postponed in a worker: to begin it anew.
        """
        transport, attempts, blob = self._client.transport, Attempts.current(), body.descriptor
        while not (look and self.has_come(blob)):
            chunked = blob.digest in self._cut or blob.size >= self._client.too_large
            try:
                self._attempt(body, chunked, session)
            except TooLarge:
                if chunked:
                    raise
                self._client.too_large = blob.size
                session = ""
                continue
            except (NetworkError, ServerError, RateLimited, UploadLost) as error:
                if error.origin != transport.origin:
                    raise
                asked = error.retry_after if isinstance(error, RateLimited) else None
                delay = transport.options.retry.delay(attempts.failed(blob), asked)
                if delay is None:
                    raise
                session = ""
                logger.debug("%s; the blob starts anew in %.1f s", error, delay)
                attempts.wait(delay, transport.cancellation, error)
                continue
            if chunked and blob.digest in self._cut:  # chunks got through: it is the size that this registry cuts
                self._cut.discard(blob.digest)
                self._client.too_large = min(self._client.too_large, blob.size)
            break

    def has_come(self, blob: Descriptor) -> bool:
        """Whether an upload whose end nobody has told has stored the blob all the same."""
        if blob.digest not in self._doubtful:
            return False
        has_come = self._has(blob)
        self._doubtful.discard(blob.digest)
        return has_come

    def mount(self, digest: str, from_repository: str) -> str:
        """Ask for the blob of a repository of this registry: empty when it is here now.

        Else the address of the upload that was opened instead, for ``put`` or ``cancel``. Raises RegistryError.
        """
        query = urlencode({"mount": digest, "from": from_repository})
        scopes = (*self._scopes, Scope.pull(from_repository))
        with self._client.transport.cancellation.keeping():
            answer = self._client.fetch("POST", f"{self._start}?{query}", scopes=scopes, accept={201, 202})
        if answer.status == 201 and not answer.says_what:
            raise self._untrue("the answer to a mount is not that of a registry")
        return self._location(answer) if answer.status == 202 else ""

    def cancel(self, location: str, error: BaseException | None = None) -> None:
        """Best effort, and only for a moment: a session that stays open is the registry's to clean up.

        ``error``: why. A host that does not answer, or that asks for quiet, is not asked one thing more. An Azure
        container registry wants the right to delete for it, which an import does not ask for.
        """
        client = self._client
        blames = isinstance(error, EngineError) and error.origin == client.transport.origin
        if blames and (isinstance(error, RateLimited) or getattr(error, "reason", "") == "timeout"):
            return
        if client.acr and not client.tokens.allow(Scope(self._repository, ("delete",))):
            return
        seconds = FAREWELL if isinstance(error, KeyboardInterrupt) else PARTING
        try:
            # there is no coming back to it: a token that another thread is fetching is waited for, quiet is kept
            with client.transport.cancellation.parting(seconds), Attempts.holding():
                client.fetch("DELETE", location, scopes=self._scopes, accept={200, 202, 204}, retry=False)
        except (EngineError, Postponed) as failed:
            logger.debug("an upload stays open: %s", failed)

    def _attempt(self, body: Body, chunked: bool, location: str) -> None:
        session = _Session(location or self._opened())
        try:
            with Attempts.holding():
                if chunked and body.descriptor.size:
                    self._send_chunks(session, body)
                else:
                    self._finish(session, body, body if body.descriptor.size else b"")
        except BaseException as error:
            if isinstance(error, (NetworkError, ServerError)) and error.origin == self._client.transport.origin:
                self._doubtful.add(body.descriptor.digest)
                if isinstance(error, NetworkError) and body.descriptor.size > CHUNK_BYTES and not chunked:
                    self._cut.add(body.descriptor.digest)
            self.cancel(session.location, error)
            raise

    def _opened(self) -> str:
        """The address of a new upload; whoever cancels meanwhile lets its answer come, so that it can be cancelled."""
        with self._client.transport.cancellation.keeping():
            answer = self._client.fetch("POST", self._start, scopes=self._scopes, accept={202}, retry=False)
        return self._location(answer)

    def _send_chunks(self, session: _Session, body: Body) -> None:
        """PATCH after PATCH, each at the Location that the one before it gave, and the PUT that closes it.

        Whoever is asked to wait after the first of them waits: what has been sent is not worth less than a thread.
        """
        reader = body.open()
        try:
            done = self._send_chunk(session, reader, 0)
            with Attempts.staying():
                while done < body.descriptor.size:
                    done = self._send_chunk(session, reader, done)
                self._finish(session, body, b"")
        finally:
            reader.close()

    def _send_chunk(self, session: _Session, reader: VerifyingReader, done: int) -> int:
        """How many bytes are there then."""
        chunk = bytearray()
        while len(chunk) < CHUNK_BYTES and (block := reader.read(CHUNK_BYTES - len(chunk))):
            chunk += block
        headers = {**OCTETS, "Content-Range": f"{done}-{done + len(chunk) - 1}"}
        accept = {201, 202, 204}
        answer = self._client.fetch(
            "PATCH", session.location, scopes=self._scopes, accept=accept, headers=headers, body=chunk, retry=False
        )
        session.location = self._location(answer, session.location)
        return done + len(chunk)

    def _finish(self, session: _Session, body: Body, content: Body | bytes) -> None:
        separator = "&" if "?" in session.location else "?"
        url = f"{session.location}{separator}{urlencode({'digest': str(body.descriptor.digest)})}"
        answer = self._client.fetch(
            "PUT", url, scopes=self._scopes, accept={201, 204}, headers=OCTETS, body=content, retry=False
        )
        if not answer.says_what and not self._has(body.descriptor):
            raise self._untrue("the registry says that it has stored a blob, and does not have it")

    def _untrue(self, text: str) -> UploadLost:
        return UploadLost(self._client.registry, origin=self._client.transport.origin, text=text)

    def _location(self, answer: Answer, default: str = "") -> str:
        location = answer.headers.get("Location", default)
        if not location:
            raise self._untrue("the upload has no Location")
        return self._client.locate(location, answer.url)
