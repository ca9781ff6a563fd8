# SPDX-License-Identifier: MIT
"""Servers that want our memory, our time or our tokens get none of them. Over sockets, as they would come."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from azext_acrimport.engine import (
    AuthError,
    Credential,
    Descriptor,
    Digest,
    EngineError,
    ManifestError,
    NetworkError,
    NotFound,
    RegistryClient,
    RegistryRepository,
    RetryPolicy,
    Transport,
)
from azext_acrimport.engine.transport.transport import TransportOptions
from tests.sandbox.server import Listener, Request, Response

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
