# SPDX-License-Identifier: MIT
"""Writing one blob to a registry.

Order of attempts: POST and one PUT with the whole blob; where that is refused as too large, or breaks halfway, POST,
PATCH by chunks and an empty PUT. A session that fails is never continued, since ACR loses it with any error: it is
cancelled, and the blob starts anew from a source that is opened anew.
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from urllib.parse import urlencode

from .challenge import Scope
from .client import RegistryClient
from .errors import EngineError, NetworkError, RateLimited, ServerError, TooLarge, UploadLost
from .stream import Body
from .transport import Response

__all__ = ["BlobUpload"]

logger = logging.getLogger(__name__)

# ECR refuses chunks below 5 MiB and GHCR those above 4 MiB; the target here is ACR, which takes both. One chunk is
# held in memory for each job, so it is not larger than the goal of 150 MB for a process allows with twelve transfers.
CHUNK_BYTES = 8 * 1024 * 1024
OCTETS = {"Content-Type": "application/octet-stream"}


class BlobUpload:
    """Uploads into one repository. Remembers that the registry takes no large PUT, so it is asked only once."""

    def __init__(self, client: RegistryClient, repository: str, scopes: Iterable[Scope]) -> None:
        self._client = client
        self._start = f"/v2/{repository}/blobs/uploads/"
        self._scopes = tuple(scopes)
        self._chunked = False

    def put(self, body: Body, session: str = "") -> None:
        """Store the blob. Errors of the source pass through; those of the target are tried again.

        ``session``: the address of an upload that is open already.
        """
        transport = self._client.transport
        attempt, chunked = 0, self._chunked
        while True:
            attempt += 1
            try:
                self._attempt(body, chunked, session)
            except TooLarge:
                if chunked:
                    raise
                self._chunked = chunked = True
                session = ""
                continue
            except (NetworkError, ServerError, RateLimited, UploadLost) as error:
                asked = error.retry_after if isinstance(error, RateLimited) else None
                delay = transport.options.retry.delay(attempt, asked) if error.origin == transport.origin else None
                if delay is None:
                    raise
                logger.debug("%s; the blob starts anew in %.1f s", error, delay)
                transport.cancellation.wait(delay)
                session = ""
                chunked = chunked or isinstance(error, NetworkError)
                continue
            return

    def mount(self, digest: str, from_repository: str) -> str:
        """Ask for the blob of a repository of this registry: empty when it is here now.

        Else the address of the upload that was opened instead, for ``put`` or ``cancel``. Raises RegistryError.
        """
        query = urlencode({"mount": digest, "from": from_repository})
        scopes = (*self._scopes, Scope.pull(from_repository))
        response = self._client.send("POST", f"{self._start}?{query}", scopes=scopes, accept={201, 202})
        response.close()
        return self._location(response) if response.status == 202 else ""

    def cancel(self, location: str) -> None:
        """Best effort, and not when time is short: a session that stays open is the registry's to clean up."""
        if self._client.transport.cancellation.requested:
            return
        with contextlib.suppress(EngineError):
            self._client.send("DELETE", location, scopes=self._scopes, accept=range(200, 600), retry=False).close()

    def _attempt(self, body: Body, chunked: bool, location: str) -> None:
        if not location:
            response = self._client.send("POST", self._start, scopes=self._scopes, accept={202}, retry=False)
            response.close()
            location = self._location(response)
        try:
            if chunked and body.descriptor.size:
                location = self._send_chunks(location, body)
                self._finish(location, body, b"")
            else:
                self._finish(location, body, body if body.descriptor.size else b"")
        except BaseException as error:
            # a host that does not answer, or that asks for quiet, is not asked one thing more
            silent = isinstance(error, NetworkError) and error.reason == "timeout"
            if not silent and not isinstance(error, RateLimited):
                self.cancel(location)
            raise

    def _send_chunks(self, location: str, body: Body) -> str:
        """PATCH after PATCH, each at the Location that the one before it gave."""
        reader = body.open()
        done = 0
        try:
            while done < body.descriptor.size:
                chunk = bytearray()
                while len(chunk) < CHUNK_BYTES and (block := reader.read(CHUNK_BYTES - len(chunk))):
                    chunk += block
                headers = {**OCTETS, "Content-Range": f"{done}-{done + len(chunk) - 1}"}
                response = self._client.send(
                    "PATCH",
                    location,
                    scopes=self._scopes,
                    accept={201, 202, 204},
                    headers=headers,
                    body=chunk,
                    retry=False,
                )
                response.close()
                location = self._location(response, location)
                done += len(chunk)
        finally:
            reader.close()
        return location

    def _finish(self, location: str, body: Body, content: Body | bytes) -> None:
        separator = "&" if "?" in location else "?"
        url = f"{location}{separator}{urlencode({'digest': str(body.descriptor.digest)})}"
        self._client.send(
            "PUT", url, scopes=self._scopes, accept={201, 204}, headers=OCTETS, body=content, retry=False
        ).close()

    def _location(self, response: Response, default: str = "") -> str:
        location = response.headers.get("Location", default)
        if not location:
            origin = self._client.transport.origin
            raise UploadLost(self._client.registry, origin=origin, text="the upload has no Location")
        return self._client.locate(location, response.url)
