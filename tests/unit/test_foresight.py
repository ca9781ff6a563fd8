# SPDX-License-Identifier: MIT
"""What an earlier run has learned of how a registry lets us in: a hint, and what it must not be able to do."""

from __future__ import annotations

import base64
import threading

import pytest

from azext_acrimport.engine import (
    ANONYMOUS,
    AuthError,
    Credential,
    Denied,
    Descriptor,
    Digest,
    NotFound,
    RegistryClient,
    RegistryHints,
    ServerError,
    Unauthorized,
    greet,
)
from azext_acrimport.engine.auth import foresight
from azext_acrimport.engine.auth.scope import Scope
from azext_acrimport.engine.registry.download import BlobDownload
from tests.support.scripted import Script, Sent, answer, transport

HOST = "registry.test"
OWN = f"https://{HOST}/token"
ELSEWHERE = "https://auth.test/token"
PASSWORD = Credential("user name and password", username="bob", password="canary")
REFRESH = Credential("identity token", refresh_token="canary")
ENTRA = Credential("az login identity", entra_token="canary")
SECRETS = ("canary", base64.b64encode(b"bob:canary").decode())
PULL = (Scope.pull("app"),)


class Memory(RegistryHints):
    """As the az side keeps it, in a dictionary."""

    def __init__(self, **known: tuple[str, str]) -> None:
        self.known = {HOST: known["it"]} if known else {}
        self.storages: dict[str, str] = {}

    def token_service(self, host: str) -> tuple[str, str] | None:
        """As ``RegistryHints.token_service``."""
        return self.known.get(host)

    def learned_token_service(self, host: str, url: str, service: str) -> None:
        """As ``RegistryHints.learned_token_service``."""
        self.known[host] = url, service

    def forget_token_service(self, host: str) -> None:
        """As ``RegistryHints.forget_token_service``."""
        self.known.pop(host, None)

    def storage(self, host: str) -> str:
        """As ``RegistryHints.storage``."""
        return self.storages.get(host, "")

    def learned_storage(self, host: str, url: str) -> None:
        """As ``RegistryHints.learned_storage``."""
        self.storages[host] = url


class World(Script):
    """A registry with a token service at ``realm``. ``begun``: to which hosts connections were begun before."""

    def __init__(self, realm: str = OWN, **answers) -> None:
        super().__init__(self._answer)
        self.realm = realm
        self.registry = answers.get("registry", lambda sent: answer())
        self.refused = answers.get("refused", [])
        self.begun: list[str] = []

    def _answer(self, sent: Sent):
        url = sent.url.partition("?")[0]
        if url in self.refused:
            return answer(401)
        if url == self.realm or (url.startswith(f"https://{HOST}/") and "/v2/" not in url):
            member = b"refresh_token" if "exchange" in url else b"access_token"
            return answer(body=b'{"%b": "of-%b"}' % (member, url.encode().replace(b"/", b"-").replace(b":", b"-")))
        if not url.startswith(f"https://{HOST}/v2/"):
            return answer(body=b'{"token": "forged"}')
        if not sent.headers.get("Authorization", "").startswith("Bearer of-"):
            return answer(401, {"WWW-Authenticate": f'Bearer realm="{self.realm}",service="the-service"'})
        return self.registry(sent)

    def client(self, memory: RegistryHints | None, credential: Credential = ANONYMOUS, **options) -> RegistryClient:
        """A client that has this memory. ``provided`` counts how often it has asked who we are."""
        self.provided = 0

        def provide() -> Credential:
            self.provided += 1
            return credential

        side = transport(self)
        side.open_ahead = lambda url, count, sent_by="": self.begun.append(url)
        return RegistryClient(HOST, HOST, side, provide, hints=memory, **options)

    @property
    def ways(self) -> list[str]:
        """Each request in short: where, and with what."""
        return [f"{s.url.partition('?')[0]} {s.headers.get('Authorization', '-')[:8]}" for s in self.sent]


def get(of: RegistryClient, method: str = "GET") -> int:
    """One request."""
    return of.fetch(method, "/v2/app/manifests/1", scopes=PULL, accept={200}).status


MANIFEST = f"https://{HOST}/v2/app/manifests/1"


