# SPDX-License-Identifier: MIT
"""HTTP as registries need it: one retry layer, redirects that carry no secret, answers of bounded size.

Only this module and ``adapter`` import ``requests``. It uses what is below ``requests.Session``: a session reads netrc
and the environment, keeps cookies, and reads a redirect's whole body, none of which a registry client wants.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies, select_proxy

from . import network
from .adapter import BlockAdapter
from .cancellation import Cancellation
from .error_response import registry_error
from .errors import EngineError, ManifestError, NetworkError, Origin, RegistryError, ServerError
from .redaction import redact_url
from .retry import TEMPORARY_STATUSES, Gate, RetryPolicy, retry_after
from .stream import BLOCK_BYTES, VerifyingReader

__all__ = ["Response", "Transport", "TransportOptions"]

logger = logging.getLogger(__name__)

# An error body beyond this is not for people. (Tokens and manifests have limits of their own, given at the call.)
MAX_ERROR_BYTES = 1024 * 1024
# Reading so much costs less than a new connection with TLS.
DRAINED_BYTES = 64 * 1024
MAX_REDIRECTS = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Connections kept open for each host, and hosts; more than any sensible number, since idle ones cost nothing.
KEPT_CONNECTIONS = 128
KEPT_HOSTS = 64


def _environment_verify() -> bool | str:
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """Times are in seconds. ``verify``: as in requests, True, False or the path of a CA bundle.

    The read timeout is the longest silence on a connection; an upload's last byte may be followed by a long one,
    while the registry hashes what it got, so uploads have their own. ``authorities`` (path of a CA bundle) and
    ``certificates`` (paths of a client certificate and its key) are for single hosts, port included where it is named.
    """

    verify: bool | str = field(default_factory=_environment_verify)
    user_agent: str = "acrimport"
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    upload_timeout: float = 300.0
    plain_http_hosts: frozenset[str] = frozenset()
    authorities: Mapping[str, str] = field(default_factory=dict)
    certificates: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    retry: RetryPolicy = RetryPolicy()


class Response:
    """An answer whose body is still on the wire. Close it, or read it to its end."""

    def __init__(self, answer: requests.Response, origin: Origin, url: str) -> None:
        self._answer = answer
        self.origin: Origin = origin
        self.url = url
        self.status: int = answer.status_code
        # names in any case
        self.headers: Mapping[str, str] = answer.headers

    def read(self, size: int = BLOCK_BYTES, /) -> bytes:
        """The next bytes, as sent (never decompressed). Raises NetworkError of this side."""
        try:
            block: bytes = self._answer.raw.read(size, decode_content=False)
        except Exception as error:
            raise network.translate(error, urlsplit(self.url).netloc, self.origin) from None
        return block

    def read_all(self, limit: int) -> bytes:
        """The whole body, at most ``limit`` bytes. Raises ManifestError beyond: nothing small is that large."""
        blocks, size = [], 0
        try:
            while block := self.read(min(BLOCK_BYTES, limit + 1)):
                blocks.append(block)
                size += len(block)
                if size > limit:
                    message = f"{redact_url(self.url)} answered with more than {limit} bytes"
                    raise ManifestError(message, origin=self.origin, subject=urlsplit(self.url).netloc)
        finally:
            self.close()
        return b"".join(blocks)

    def close(self) -> None:
        """Give the connection back; end it when more than a little of the body is still to come."""
        with contextlib.suppress(Exception):
            if self._answer.request.method == "HEAD" or self.status == 204 or self._rest_is_small():
                while self._answer.raw.read(BLOCK_BYTES, decode_content=False):
                    pass
        self._answer.close()

    def _rest_is_small(self) -> bool:
        length = self.headers.get("Content-Length", "")
        return length.isdigit() and int(length) <= DRAINED_BYTES

    def shutdown(self) -> None:
        """Wake a thread that waits for this body."""
        raw = self._answer.raw
        getattr(raw, "shutdown", raw.close)()  # urllib3 before 2.3 has no shutdown; close is the next best


class Transport:
    """Requests to one side. Shared by all threads: the connection pool below is thread-safe, nothing else is kept."""

    def __init__(
        self,
        origin: Origin,
        options: TransportOptions | None = None,
        cancellation: Cancellation | None = None,
        *,
        exchange: Callable[..., requests.Response] | None = None,
    ) -> None:
        self.origin: Origin = origin
        self.options = options or TransportOptions()
        self.cancellation = cancellation or Cancellation()
        self._adapter = BlockAdapter(pool_connections=KEPT_HOSTS, pool_maxsize=KEPT_CONNECTIONS, max_retries=0)
        self._exchange = exchange or self._adapter.send
        # how people call a host whose API is elsewhere (registry-1.docker.io is docker.io); errors say that
        self.names: dict[str, str] = {}
        # identity: a proxy that compresses would change the bytes that digests are taken of
        self._always = {"User-Agent": self.options.user_agent, "Accept-Encoding": "identity"}
        self._gates: dict[str, Gate] = {}
        self._proxies: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the idle connections."""
        self._adapter.close()

    def send(
        self,
        method: str,
        url: str,
        *,
        accept: Collection[int],
        headers: Mapping[str, str] | None = None,
        body: bytes | bytearray | VerifyingReader | None = None,
        retry: bool = True,
        mode: str = "",
    ) -> Response:
        """Send until the answer's status is in ``accept``; any other becomes a RegistryError.

        A request whose body is a stream is sent once: only its owner can open the stream again. Redirects of GET
        and HEAD are followed, unless their status is wanted. Raises NetworkError, TlsError, RegistryError, Cancelled.
        """
        replayable = retry and not isinstance(body, VerifyingReader)
        attempt = 0
        while True:
            attempt += 1
            try:
                response = self._follow(method, url, dict(headers or {}), body, accept)
            except NetworkError as error:
                delay = network.delay(self.options.retry, attempt, error) if replayable else None
                if delay is None:
                    raise
                logger.debug("%s; again in %.1f s", error, delay)
                self.cancellation.wait(delay)
                continue
            if response.status in accept:
                return response
            asked = retry_after(response.headers)
            if response.status == 429 and (asked or 0.0) <= self.options.retry.patience:
                self._gate(response.url).close(asked or 1.0, self.cancellation)
            temporary = replayable and response.status in TEMPORARY_STATUSES
            delay = self.options.retry.delay(attempt, asked) if temporary else None
            if delay is None:
                raise self.refusal(method, response, mode)
            response.close()
            logger.debug("%s answered %d; again in %.1f s", urlsplit(url).netloc, response.status, delay)
            self.cancellation.wait(delay)

    def refusal(self, method: str, response: Response, mode: str = "") -> RegistryError:
        """The exception for an answer that was not wanted; reads its body."""
        try:
            body = response.read_all(MAX_ERROR_BYTES)
        except EngineError:
            body = b""
        host = urlsplit(response.url).netloc
        name = self.names.get(host, host)
        if response.status < 300:
            return ServerError(
                name,
                origin=self.origin,
                method=method,
                path=urlsplit(response.url).path,
                status=response.status,
                text="which is not an answer to this request",
                mode=mode,
            )
        return registry_error(
            self.origin, method, response.url, response.status, response.headers, body, mode=mode, name=name
        )

    def _follow(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | bytearray | VerifyingReader | None,
        accept: Collection[int],
    ) -> Response:
        """One request, and for GET and HEAD the redirects behind it.

        Authorization stays with the host, port and scheme that it was made for.
        """
        first = url
        for _ in range(MAX_REDIRECTS + 1):
            response = self._once(method, url, headers, body)
            location = response.headers.get("Location")
            followed = method in ("GET", "HEAD") and response.status in REDIRECTS and response.status not in accept
            if not followed or not location:
                return response
            response.close()
            target = network.join(url, location, self.origin)
            network.check_redirect(first, url, target, self.origin)
            if urlsplit(target)[:2] != urlsplit(url)[:2]:
                headers.pop("Authorization", None)
            url = target
        raise NetworkError(urlsplit(first).netloc, "redirect", "it redirects without end", origin=self.origin)

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | bytearray | VerifyingReader | None
    ) -> Response:
        self.cancellation.check()
        self._gate(url).passing(self.cancellation)
        options = self.options
        silence = options.upload_timeout if isinstance(body, VerifyingReader) else options.read_timeout
        host = urlsplit(url).netloc
        started = time.monotonic()
        try:
            answer = self._exchange(
                _prepared(method, url, {**self._always, **headers}, body or None),
                stream=True,
                timeout=(options.connect_timeout, silence),
                verify=options.verify and options.authorities.get(host, options.verify),
                cert=options.certificates.get(host),
                proxies=self._proxies_for(url),
            )
        except EngineError:
            raise  # born in the body that was being read: the blame is already where it belongs
        except Exception as error:
            raise network.translate(error, self.names.get(host, host), self.origin) from None
        if logger.isEnabledFor(logging.DEBUG):
            elapsed = (time.monotonic() - started) * 1000
            logger.debug("%s %s -> %d in %.0f ms", method, redact_url(url), answer.status_code, elapsed)
        return Response(answer, self.origin, url)

    def _gate(self, url: str) -> Gate:
        host = urlsplit(url).netloc
        with self._lock:
            return self._gates.setdefault(host, Gate())

    def _proxies_for(self, url: str) -> dict[str, str]:
        """The environment's proxy for this host, read once: at bulk rates the reading costs as much as a request.

        As with Go's clients, loopback is never asked for through a proxy: it would be another machine's.
        """
        key = "/".join(urlsplit(url)[:2])
        if key not in self._proxies:
            loopback = network.is_loopback(urlsplit(url).netloc)
            proxy = None if loopback else select_proxy(url, get_environ_proxies(url))
            self._proxies[key] = {urlsplit(url).scheme: proxy} if proxy else {}
        return self._proxies[key]


def _prepared(
    method: str, url: str, headers: Mapping[str, str], body: bytes | bytearray | VerifyingReader | None
) -> requests.PreparedRequest:
    """A request without what ``requests`` adds for sessions and people; that costs as much as sending a small one."""
    request = requests.PreparedRequest()
    request.method, request.url, request.body = method, url, body  # type: ignore[assignment]
    length = {} if method in ("GET", "HEAD") else {"Content-Length": str(len(body or b""))}
    request.headers = {**headers, **length}  # type: ignore[assignment]
    return request
