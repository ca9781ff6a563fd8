# SPDX-License-Identifier: MIT
"""Servers that want our memory, our time or our tokens get none of them. Over sockets, as they would come."""

from __future__ import annotations

import contextlib
import gzip
import io
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import trustme
import urllib3.connection

from azext_acrimport.engine import (
    AuthError,
    Body,
    Cancellation,
    CopyRequest,
    Credential,
    Descriptor,
    Destination,
    Digest,
    EngineError,
    ManifestError,
    NetworkError,
    NotFound,
    RegistryClient,
    RegistryHints,
    RegistryRepository,
    RetryPolicy,
    Transport,
    copy_images,
)
from azext_acrimport.engine.auth.scope import Scope
from azext_acrimport.engine.transport import addresses, connection, head, response
from azext_acrimport.engine.transport.options import TransportOptions
from tests.sandbox.server import Listener, Request, Response
from tests.support.dawdler import DAWDLERS, Dawdler
from tests.support.stores import MemoryStore

GIGABYTE = 1 << 30
MEGABYTE = 1 << 20
# What may be on its way in buffers of both sockets when we stop reading: far less than what was offered.
ON_ITS_WAY = 24 * MEGABYTE
ENTRA = Credential("the az login identity", entra_token="entra-token-canary")


@contextlib.contextmanager
def repository(address: str, credential: Credential = ENTRA) -> Iterator[RegistryRepository]:
    """team/app there, as source."""
    options = TransportOptions(retry=RetryPolicy(attempts=2, base=0.0), read_timeout=5)
    with contextlib.closing(Transport("source", options)) as transport:
        yield RegistryRepository(RegistryClient(address, address, transport, lambda: credential), "team/app")


class Flood:
    """A body of a gigabyte; ``sent`` bytes of it were taken."""

    def __init__(self) -> None:
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        while self.sent < GIGABYTE:
            yield b'{"errors": [' + b" " * MEGABYTE
            self.sent += MEGABYTE


def flooding(status: int, **headers: str) -> tuple[Flood, Callable[[Request], Response]]:
    """A server that answers everything but ``/v2/`` with a flood."""
    flood = Flood()
    return flood, lambda _: Response(status, {k.replace("_", "-"): v for k, v in headers.items()}, flood, GIGABYTE)


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFound), (400, EngineError), (200, ManifestError)], ids=["404", "400", "manifest"]
)
def test_flood_is_not_drunk(status, kind):
    """An error body, or a manifest, of a gigabyte: read up to the limit, and the connection is closed."""
    flood, handler = flooding(status)
    with Listener(handler) as server, repository(server.address) as store, pytest.raises(kind):
        store.resolve("1")
    assert flood.sent < ON_ITS_WAY


def test_token_of_a_gigabyte():
    """From a token service."""
    flood = Flood()

    def handler(request: Request) -> Response:
        if request.path == "/token":
            return Response(200, {}, flood, GIGABYTE)
        return Response(401, {"WWW-Authenticate": 'Bearer realm="/token"'})

    with Listener(handler) as server, repository(server.address, Credential()) as store, pytest.raises(EngineError):
        store.resolve("1")
    assert flood.sent < ON_ITS_WAY


@pytest.mark.parametrize(
    "headers",
    [
        {"WWW-Authenticate": "Bearer " + 'realm="x",' * 100_000},
        {"WWW-Authenticate": "a " * 500_000},
        {f"X-{number}": "x" for number in range(5000)},
        {"Location": "https://registry.test/" + "x" * MEGABYTE},
    ],
    ids=["challenge", "challenge of schemes", "many headers", "Location"],
)
def test_headers_of_a_megabyte(headers):
    """They end in an error, soon."""
    status = 307 if "Location" in headers else 401
    with (
        Listener(lambda _: Response(status, headers)) as server,
        repository(server.address) as store,
        pytest.raises(EngineError),
    ):
        store.resolve("1")