def test_what_was_learned_is_told():
    """With what the registry said, made absolute; nothing of a registry that wants no token, or by plain http."""
    memory = Memory()
    assert get(World().client(memory)) == 200
    assert memory.known == {HOST: (OWN, "the-service")}
    memory = Memory()
    relative = [answer(401, {"WWW-Authenticate": 'Bearer realm="/t"'}), answer(body=b'{"token": "t"}'), answer()]
    get(RegistryClient(HOST, HOST, transport(Script(relative)), lambda: ANONYMOUS, hints=memory))
    assert memory.known == {HOST: (f"https://{HOST}/t", "")}
    unusual = Memory()
    long = f'Bearer realm="{OWN}/{"x" * 500}"', f'Bearer realm="{OWN}",service="{"s" * 300}"'
    for scheme, header in [("http", 'Bearer realm="/t"'), *(("https", it) for it in ('Basic realm="x"', *long))]:
        answers = [answer(401, {"WWW-Authenticate": header}), answer(body=b'{"token": "t"}'), answer(), answer()]
        of = RegistryClient(HOST, HOST, transport(Script(answers)), lambda: PASSWORD, hints=unusual)
        of._meeting.known_base = f"{scheme}://{HOST}"
        get(of)
    assert unusual.known == {}


@pytest.mark.parametrize(
    ("realm", "credential"),
    [(OWN, ANONYMOUS), (OWN, PASSWORD), (OWN, REFRESH), (OWN, ENTRA), (ELSEWHERE, ANONYMOUS)],
    ids=["nobody", "password", "refresh token", "Entra token", "nobody, elsewhere"],
)
def test_first_request_carries_its_token(realm, credential):
    """No refusal; the connection to the registry is begun before the token is there, and the memory stays as it was."""
    memory, world = Memory(it=(realm, "the-service")), World(realm)
    of = world.client(memory, credential)
    assert get(of) == get(of) == 200
    assert world.ways[-2:] == [f"{MANIFEST} Bearer o"] * 2
    assert [way.partition(" ")[0] for way in world.ways[:-2]] == (
        [f"https://{HOST}/oauth2/exchange", OWN] if credential is ENTRA else [realm]
    )
    assert "service=the-service" in (world.sent[-3].url + world.sent[-3].body.decode())
    assert world.begun[0] == f"https://{HOST}/v2/"
    assert memory.known == {HOST: (realm, "the-service")}


def test_who_enters_asks_nothing_yet():
    """The token is there; what is asked of the registry is open, and the next request carries it."""
    world = World()
    of = world.client(Memory(it=(OWN, "")))
    assert of.enter("HEAD", "/v2/app/manifests/1", scopes=PULL, accept={200}, headers={}) is None
    assert get(of) == 200
    assert world.ways == [f"{OWN} -", f"{MANIFEST} Bearer o"]


