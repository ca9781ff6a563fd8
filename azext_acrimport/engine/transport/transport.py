# SPDX-License-Identifier: MIT
"""HTTP as registries need it: one retry layer, redirects that carry no secret, answers of bounded size.

Only this package imports ``requests``. It uses what is below ``requests.Session``: a session reads netrc
and the environment, keeps cookies, and reads a redirect's whole body, none of which a registry client wants.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies, select_proxy

from ..cancellation import Cancellation
from ..content.stream import VerifyingReader
from ..errors import Cancelled, EngineError, NetworkError, Origin, RegistryError, ServerError
from ..waiting import Attempts
from . import addresses
from .adapters import Adapters
from .failures import network_error
from .options import TransportOptions
from .redaction import redact_url
from .refusal import registry_error
from .response import SMALL_BODY_SECONDS, Answer, Response
from .retry import Gate

__all__ = ["Transport"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
Content = bytes | bytearray | VerifyingReader

# An error body beyond this is not for people. (Tokens and manifests have limits of their own, given at the call.)
MAX_ERROR_BYTES = 1024 * 1024
# Nor is what has not come in so many seconds.
ERROR_SECONDS = 10.0
MAX_REDIRECTS = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})


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
        self._adapters = Adapters(self.options, self.cancellation)
        self._exchange = exchange
        self._closed = False
        # how people call a host whose API is elsewhere (registry-1.docker.io is docker.io); errors say that
        self.names: dict[str, str] = {}
        # identity: a proxy that compresses would change the bytes that digests are taken of
        self._always = {"User-Agent": self.options.user_agent, "Accept-Encoding": "identity"}
        self._gates: dict[str, Gate] = {}
        self._proxies: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the idle connections, and open none any more before it is needed."""
        self._closed = True
        self._adapters.close()

    def open_ahead(self, url: str, count: int, *, sent_by: str = "") -> None:
        """Begin to open connections to this host until there have been so many: requests that come soon find them.

        Not through a proxy, of which each has its own way. What goes wrong is heard by the requests themselves.
        ``sent_by``: as in ``open``.
        """
        options, host = self.options, addresses.parted(url)[1]
        if self._exchange or self._closed or self._proxies_for(url) or self.cancellation.requested:
            return
        with contextlib.suppress(OSError):
            self._adapters.to(url, sent_by or url).open_ahead(
                url, *self._trust(host), count, min(options.connect_timeout, self.cancellation.left or 300.0)
            )

    def open(
        self,
        method: str,
        url: str,
        *,
        accept: Collection[int],
        headers: Mapping[str, str] | None = None,
        body: Content | None = None,
        retry: bool = True,
        mode: str = "",
        sent_by: str = "",
    ) -> Response:
        """Send until the answer's status is in ``accept``; any other becomes a RegistryError. The body is on the wire.

        A request whose body is a stream is sent once: only its owner can open the stream again. Redirects of GET
        and HEAD are followed, unless their status is wanted. ``sent_by``: the URL of whoever named this one; what is
        public leads to no private address. Raises NetworkError, TlsError, RegistryError, Cancelled.
        """
        retry = retry and not isinstance(body, VerifyingReader)
        return self._tried(
            (method, url), lambda: self._opened(method, url, headers, body, accept, mode, sent_by), retry
        )

    def fetch(
        self,
        method: str,
        url: str,
        *,
        accept: Collection[int],
        limit: int = MAX_ERROR_BYTES,
        headers: Mapping[str, str] | None = None,
        body: Content | None = None,
        retry: bool = True,
        mode: str = "",
        sent_by: str = "",
    ) -> Answer:
        """As ``open``, with the whole body, which has at most ``limit`` bytes: one that breaks off is asked for again.

        Raises ManifestError for a larger one, but for that of a status above 399, which is then left out.
        """

        def whole() -> Answer:
            response = self._opened(method, url, headers, body, accept, mode, sent_by)
            if response.status >= 400:
                return self.whole(response)
            if response.has_body:
                raw = self._whole(response, limit, SMALL_BODY_SECONDS)
                if method == "GET":
                    self.cancellation.check()  # of no stated length, it may have ended because we were woken
            else:
                response.close()
                raw = b""
            return Answer(response.status, response.headers, response.url, self.origin, raw)

        return self._tried((method, url), whole, retry and not isinstance(body, VerifyingReader))

    def _tried(self, what: tuple[str, str], work: Callable[[], T], retry: bool) -> T:
        """Where a request is sent again. What takes several, such as a blob, is begun anew by its own module."""
        attempts: Attempts | None = None
        while True:
            try:
                return work()
            except (NetworkError, RegistryError) as error:
                attempts = attempts or Attempts.current()
                delay = self.options.retry.after(attempts.failed(what), error) if retry else None
                if delay is None:
                    raise
                logger.debug("%s; again in %.1f s", error, delay)
                attempts.wait(delay, self.cancellation, error)

    def _opened(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        body: Content | None,
        accept: Collection[int],
        mode: str,
        sent_by: str,
    ) -> Response:
        response = self._follow(method, url, dict(headers or {}), body, accept, sent_by or url)
        if response.status not in accept:
            # in no variable of this frame, which the error will hold: a ring, kept until the collector comes by
            raise self._refused(method, response, mode)
        return response

    def _refused(self, method: str, response: Response, mode: str) -> RegistryError:
        """The exception for it; a wait that it asks for is one for all who ask this host."""
        error = self.refusal(method, response, mode)
        asked = error.retry_after
        if response.status == 429 and asked is not None and asked <= self.options.retry.patience:
            self._gate(urlsplit(response.url).netloc).close(asked, self.cancellation)
        return error

    def whole(self, response: Response | Answer) -> Answer:
        """An answer that was not wanted, with its body; its connection is given back."""
        if isinstance(response, Answer):
            return response
        return Answer(response.status, response.headers, response.url, self.origin, self._short(response))

    def refusal(self, method: str, response: Response | Answer, mode: str = "") -> RegistryError:
        """The exception for an answer that was not wanted; reads its body."""
        body = self.whole(response).body
        host = addresses.parted(response.url)[1]
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
        self, method: str, url: str, headers: dict[str, str], body: Content | None, accept: Collection[int], first: str
    ) -> Response:
        """One request, and for GET and HEAD the redirects behind it.

        Authorization stays with the host, port and scheme that it was made for.
        """
        for _ in range(MAX_REDIRECTS + 1):
            response = self._once(method, url, headers, body, first)
            location = response.headers.get("Location")
            followed = method in ("GET", "HEAD") and response.status in REDIRECTS and response.status not in accept
            if not followed or not location:
                return response
            response.close()
            target = addresses.join(url, location, self.origin)
            addresses.check_redirect(first, url, target, self.origin)
            if addresses.parted(target)[:2] != addresses.parted(url)[:2]:
                headers.pop("Authorization", None)
            url = target
        raise NetworkError(urlsplit(first).netloc, "redirect", "it redirects without end", origin=self.origin)

    def _once(self, method: str, url: str, headers: Mapping[str, str], body: Content | None, first: str) -> Response:
        self.cancellation.check()
        options = self.options
        left = self.cancellation.left or options.upload_timeout
        silence = options.read_timeout if body is None else options.upload_timeout
        host = addresses.parted(url)[1]
        verify, certificate = self._trust(host)
        self._gate(host).passing(self.cancellation)
        started = time.monotonic()
        try:
            answer = (self._exchange or self._adapters.to(url, first).send)(
                _prepared(method, url, {**self._always, **headers}, body or None),
                stream=True,
                timeout=(min(options.connect_timeout, left), min(silence, left)),
                verify=verify,
                cert=certificate,
                proxies=self._proxies_for(url),
            )
        except EngineError:
            raise  # born in the body that was being read: the blame is already where it belongs
        except addresses.Astray as error:
            home = addresses.parted(first)[1]
            raise NetworkError(self.names.get(home, home), "redirect", str(error), origin=self.origin) from None
        except Exception as error:
            self.cancellation.check()  # whoever cancels ends the connection as well
            raise network_error(error, self.names.get(host, host), self.origin) from None
        if logger.isEnabledFor(logging.DEBUG):
            elapsed = (time.monotonic() - started) * 1000
            logger.debug("%s %s -> %d in %.0f ms", method, redact_url(url), answer.status_code, elapsed)
        return Response(answer, self.origin, url)

    def _trust(self, host: str) -> tuple[bool | str, tuple[str, str] | None]:
        """Of this host: which authorities are believed, and the certificate that it is shown."""
        options = self.options
        return options.verify and options.authorities.get(host, options.verify), options.certificates.get(host)

    def _whole(self, response: Response, limit: int, seconds: float) -> bytes:
        try:
            with self.cancellation.waking(response.shutdown):
                return response.read_all(limit, seconds)
        except Cancelled:
            response.close()
            raise

    def _short(self, response: Response) -> bytes:
        """The body of an error; nothing of one that is not to be had, or too large to be for people."""
        if not response.has_body:
            response.close()
            return b""
        try:
            return self._whole(response, MAX_ERROR_BYTES, ERROR_SECONDS)
        except EngineError:
            self.cancellation.check()
            return b""

    def _gate(self, host: str) -> Gate:
        gate = self._gates.get(host)
        if gate is None:
            with self._lock:
                gate = self._gates.setdefault(host, Gate())
        return gate

    def _proxies_for(self, url: str) -> dict[str, str]:
        """The environment's proxy for this host, read once: at bulk rates the reading costs as much as a request.

        As with Go's clients, loopback is never asked for through a proxy: it would be another machine's.
        """
        scheme, host, _ = addresses.parted(url)
        key = f"{scheme}/{host}"
        if key not in self._proxies:
            proxy = None if addresses.is_loopback(host) else select_proxy(url, get_environ_proxies(url))
            self._proxies[key] = {scheme: proxy} if proxy else {}
        return self._proxies[key]


def _prepared(method: str, url: str, headers: Mapping[str, str], body: Content | None) -> requests.PreparedRequest:
    """A request without what ``requests`` adds for sessions and people; that costs as much as sending a small one."""
    request = requests.PreparedRequest()
    request.method, request.url, request.body = method, url, body  # type: ignore[assignment]
    length = {} if method in ("GET", "HEAD") else {"Content-Length": str(len(body or b""))}
    request.headers = {**headers, **length}  # type: ignore[assignment]
    return request