def test_header_that_never_ends():
    """Bytes without a line's end: the limit of a line ends it, not patience."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        stopped = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not stopped.is_set():
                    connection, _ = server.accept()
                    with contextlib.suppress(OSError), connection:
                        while not stopped.is_set():
                            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * MEGABYTE)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with repository(address) as store, pytest.raises(NetworkError):
            store.resolve("1")
        stopped.set()
        server.close()


def test_compressed_bomb_is_not_unpacked():
    """We ask for no compression; what comes compressed anyway is hashed as it came, and is no manifest."""
    bomb = gzip.compress(b" " * 64 * MEGABYTE)
    handler = lambda _: Response(200, {"Content-Encoding": "gzip"}, bomb)  # noqa: E731
    with Listener(handler) as server, repository(server.address) as store:
        found = store.resolve("1")
        assert found.size in (-1, len(bomb))


@pytest.mark.parametrize(
    "realm",
    [
        "/oauth2/token",
        "https://127.0.0.1:1/oauth2/token",
        "http://169.254.169.254/metadata/identity",
        "https://myregistry.azurecr.io/oauth2/token",
        "https://myregistry.azurecr.io@127.0.0.1:1/oauth2/token",
        "file:///etc/passwd",
        "https://[::1",
        "",
    ],
)
def test_imitated_registry_gets_no_entra_token(realm):
    """Whatever it names as its token service: http is not https, and another host is not the registry."""
    seen: list[bytes] = []

    def handler(request: Request) -> Response:
        seen.append(request.body.read_all() + str(request.headers).encode())
        return Response(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="myregistry.azurecr.io"'})

    with Listener(handler) as server, repository(server.address) as store, pytest.raises(AuthError):
        store.resolve("1")
    assert seen
    assert not any(b"canary" in text for text in seen)


@pytest.mark.parametrize("where", ["manifest", "blob"])
def test_registry_that_sends_us_round_in_circles(where):
    """Ten redirects are enough for anybody."""
    asked: list[str] = []

    def handler(request: Request) -> Response:
        asked.append(request.path)
        return Response(307, {"Location": f"{request.path}x"})

    with Listener(handler) as server, repository(server.address) as store, pytest.raises(NetworkError):
        if where == "blob":
            store.blob(Descriptor("x", Digest.of(b"x"), 1)).open().read(1)
        else:
            store.resolve("1")
    assert len(asked) < 60


def test_redirect_that_asks_for_a_password_does_not_get_it():
    """The host behind a redirect has a token service of its own, and no claim on our credential."""
    seen: list[str] = []

    def evil(request: Request) -> Response:
        seen.append(str(request.headers))
        return Response(401, {"WWW-Authenticate": f'Bearer realm="http://{request.host}/token"'})

    password = Credential("user name and password", username="bob", password="canary")
    with Listener(evil) as other:
        handler = lambda request: Response(307, {"Location": f"http://{other.address}{request.path}"})  # noqa: E731
        with Listener(handler) as server, repository(server.address, password) as store, pytest.raises(EngineError):
            store.resolve("1")
    assert seen
    assert not any("Authorization" in headers for headers in seen)


@pytest.mark.parametrize("jobs", [1, 8])
@pytest.mark.parametrize("what", DAWDLERS)
def test_nothing_is_waited_for_longer_than_it_is_wanted(what, jobs):
    """--timeout ends every wait: the server would go on for a minute, and we have left long before."""
    cancellation = Cancellation()
    with Dawdler(*DAWDLERS[what]) as server, contextlib.closing(Transport("source", cancellation=cancellation)) as way:
        client = RegistryClient(server.address, server.address, way, lambda: Credential(username="u", password="p"))
        store = RegistryRepository(client, "team/app")
        request = CopyRequest(store, "1", (Destination(MemoryStore("target", "team/app"), ("1",)),))
        left = threading.Timer(30, server.over.set)
        left.start()
        with cancellation.within(0.5):
            report = copy_images([request] * min(jobs, 3), cancellation, jobs=jobs)
        left.cancel()
        assert {item.status for item in report.items} == {"cancelled"}
        assert not server.over.is_set()


@pytest.mark.parametrize("what", [name for name in DAWDLERS if name not in ("silence", "body of a redirect")])
def test_answer_that_trickles_is_none(what, monkeypatch):
    """Nobody has asked for an end, and it comes all the same."""
    monkeypatch.setattr(head, "HEADER_SECONDS", 0.1)
    monkeypatch.setattr(response, "TRICKLE_SECONDS", 0.1)
    with Dawdler(*DAWDLERS[what]) as server, repository(server.address) as store:
        left = threading.Timer(30, server.over.set)
        left.start()
        with pytest.raises(EngineError):
            store.read("1")
        left.cancel()
        assert not server.over.is_set()


@pytest.mark.parametrize("jobs", [1, 8])
def test_name_that_is_looked_up_for_ever(jobs, monkeypatch):
    """The system's resolver cannot be interrupted, so nobody waits in it."""
    asked = threading.Event()
    monkeypatch.setattr(connection.socket, "getaddrinfo", lambda *_: asked.wait(30) and [])
    cancellation = Cancellation()
    with contextlib.closing(Transport("source", cancellation=cancellation)) as way:
        store = RegistryRepository(RegistryClient("r.test", "r.test", way, lambda: ENTRA), "team/app")
        request = CopyRequest(store, "1", (Destination(MemoryStore("target", "team/app"), ("1",)),))
        left = threading.Timer(20, asked.set)
        left.start()
        with cancellation.within(0.2):
            report = copy_images([request], cancellation, jobs=jobs)
        left.cancel()
    assert report.items[0].status == "cancelled"
    assert not asked.is_set()
    asked.set()