def test_of_many_that_come_at_once_none_is_refused():
    """One goes first, with its token, and the others after it, each with its own."""
    world = World()
    of = world.client(Memory(it=(OWN, "")))
    path = "/v2/app-{}/manifests/1"
    threads = [
        threading.Thread(
            target=of.fetch, args=("GET", path.format(n)), kwargs={"scopes": [Scope.pull(f"app-{n}")], "accept": {200}}
        )
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(way for way in world.ways if "/v2/" in way) == [
        f"https://{HOST}{path.format(n)} Bearer o" for n in range(8)
    ]


def test_docker_hub_is_asked_at_once():
    """There the digest is asked for in any case: a look at what a tag names is not counted, a reading is."""
    for memory, first in ((Memory(it=(OWN, "")), []), (Memory(), [f"{MANIFEST} -"])):
        world = World()
        of = RegistryClient("docker.io", HOST, transport(world), lambda: ANONYMOUS, hints=memory)
        answered = of.enter("HEAD", "/v2/app/manifests/1", scopes=PULL, accept={200}, headers={})
        assert answered and answered.status == 200
        assert world.ways == [*first, f"{OWN} -", f"{MANIFEST} Bearer o"]


def test_answer_that_nothing_is_there_is_an_answer():
    """To look for a new tag is the first request to most targets."""
    world = World(registry=lambda sent: answer(404 if sent.method == "HEAD" else 200))
    of = world.client(Memory(it=(OWN, "")))
    with pytest.raises(NotFound):
        get(of, "HEAD")
    get(of)
    assert world.ways == [f"{OWN} -", *[f"{MANIFEST} Bearer o"] * 2]


@pytest.mark.parametrize("credential", [PASSWORD, REFRESH, ENTRA], ids=["password", "refresh token", "Entra token"])
@pytest.mark.parametrize("acr", [True, False])
def test_no_secret_leaves_for_a_realm_that_is_only_remembered(credential, acr):
    """Not even a question: only a connection is begun, until the registry has named it itself."""
    memory, world = Memory(it=("https://evil.test/token", "the-service")), World()
    assert get(world.client(memory, credential, acr=acr)) == 200
    assert not [sent for sent in world.sent if "evil" in sent.url]
    assert world.ways[0] == f"{MANIFEST} -"
    assert memory.known == {HOST: (OWN, "the-service")}


def test_password_goes_to_another_host_when_the_registry_has_named_it():
    """As Docker Hub has it. The connection was begun beside the one to the registry; that is wished for again then."""
    world = World(ELSEWHERE)
    assert get(world.client(Memory(it=(ELSEWHERE, "the-service")), PASSWORD)) == 200
    assert world.ways == [f"{MANIFEST} -", f"{ELSEWHERE} Basic Ym", f"{MANIFEST} Bearer o"]
    assert world.begun == [f"https://{HOST}/v2/", ELSEWHERE, ELSEWHERE]
    assert world.provided == 1  # that may have been a credential helper


@pytest.mark.parametrize("credential", [ANONYMOUS, PASSWORD, ENTRA], ids=["nobody", "password", "Entra token"])
@pytest.mark.parametrize(
    ("realm", "service"),
    [
        (f"http://{HOST}/token", "s"),
        ("http://evil.test/token", "s"),
        ("ftp://evil.test/token", "s"),
        ("//evil.test/token", "s"),
        ("/token", "s"),
        ("", ""),
        ("https://", "s"),
        ("https://[::1", "s"),
        ("https://127.0.0.1/token", "s"),
        ("https://[::1]/token", "s"),
        ("https://10.1.2.3/token", "s"),
        ("https://169.254.169.254/token", "s"),
        ("https://0x7f000001/token", "s"),
        ("https://localhost/token", "s"),
        ("https://bob:pw@evil.test/token", "s"),
        (f"https://{HOST}@evil.test/token", "s"),
        (f"https://{HOST}\\@evil.test/token", "s"),
        (f"https://{HOST}/token\r\nX-Evil: 1", "s"),
        (f"https://{HOST}/" + "x" * 500, "s"),
        (OWN, "s" * 300),
        (OWN, "s\r\nX-Evil: 1"),
        (OWN, "s\u202e"),
    ],
)
def test_memory_that_somebody_has_poisoned_does_nothing(realm, service, credential):
    """The registry is asked as without it, nothing is sent or connected anywhere else, and the memory is mended."""
    memory, world = Memory(it=(realm, service)), World()
    assert get(world.client(memory, credential)) == 200
    assert world.ways[0] == f"{MANIFEST} -"
    assert {sent.url.split("/")[2] for sent in world.sent} == {HOST}
    assert world.begun == []
    assert memory.known == {HOST: (OWN, "the-service")}


def test_token_of_somebody_else_is_of_no_use_to_him():
    """Whoever is asked for nobody's token learns what is asked for, and no more; the registry says who is right."""
    memory, world = Memory(it=("https://evil.test/token", "the-service")), World()
    assert get(world.client(memory)) == 200
    assert world.ways == [
        "https://evil.test/token -", f"{MANIFEST} Bearer f", f"{OWN} -", f"{MANIFEST} Bearer o",
    ]  # fmt: skip
    assert memory.known == {HOST: (OWN, "the-service")}


def test_registry_that_has_moved_its_tokens_is_believed():
    """Its own challenge wins, for a secret, too."""
    memory, world = Memory(it=(f"https://{HOST}/old", "the-service")), World()
    world.refused.append(f"https://{HOST}/old")
    assert get(world.client(memory, PASSWORD)) == 200
    assert world.ways == [
        f"https://{HOST}/old Basic Ym", f"{MANIFEST} -", f"{OWN} Basic Ym", f"{MANIFEST} Bearer o",
    ]  # fmt: skip
    assert memory.known == {HOST: (OWN, "the-service")}


def test_refusal_by_a_remembered_realm_is_nobodys_end():
    """Nobody else of the chain is tried for it: the registry may have another one, which takes the first."""
    asked: list[str] = []
    world = World()
    world.refused.append(f"https://{HOST}/old")
    of = world.client(
        Memory(it=(f"https://{HOST}/old", "")),
        Credential("first", username="bob", password="canary", otherwise=lambda: asked.append("next")),
    )
    assert get(of) == 200
    assert (asked, of.tokens.mode) == ([], "first")


def test_what_has_failed_is_forgotten_and_not_tried_again():
    """Also where the registry lets everybody in by now; and nothing waits for a service that is down."""
    memory, script = Memory(it=(OWN, "the-service")), Script([answer(503), answer(), answer()])
    of = RegistryClient(HOST, HOST, transport(script), lambda: ANONYMOUS, hints=memory)
    assert get(of) == get(of) == 200
    assert [sent.url.partition("?")[0] for sent in script.sent] == [OWN, MANIFEST, MANIFEST]
    assert (memory.known, of.transport.cancellation.waits, of.tokens.asked) == ({}, [], False)


def test_memory_that_does_not_forget_is_asked_once():
    """Two that enter before anybody was let in."""
    memory, script = Memory(it=(OWN, "")), Script([answer(503), answer(503), answer(503), answer(503)])
    memory.forget = lambda host: None
    of = RegistryClient(HOST, HOST, transport(script, attempts=1), lambda: ANONYMOUS, hints=memory)
    for _ in range(2):
        with pytest.raises(ServerError):
            of.enter("HEAD", "/v2/app/manifests/1", scopes=PULL, accept={200}, headers={})
    assert [sent.url.partition("?")[0] for sent in script.sent] == [OWN, MANIFEST, MANIFEST]


@pytest.mark.parametrize("refusal", [503, 401])
def test_realm_that_was_right_is_as_good_as_one_that_was_named(refusal):
    """What goes wrong there later is tried again, or is the end of one credential, and not of all."""
    world = World()
    nobody = Credential("anonymous")
    of = world.client(Memory(it=(OWN, "")), Credential("first", "bob", "canary", otherwise=lambda: nobody))
    assert get(of) == 200
    really, left = world.answers, [refusal]
    world.answers = lambda sent: answer(left.pop()) if left and OWN in sent.url else really(sent)
    assert of.fetch("GET", "/v2/other/manifests/1", scopes=(Scope.pull("other"),), accept={200}).status == 200
    assert of.tokens.mode == ("first" if refusal == 503 else "first, then anonymous")
    assert not [way for way in world.ways if "/v2/" in way and "Bearer" not in way]


@pytest.mark.parametrize("status", [400, 403])
def test_whatever_the_registry_does_not_like_is_asked_without_it(status):
    """Once more, as without a memory: then the word of the registry counts."""
    memory, world = Memory(it=(f"https://{HOST}/old", "the-service")), World()
    world.registry = lambda sent: answer(status if "old" in sent.headers["Authorization"] else 200)
    assert get(world.client(memory)) == 200
    assert world.ways[2:] == [f"{MANIFEST} -", f"{OWN} -", f"{MANIFEST} Bearer o"]
    world.registry = lambda sent: answer(403)
    with pytest.raises(Denied):
        get(world.client(memory))


def test_refusal_that_offers_nothing_is_asked_without_it():
    """Some say nothing of a token that they do not know; and who is refused in the end hears it as without a memory."""
    world = World()
    world.registry = lambda sent: answer(401 if "old" in sent.headers["Authorization"] else 200)
    assert get(world.client(Memory(it=(f"https://{HOST}/old", "")))) == 200
    world.registry = lambda sent: answer(401, {"WWW-Authenticate": f'Bearer realm="{OWN}"'})
    with pytest.raises(Unauthorized):
        get(world.client(Memory(it=(OWN, ""))))


def test_token_service_that_dawdles_is_not_waited_for(monkeypatch):
    """What it gives in the end is not used, either: the registry has said meanwhile who is right."""
    monkeypatch.setattr(foresight, "PATIENCE", 0.0)
    monkeypatch.setattr("tests.support.scripted.Patience.now", lambda self: 1.0)
    asked, free = threading.Event(), threading.Event()
    memory, world = Memory(it=(f"https://{HOST}/slow", "the-service")), World()
    really = world._answer

    def slow(sent: Sent):
        if "/slow" in sent.url:
            asked.set()
            assert free.wait(30)
        return really(sent)

    world.answers = slow
    before = set(threading.enumerate())
    of = world.client(memory)
    assert get(of) == 200
    (late,) = set(threading.enumerate()) - before
    assert asked.wait(30)
    free.set()
    late.join()
    assert get(of) == 200
    assert world.sent[-1].headers["Authorization"] == "Bearer of-https---registry.test-token"
    assert memory.known == {HOST: (OWN, "the-service")}


class TestGreeting:
    """What a registry has said to nobody in particular, before there was anything to ask."""

    def greeted(self, world: World, credential: Credential = ANONYMOUS, **options) -> RegistryClient:
        """A client that knows what the registry has said, or that it has said nothing."""
        of = world.client(None, credential)
        greeting = greet(HOST, of.transport)
        return RegistryClient(HOST, HOST, of.transport, lambda: credential, greeting=greeting, **options)

    @pytest.mark.parametrize("credential", [ANONYMOUS, PASSWORD, REFRESH, ENTRA])
    def test_saves_a_refusal(self, credential):
        """The first request has its token, fetched as the registry has just said."""
        world = World()
        of = self.greeted(world, credential)
        assert get(of) == get(of) == 200
        exchange = [f"https://{HOST}/oauth2/exchange"] if credential is ENTRA else []
        asked = [way.partition(" ")[0] for way in world.ways]
        assert asked == [f"https://{HOST}/v2/", *exchange, OWN, MANIFEST, MANIFEST]
        assert "Authorization" not in world.sent[0].headers

    @pytest.mark.parametrize("credential", [PASSWORD, REFRESH, ENTRA])
    def test_leads_no_secret_of_azure_elsewhere(self, credential):
        """It is believed no more than a refusal."""
        world = World("https://evil.test/token")
        with pytest.raises(AuthError, match=r"is not sent to https://evil\.test"):
            get(self.greeted(world, credential, acr=True))
        assert not [sent for sent in world.sent if "evil" in sent.url]

    @pytest.mark.parametrize(
        "said",
        [
            answer(200, {"WWW-Authenticate": f'Bearer realm="{OWN}"'}),
            answer(403),
            answer(503),
            answer(401),
            answer(401, {"WWW-Authenticate": "Negotiate"}),
            answer(401, {"WWW-Authenticate": 'Bearer realm="http://elsewhere.test/token"'}),
            OSError("cut"),
        ],
    )
    def test_that_says_nothing_is_none(self, said):
        """The registry is asked as ever, and nobody has waited, or tried again, for that."""
        world = World()
        really = world._answer
        world.answers = lambda sent: said if sent.url.endswith("/v2/") else really(sent)
        of = self.greeted(world)
        assert get(of) == 200
        assert [way.split("/")[-1] for way in world.ways] == [" -", "1 -", "token -", "1 Bearer o"]
        assert of.transport.cancellation.waits == []

    def test_of_another_host_is_none(self):
        """A front door that sends us away does not say how one signs in here."""
        world = World()
        really = world._answer

        def away(sent: Sent):
            if sent.url.endswith(f"{HOST}/v2/"):
                return answer(302, {"Location": "https://elsewhere.test/v2/"})
            if "elsewhere" in sent.url:
                return answer(401, {"WWW-Authenticate": 'Bearer realm="https://elsewhere.test/token"'})
            return really(sent)

        world.answers = away
        assert get(self.greeted(world, PASSWORD)) == 200
        assert not [sent for sent in world.sent if "elsewhere.test/token" in sent.url]

    def test_that_dawdles_is_not_waited_for(self, monkeypatch):
        """As with a token service."""
        monkeypatch.setattr(foresight, "PATIENCE", 0.0)
        monkeypatch.setattr("tests.support.scripted.Patience.now", lambda self: 1.0)
        free, world = threading.Event(), World()
        really = world._answer
        world.answers = lambda sent: really(sent) if not sent.url.endswith("/v2/") or free.wait(30) else None
        assert get(self.greeted(world)) == 200
        free.set()


def test_engine_remembers_nothing_by_itself():
    """Who uses it as a library passes a memory in, or there is none."""
    world = World()
    assert get(world.client(None)) == 200
    assert world.ways[0] == f"{MANIFEST} -"
    assert RegistryHints().token_service(HOST) is None


BLOB = Descriptor("x", Digest.of(b"blob"), 4)
STORAGE = "https://storage.test"


def read(of: RegistryClient, early: bool) -> bytes:
    """One blob, asked for before it is wanted or when it is."""
    download = BlobDownload(of, "app", BLOB, PULL)
    if early:
        download.ask()
        download.start()
    return download.read(4)


@pytest.mark.parametrize("early", [True, False])
def test_where_blobs_come_from_is_learned(early):
    """It is where the registry has sent us the last time, and nowhere when it has given the blob itself."""
    sent = answer(307, {"Location": f"{STORAGE}/blob?sig=secret"})
    answers = [sent, answer(body=b"blob"), answer(body=b"blob")]
    memory = Memory()
    of = RegistryClient(HOST, HOST, transport(Script(answers)), lambda: ANONYMOUS, hints=memory)
    assert read(of, early) == b"blob"
    assert memory.storages == {HOST: STORAGE}
    assert read(of, early) == b"blob"
    assert memory.storages == {HOST: ""}


@pytest.mark.parametrize("origin", ["source", "target"])
def test_connections_to_where_blobs_come_from_are_begun(origin):
    """When an image is to be brought from there, and no more than a small one needs."""
    memory, begun = Memory(), []
    memory.storages[HOST] = STORAGE
    side = transport(Script([]), origin=origin)
    side.open_ahead = lambda url, count, sent_by="": begun.append((url, count, sent_by))
    of = RegistryClient(HOST, HOST, side, lambda: ANONYMOUS, hints=memory)
    own = f"https://{HOST}/v2/"
    of.base, of.expect(2), of.expect(16)
    storage = [(STORAGE, 2, own), (STORAGE, 4, own)] if origin == "source" else [None, None]
    assert begun == [
        found for pair in zip([(own, 2, ""), (own, 16, "")], storage, strict=True) for found in pair if found
    ]


@pytest.mark.parametrize("learned", [False, True])
def test_connections_that_many_images_need_are_begun_when_the_host_has_answered(learned):
    """Not before: it may not be there. Where it is known how it lets us in, it is taken to be."""
    memory, begun = Memory(it=(OWN, HOST)) if learned else Memory(), []
    script = Script([answer(body=b'{"token": "t"}') if learned else answer(), answer()])
    side = transport(script)
    side.open_ahead = lambda url, count, sent_by="": begun.append((len(script.asked), count))
    of = RegistryClient(HOST, HOST, side, lambda: ANONYMOUS, hints=memory)
    of.expect(40), of.expect(30)
    assert begun == []
    for _ in range(2):
        of.enter("HEAD", "/v2/app/manifests/1", scopes=PULL, accept={200}, headers={})
    assert [(asked, count) for asked, count in begun if count == 40] == [(0 if learned else 1, 40)]


@pytest.mark.parametrize("acr", [False, True])
def test_connection_to_a_token_service_is_begun_before_those_that_blobs_will_need(acr):
    """Each of them takes its while to begin. An Azure registry has its tokens at itself, whatever it names."""
    world = World(ELSEWHERE)
    of = world.client(Memory(), acr=acr)
    of.expect(3)
    get(of)
    assert world.begun == [*([] if acr else [ELSEWHERE]), f"https://{HOST}/v2/"]


@pytest.mark.parametrize(
    "url",
    [
        "http://storage.test",
        "https://10.1.2.3",
        "https://u:p@storage.test",
        "https://storage.test/blobs x",
        "ftp://storage.test",
        "/blobs",
        "https://",
    ],
)
def test_where_no_redirect_may_lead_nothing_is_begun(url):
    """Whoever has written it."""
    memory, begun = Memory(), []
    memory.storages[HOST] = url
    side = transport(Script([]))
    side.open_ahead = lambda url, count, sent_by="": begun.append(url)
    of = RegistryClient(HOST, HOST, side, lambda: ANONYMOUS, hints=memory)
    of.base, of.expect(2)
    assert begun == [f"https://{HOST}/v2/"]
