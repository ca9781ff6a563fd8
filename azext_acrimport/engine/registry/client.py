# SPDX-License-Identifier: MIT
"""One registry host: its address, its authorization, and requests that carry it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

from ..auth.challenge import Challenge
from ..auth.credential import CredentialProvider
from ..auth.foresight import CONNECTIONS, Foresight, Greeting
from ..auth.provider import TokenProvider
from ..auth.remembered import RegistryHints
from ..auth.renewal import Admissions, Renewal
from ..auth.scope import Scope
from ..content.descriptor import MAX_SIZE
from ..content.reference import DOCKER_HUB
from ..content.stream import Body, VerifyingReader
from ..errors import Denied, EngineError, RateLimited, RegistryError
from ..transport import addresses
from ..transport.response import Answer, Response
from ..transport.retry import Pace
from ..transport.transport import MAX_ERROR_BYTES, Transport
from ..waiting import LOOK
from .early import EarlyConnections
from .meeting import Meeting
from .quota import QuotaMeter

__all__ = ["RegistryClient"]

Answered = TypeVar("Answered", Answer, Response)
Send = Callable[..., Answered]
# An Azure container registry lets an identity ask for referrers 250 times a minute; we are not the only one to ask.
ACR_REFERRERS = (200, 60.0)


class RegistryClient:
    """Shared by all repositories of a host on one side, and by all threads.

    ``host`` serves the API (registry-1.docker.io), ``registry`` is its name to people (docker.io). ``acr``: an Azure
    container registry, which can tell more; ``soft_delete``: one that keeps deleted manifests for some days.
    ``too_large``: bytes from which on it takes no blob in one request, as far as that has been found out.
    ``hints``: what earlier runs have learned of how it lets us in; ``greeting``: what it has just said of that.
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
        hints: RegistryHints | None = None,
        greeting: Greeting | None = None,
    ) -> None:
        self.registry = registry
        self.host = host
        self.acr = acr
        self.soft_delete = soft_delete
        self.too_large = MAX_SIZE + 1
        self.referrers_pace = Pace(*ACR_REFERRERS, registry)
        self.meter = QuotaMeter() if registry == DOCKER_HUB else None
        self.transport = transport
        hints = hints or RegistryHints()
        self.tokens = TokenProvider(host, transport, provide, hints, acr=acr)
        self._early = EarlyConnections(host, transport, hints)
        self._foresight = Foresight(host, transport, self.tokens, hints, self._early.has_answered, greeting)
        transport.names[host] = registry
        self._meeting = Meeting(host, transport)
        self._admissions = Admissions()
        self._alone = threading.Lock()

    @property
    def base(self) -> str:
        """As ``Meeting.base``."""
        return self._meeting.base

    def expect(self, requests: int) -> None:
        """Be told that so many will come at once: connections are opened meanwhile, or with the first answer."""
        self._early.expect(self._meeting.known_base, requests)

    def is_led_to(self, url: str) -> None:
        """Be told where a blob is said to be: a connection is opened, in case that somebody goes there."""
        self._early.is_led_to(self._meeting.known_base, url)

    def was_led_to(self, url: str) -> None:
        """Be told where a blob was: the next ones will be there, too."""
        self._early.was_led_to(self._meeting.known_base, url)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """For what takes much memory: one thread after the other. Raises Cancelled."""
        while not self._alone.acquire(timeout=LOOK):
            self.transport.cancellation.check()
        try:
            yield
        finally:
            self._alone.release()

    def fetch(
        self,
        method: str,
        path: str,
        *,
        scopes: Iterable[Scope],
        accept: Collection[int],
        limit: int = MAX_ERROR_BYTES,
        headers: Mapping[str, str] | None = None,
        body: bytes | bytearray | Body | None = None,
        retry: bool = True,
    ) -> Answer:
        """Ask, and have the whole answer, of at most ``limit`` bytes. Raises what Transport.fetch raises.

        With authorization; after a 401, once more with a newer one (and again while others are let in), and as who else
        we may be. ``path`` may be an absolute URL from ``locate``: on another host it is sent without authorization.
        """
        answer = self._sent(
            partial(self.transport.fetch, limit=limit), method, path, scopes, accept, headers, body, retry
        )
        assert answer
        return answer

    def enter(
        self, method: str, path: str, *, scopes: Iterable[Scope], accept: Collection[int], headers: Mapping[str, str]
    ) -> Answer | None:
        """As ``fetch``; None when the registry wanted a token first, which is here now: what is asked is open again.

        Where readings are counted it is asked all the same: it is HEAD, which is needed there in any case.
        """
        self._early.expect("", CONNECTIONS)  # with the first answer: that the host is there is not known before
        return self._sent(
            self.transport.fetch, method, path, scopes, accept, headers, None, retry=True, only_enter=True
        )

    def open(
        self,
        method: str,
        path: str,
        *,
        scopes: Iterable[Scope],
        accept: Collection[int],
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
    ) -> Response:
        """As ``fetch``, with the body still on the wire: for whoever reads it to close."""
        answer = self._sent(self.transport.open, method, path, scopes, accept, headers, None, retry)
        assert answer
        return answer

    def _sent(
        self,
        send: Send[Answered],
        method: str,
        path: str,
        scopes: Iterable[Scope],
        accept: Collection[int],
        headers: Mapping[str, str] | None,
        body: bytes | bytearray | Body | None,
        retry: bool,
        *,
        only_enter: bool = False,
    ) -> Answered | None:
        scopes = tuple(scopes)
        sent_by = "" if path.startswith("/") else self.base

        def once(url: str, authorization: str | None) -> Answered:
            sent = {**(headers or {}), **({"Authorization": authorization} if authorization else {})}
            content = body.open() if isinstance(body, Body) else body
            try:
                return send(
                    method,
                    url,
                    accept={*accept, 401},
                    headers=sent,
                    body=content,
                    retry=retry,
                    mode=self.tokens.mode_for(scopes),
                    sent_by=sent_by,
                )
            finally:
                if isinstance(content, VerifyingReader):
                    content.close()

        try:
            answer = self._authorized(once, method, path, scopes, wants_401=401 in accept, only_enter=only_enter)
            if answer is None:
                return None
            if answer.status == 401 and 401 not in accept:
                raise self.transport.refusal(method, answer, self.tokens.mode_for(scopes))
            if self.meter:
                self.meter.read(answer.headers)
            return answer
        except EngineError as error:
            if error.origin == self.transport.origin:  # not that of the source inside an upload to the target
                self._complete(error, scopes)
            raise

    def _complete(self, error: EngineError, scopes: tuple[Scope, ...]) -> None:
        """What only we know of it: which repository it was for, and who we were."""
        error.repository = error.repository or next((s.repository for s in scopes if s.kind == "repository"), "")
        error.mode = error.mode or (self.tokens.mode_for(scopes) if self.tokens.asked else "")
        if self.meter and isinstance(error, RateLimited) and error.is_quota:
            self.meter.spent()
            error.window = self.meter.quota.window if self.meter.quota else 0
        if isinstance(error, Denied):
            error.by_repository = self.tokens.by_repository

    def _authorized(
        self,
        once: Callable[[str, str | None], Answered],
        method: str,
        path: str,
        scopes: tuple[Scope, ...],
        *,
        wants_401: bool,
        only_enter: bool,
    ) -> Answered | None:
        url = self.base + path if path.startswith("/") else path
        ours = path.startswith("/") or self._is_ours(url)
        refusal: RegistryError | None = None
        renewal = Renewal(self._admissions)

        def ask(authorization: str | None) -> tuple[Answered, Challenge | None, Answer | None]:
            """The answer; where it is a refusal that is for us, also how to sign in, and its body."""
            with renewal:
                answer = once(url, authorization)
                # a host that we were redirected to is answered by nobody: its token service does not see our credential
                if answer.status != 401 or wants_401 or not ours or not self._is_ours(answer.url):
                    self._early.has_answered(self._meeting.known_base)
                    self._admissions.count(let_in=1)
                    return answer, None, None
            refused = self.transport.whole(answer)  # a token may be at the same host: its connection is free for it
            challenge = self.tokens.learn(Challenge.parse_all(refused.headers.get("WWW-Authenticate", "")), url)
            self._early.has_answered(self._meeting.known_base)  # the connection to its token service is needed first
            return answer, challenge, refused

        if only_enter and not self._meeting.is_over and not self.meter and self._foresight.header(self.base, scopes):
            return None
        met = self._meeting.first(lambda: self._foresight.first(ask, self.base, scopes), self.expect) if ours else None
        authorization, asked = met or (self.tokens.authorization(scopes) if ours else None, None)
        while True:
            answer, challenge, refused = asked or ask(authorization)
            if refused is None:
                return answer
            who, newer, asked = self.tokens.who(scopes), None, None
            if renewal.is_worthwhile(challenge):
                newer = self.tokens.renewed(challenge, scopes, rejected=authorization)
            if newer is None:
                # of all refusals the first is the one that a person can mend
                refusal = refusal or self.transport.refusal(method, refused, self.tokens.mode_for(scopes))
                newer = self.tokens.another(who, challenge, scopes, authorization, refusal)
            if only_enter and not self.meter:
                return None
            authorization = newer

    def _is_ours(self, url: str) -> bool:
        return addresses.parted(url)[:2] == addresses.parted(self.base)[:2]

    def locate(self, location: str, url: str) -> str:
        """The absolute URL of a Location header, kept on this host and scheme where it names this host.

        A registry behind a proxy often names itself by http or without its port. Raises NetworkError when it points
        somewhere it must not.
        """
        target = addresses.join(url, location, self.transport.origin)
        parts, own = urlsplit(target), urlsplit(self.base)
        if parts.hostname == own.hostname and parts.port in (own.port, None, 80, 443):
            return parts._replace(scheme=own.scheme, netloc=own.netloc).geturl()
        addresses.check_redirect(url, url, target, self.transport.origin)
        return target