@pytest.fixture
def names(monkeypatch):
    """A dictionary of names and their addresses; 127.0.0.1 counts as public here, where no other address answers."""
    places: dict[str, list[str]] = {}
    really, public = socket.getaddrinfo, addresses._is_public

    def look_up(host: str, port: int, *rest: object) -> list[tuple[object, ...]]:
        return [entry for address in places.get(host, [host]) for entry in really(address, port, *rest)]

    monkeypatch.setattr(connection.socket, "getaddrinfo", look_up)
    monkeypatch.setattr(addresses, "_is_public", lambda address: str(address) == "127.0.0.1" or public(address))
    return places


WAYS = {
    "redirect": Response(307, {"Location": "http://{}/v2/secret"}),
    "upload": Response(202, {"Location": "http://{}/upload"}),
}


def tried(way: str, port: int, to: str) -> EngineError | None:
    """What becomes of a registry at public.test:PORT that sends us to the other place in this way."""
    options = TransportOptions(
        retry=RetryPolicy(attempts=1), plain_http_hosts=frozenset({f"public.test:{port}", f"{to}:{port}"})
    )
    with contextlib.closing(Transport("target", options)) as transport:
        host = f"public.test:{port}"
        client = RegistryClient(host, host, transport, lambda: Credential(username="u", password="p"))
        client._meeting.known_base = f"http://{host}"
        store = RegistryRepository(client, "app")
        try:
            if way == "upload":
                content = Descriptor("x", Digest.of(b"x"), 1)
                store.put_blob(content, Body(content, lambda: io.BytesIO(b"x"), origin="source"))
            else:
                store.read("1")
        except EngineError as error:
            return error
    return None


INSIDE = [
    "10.1.2.3",
    "169.254.169.254",
    "168.63.129.16",
    "127.0.0.2",
    "fd00::1",
    "fe80::1",
    "64:ff9b::a01:203",
    "2002:a01:203::",
]


@pytest.mark.parametrize("address", INSIDE)
@pytest.mark.parametrize("way", ["redirect", "upload"])
def test_name_that_leads_inside_is_not_followed(way, address, names):
    """A public registry names a host with an innocent name: its address is looked at before anything is sent."""
    names |= {"public.test": ["127.0.0.1"], "innocent.test": [address]}
    with sending(way, "innocent.test") as (server, asked):
        error = tried(way, server.port, "innocent.test")
    assert error is not None and "private address" in str(error), error
    assert not [path for host, path in asked if "innocent" in host]


