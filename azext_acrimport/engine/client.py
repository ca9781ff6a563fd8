# SPDX-License-Identifier: MIT
"""One registry host: its address, its authorization, and requests that carry it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from urllib.parse import urlsplit

from . import network
from .auth import TokenProvider
from .challenge import Challenge, Scope
from .credential import CredentialProvider
from .errors import Denied, EngineError, NetworkError, TlsError
from .retry import Pace
from .stream import Body
from .transport import Response, Transport

__all__ = ["RegistryClient"]

EVERY_STATUS = range(200, 600)
# An Azure container registry lets an identity ask for referrers 250 times a minute; we are not the only one to ask.
ACR_REFERRERS = (200, 60.0)


class RegistryClient:
    """Shared by all repositories of a host on one side, and by all threads.

    ``host`` serves the API (registry-1.docker.io), ``registry`` is its name to people (docker.io). ``acr``: an Azure
    container registry, which can tell more; ``soft_delete``: one that keeps deleted manifests for some days.
    """

    def __init__(
        self,
        registry: str,
        host: str,
        transport: Transport,
        provide: CredentialProvider,
        *,
        acr: bool = False,
        soft_delete: bool = False,
    ) -> None:
        self.registry = registry
        self.host = host
        self.acr = acr
        self.soft_delete = soft_delete
        self.referrers_pace = Pace(*ACR_REFERRERS)
        self.transport = transport
        self.tokens = TokenProvider(host, transport, provide)
        transport.names[host] = registry
        self._base = ""
        self._lock = threading.Lock()

    @property
    def base(self) -> str:
        """``https://host``; ``http://host`` only where plain http is allowed and https is not spoken."""
        if not self._base:
            with self._lock:
                self._base = self._base or self._probed()
        return self._base

    def _probed(self) -> str:
        secure = f"https://{self.host}"
        plain_allowed = network.is_loopback(self.host) or self.host in self.transport.options.plain_http_hosts
        if not plain_allowed:
            return secure
        try:
            self.transport.send("GET", f"{secure}/v2/", accept=EVERY_STATUS, retry=False).close()
        except TlsError as error:
            if error.spoken:
                raise
            return f"http://{self.host}"
        except NetworkError as error:
            if error.reason != "reset":
                raise
            return f"http://{self.host}"
        return secure

    def send(
        self,
        method: str,
        path: str,
        *,
        scopes: Iterable[Scope],
        accept: Collection[int],
        headers: Mapping[str, str] | None = None,
        body: bytes | bytearray | Body | None = None,
        retry: bool = True,
    ) -> Response:
        """Send with authorization; after a 401, once more with a newer one. Raises what Transport.send raises.

        ``path`` may be an absolute URL from ``locate``: on another host it is sent without authorization.
        """
        scopes = tuple(scopes)
        try:
            return self._authorized(method, path, scopes, accept, headers, body, retry)
        except EngineError as error:
            if error.origin == self.transport.origin:  # not that of the source inside an upload to the target
                self._complete(error, scopes)
            raise

    def _complete(self, error: EngineError, scopes: tuple[Scope, ...]) -> None:
        """What only we know of it: which repository it was for, and who we were."""
        error.repository = error.repository or (scopes[0].repository if scopes else "")
        error.mode = error.mode or (self.tokens.mode if self.tokens.asked else "")
        if isinstance(error, Denied):
            error.by_repository = self.tokens.by_repository

    def _authorized(
        self,
        method: str,
        path: str,
        scopes: tuple[Scope, ...],
        accept: Collection[int],
        headers: Mapping[str, str] | None,
        body: bytes | bytearray | Body | None,
        retry: bool,
    ) -> Response:
        url = self.base + path if path.startswith("/") else path
        ours = urlsplit(url)[:2] == urlsplit(self.base)[:2]
        authorization = self.tokens.authorization(scopes) if ours else None
        response = self._send(method, url, {*accept, 401}, headers, authorization, body, retry)
        # a host that we were redirected to is answered by nobody: its token service is not to see our credential
        ours = ours and urlsplit(response.url)[:2] == urlsplit(self.base)[:2]
        if response.status == 401 and 401 not in accept and ours:
            challenges = Challenge.parse_all(response.headers.get("WWW-Authenticate", ""))
            try:
                newer = self.tokens.challenged(challenges, url, scopes, rejected=authorization)
            except BaseException:
                response.close()
                raise
            if newer is not None:
                response.close()
                response = self._send(method, url, {*accept, 401}, headers, newer, body, retry)
        if response.status == 401 and 401 not in accept:
            raise self.transport.refusal(method, response, self.tokens.mode)
        return response

    def locate(self, location: str, url: str) -> str:
        """The absolute URL of a Location header, kept on this host and scheme where it names this host.

        A registry behind a proxy often names itself by http or without its port. Raises NetworkError when it points
        somewhere it must not.
        """
        target = network.join(url, location, self.transport.origin)
        parts, own = urlsplit(target), urlsplit(self.base)
        if parts.hostname == own.hostname and parts.port in (own.port, None, 80, 443):
            return parts._replace(scheme=own.scheme, netloc=own.netloc).geturl()
        network.check_redirect(url, url, target, self.transport.origin)
        return target

    def _send(
        self,
        method: str,
        url: str,
        accept: Collection[int],
        headers: Mapping[str, str] | None,
        authorization: str | None,
        body: bytes | bytearray | Body | None,
        retry: bool,
    ) -> Response:
        headers = {**(headers or {}), **({"Authorization": authorization} if authorization else {})}
        mode = self.tokens.mode
        if not isinstance(body, Body):
            return self.transport.send(method, url, accept=accept, headers=headers, body=body, retry=retry, mode=mode)
        reader = body.open()
        try:
            return self.transport.send(method, url, accept=accept, headers=headers, body=reader, mode=mode)
        finally:
            reader.close()