def test_realm_that_leads_inside_is_not_asked(names):
    """At the registry's own name: there it may be without TLS, and there another port is another place."""
    names |= {"public.test": ["127.0.0.1"]}
    seen: list[str] = []

    def handler(request: Request) -> Response:
        seen.append(request.path)
        names["public.test"] = ["10.1.2.3"]  # what it is called leads elsewhere the next time it is looked up
        realm = f"http://public.test:{server.port + 1}/token"
        return Response(401, {"WWW-Authenticate": f'Bearer realm="{realm}"'})

    with Listener(handler) as server:
        error = tried("realm", server.port, "public.test")
    assert "private address 10.1.2.3" in str(error)
    assert len(seen) == 1


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_remembered_and_leads_inside_is_not_connected_to(address, names, monkeypatch, tmp_path):
    """Not even ahead of any question; the registry is asked as if nothing were remembered."""
    names |= {"public.test": ["127.0.0.1"], "innocent.test": [address]}
    connected: list[str] = []
    connect = urllib3.connection.connection.create_connection

    def noted(place: tuple[str, int], *args: object, **options: object) -> socket.socket:
        connected.append(place[0])
        if place[0] != "127.0.0.1":
            raise OSError("nobody is to go there")
        return connect(place, *args, **options)

    monkeypatch.setattr(urllib3.connection.connection, "create_connection", noted)
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("public.test", "innocent.test").configure_cert(context)
    asked: list[str] = []

    def handler(request: Request) -> Response:
        asked.append(f"{request.host} {request.path}")
        return Response(200)

    with Listener(handler, tls=context) as server:
        host = f"public.test:{server.port}"
        hints = RegistryHints()
        hints.token_service = lambda host: (f"https://innocent.test:{server.port}/token", "x")
        hints.storage = lambda host: f"https://innocent.test:{server.port}"
        way = Transport("source", TransportOptions(verify=str(tmp_path / "ca.pem"), retry=RetryPolicy(attempts=1)))
        with contextlib.closing(way):
            client = RegistryClient(host, host, way, Credential, hints=hints)
            assert client.fetch("GET", "/v2/app/tags/list", scopes=[Scope.pull("app")], accept={200}).status == 200
            client.expect(2)
            pools = [pool for adapter in way._adapters._made.values() for pool in adapter._pools.values()]
            for coming in [coming for pool in pools for coming in pool.coming]:
                coming._opening._thread.join()
            assert {pool.host for pool in pools} == {"public.test", "innocent.test"}
    assert asked == [f"{host} /v2/app/tags/list"]
    assert set(connected) == {"127.0.0.1"}


@pytest.mark.skipif(sys.platform == "darwin", reason="only one loopback address answers there")
@pytest.mark.parametrize(
    ("home", "there"),
    [
        (["127.0.0.1"], ["127.0.0.1"]),
        (["127.0.0.1"], ["10.1.2.3", "127.0.0.1"]),
        (["127.0.0.2"], ["127.0.0.2"]),
        (["127.0.0.2"], ["127.0.0.1"]),
    ],
    ids=["public to public", "a private one besides", "private to private", "private to public"],
)
def test_name_that_leads_where_it_may_is_followed(home, there, names):
    """A registry within a private network may have its storage there."""
    names |= {"public.test": home, "innocent.test": there}
    with sending("redirect", "innocent.test", host="0.0.0.0") as (server, asked):
        error = tried("redirect", server.port, "innocent.test")
    assert [path for host, path in asked if "innocent" in host], error


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.0.1"])
@pytest.mark.parametrize("name", ["localhost", "app.localhost"])
def test_localhost_is_this_machine_only_if_it_leads_there(name, address, names):
    """Without TLS only loopback is spoken to, whatever a name claims to be."""
    names[name] = [address]
    with repository(f"{name}:1") as store:
        store._client._meeting.known_base = f"http://{name}:1"
        with pytest.raises(NetworkError, match=f"plain http goes to this machine only, and {name} is at {address}"):
            store.read("1")


@contextlib.contextmanager
def sending(way: str, to: str, host: str = "127.0.0.1") -> Iterator[tuple[Listener, list[tuple[str, str]]]]:
    """A registry that sends its clients there; what it was asked, as (host, path)."""
    asked: list[tuple[str, str]] = []

    def handler(request: Request) -> Response:
        asked.append((request.host, request.path))
        if to in request.host or request.path == "/v2/":
            return Response(200)
        answer = WAYS[way]
        return Response(answer.status, {k: v.format(f"{to}:{server.port}") for k, v in answer.headers.items()})

    with Listener(handler, host=host) as server:
        yield server, asked
