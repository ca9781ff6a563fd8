# SPDX-License-Identifier: MIT
"""Connections that are opened before they are needed: used, judged and closed as any other."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import ExitStack

import pytest
import trustme
import urllib3.connection
from requests.adapters import HTTPAdapter

from azext_acrimport.engine import (
    ANONYMOUS,
    Cancellation,
    Descriptor,
    Digest,
    NetworkError,
    RegistryClient,
    RegistryRepository,
    RetryPolicy,
    Transport,
    TransportOptions,
)
from azext_acrimport.engine.auth.foresight import CONNECTIONS
from azext_acrimport.engine.auth.scope import Scope
from azext_acrimport.engine.registry.early import LED_CONNECTIONS
from tests.sandbox.server import Listener, Request, Response
from tests.support.until import until


@pytest.fixture
def connected(monkeypatch):
    """Every connection that was made."""
    made: list[socket.socket] = []
    connect = urllib3.connection.connection.create_connection

    def noted(*args, **options):
        made.append(connect(*args, **options))
        return made[-1]

    monkeypatch.setattr(urllib3.connection.connection, "create_connection", noted)
    return made


@pytest.fixture(params=["plain", "tls"])
def place(request, tmp_path):
    """A server, how to reach it, and a way to have it wait for so many requests at once."""
    together = [threading.Barrier(1)]

    def answer(asked: Request) -> Response:
        together[0].wait(30)
        return Response(200, {}, b"well")

    context, options = None, TransportOptions(plain_http_hosts=frozenset({"127.0.0.1"}))
    if request.param == "tls":
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        options = TransportOptions(verify=str(tmp_path / "ca.pem"))
    with Listener(answer, tls=context) as listener:
        yield f"{listener.scheme}://{listener.address}/", options, together, listener


def opened_ahead(transport: Transport) -> list:
    """The connections of which none was used yet; all that was begun has ended, however."""
    pools = [pool for adapter in transport._adapters._made.values() for pool in adapter._pools.values()]
    for coming in (found := [coming for pool in pools for coming in pool.coming]):
        coming._opening._thread.join()
    return [coming._conn for coming in found]


def at_once(transport: Transport, url: str, together: list[threading.Barrier], count: int) -> None:
    """So many requests, none of which is answered before all are there."""
    together[0] = threading.Barrier(count)
    threads = [
        threading.Thread(target=transport.fetch, args=("GET", url), kwargs={"accept": {200}}) for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together[0] = threading.Barrier(1)


def client_of(listener: Listener) -> RegistryClient:
    """A registry there, as a source; nothing is tried twice."""
    options = TransportOptions(plain_http_hosts=frozenset({listener.address}), retry=RetryPolicy(1))
    client = RegistryClient("r.test", listener.address, Transport("source", options), lambda: ANONYMOUS)
    client._meeting.known_base = f"http://{listener.address}"
    return client


@pytest.mark.parametrize("wait", [True, False], ids=["open", "being opened"])
def test_requests_find_their_connections_open(place, connected, wait):
    """Tickets of TLS 1.3 that lie there are not taken for the end; and all are kept for the requests after these."""
    url, options, together, _ = place
    transport = Transport("source", options)
    transport.fetch("GET", url, accept={200})
    transport.open_ahead(url, 4)
    transport.open_ahead(url, 3)  # there have been so many
    if wait:
        assert len(opened_ahead(transport)) == 3 and len(connected) == 4
    for _ in range(2):
        at_once(transport, url, together, 4)
        assert len(connected) == 4
    transport.open_ahead(url, 5)
    (last,) = opened_ahead(transport)
    sock = last.sock
    assert len(connected) == 5 and sock.fileno() >= 0
    transport.close()
    assert sock.fileno() == -1
    transport.open_ahead(url, 9)
    assert not opened_ahead(transport) and len(connected) == 5


def test_connection_that_was_closed_meanwhile_is_not_used(place, connected):
    """It costs no attempt."""
    url, options, _, listener = place
    transport = Transport("source", options)
    transport.open_ahead(url, 2)
    until(lambda: len(listener._server.connections) >= 2)  # it may not have begun to serve them yet
    for made in list(listener._server.connections):
        made.shutdown(socket.SHUT_RDWR)
    for opened in opened_ahead(transport):
        select.select([opened.sock], [], [], 10)
    assert transport.fetch("GET", url, accept={200}, retry=False).status == 200
    assert len(connected) == 3
    transport.close()


def test_nobody_hears_of_a_failure_but_who_waits_for_it():
    """A request says itself what goes wrong; a cancelled run begins none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
    transport = Transport("source")
    transport.open_ahead(url, 2)
    assert [opened.sock for opened in opened_ahead(transport)] == [None, None]
    with Listener(lambda request: Response(200), port=int(url.rpartition(":")[2].strip("/"))):
        assert transport.fetch("GET", url, accept={200}, retry=False).status == 200
        transport.close()
    stopped = Transport("source", cancellation=Cancellation())
    stopped.cancellation.cancel()
    stopped.open_ahead(url, 2)
    assert not stopped._adapters._made


def test_connection_of_a_refusal_is_free_for_the_token(connected):
    """An Azure container registry is its own token service; the refusal of a blob may have a body, too."""

    def answer(asked: Request) -> Response:
        if asked.path == "/token":
            return Response(200, {}, b'{"token": "abc"}')
        if asked.headers.get("Authorization") != "Bearer abc":
            return Response(401, {"WWW-Authenticate": 'Bearer realm="/token"'}, b"who are you?")
        return Response(200, {}, b"blob")

    with Listener(answer) as listener:
        client = client_of(listener)
        response = client.open("GET", "/v2/app/blobs/x", scopes=[Scope.pull("app")], accept={200})
        assert response.read() == b"blob"
        response.close()
        assert len(connected) == 1
        client.transport.close()


def test_address_is_judged_when_connected(monkeypatch):
    """Plain http goes no further than this machine, also ahead of any request."""
    entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [entry])
    transport = Transport("source")
    transport.open_ahead("http://elsewhere.localhost/", 2)
    with pytest.raises(NetworkError, match=r"plain http goes to this machine only|10\.0\.0\.1"):
        transport.fetch("GET", "http://elsewhere.localhost/", accept={200}, retry=False)
    transport.close()


def test_none_is_lost_when_two_threads_ask_for_a_host_for_the_first_time(place, monkeypatch, connected):
    """What the one has begun is the other's, too, and is closed with it."""
    url, options, _, _ = place
    transport = Transport("target", options)
    find = HTTPAdapter.get_connection_with_tls_context

    def overtaken(adapter, *args, **named):
        pool = find(adapter, *args, **named)
        monkeypatch.setattr(HTTPAdapter, "get_connection_with_tls_context", find)
        transport.open_ahead(url, 2)
        return pool

    monkeypatch.setattr(HTTPAdapter, "get_connection_with_tls_context", overtaken)
    transport.open_ahead(url, 2)
    assert len(opened_ahead(transport)) == 2
    transport.close()
    assert len(connected) == 2
    assert [made.fileno() for made in connected] == [-1, -1]


def test_image_finds_connections_when_its_source_has_let_us_in(connected):
    """They are begun with the first answer, while the token is fetched; where nothing answers none is."""

    def answer(asked: Request) -> Response:
        if asked.path == "/token":
            return Response(200, {}, b'{"token": "abc"}')
        return Response(401, {"WWW-Authenticate": 'Bearer realm="/token"'})

    with Listener(answer) as listener:
        client = client_of(listener)
        assert RegistryRepository(client, "app").enter("1") is None
        assert len(opened_ahead(client.transport)) == CONNECTIONS - 1
        assert len(connected) == CONNECTIONS
        client.transport.close()
    client = client_of(listener)
    with pytest.raises(NetworkError):
        RegistryRepository(client, "app").enter("1")
    assert opened_ahead(client.transport) == []


def test_storage_host_is_connected_to_and_asked_nothing_before_a_blob_is_wanted(connected):
    """One connection for each blob that is said to be there, and no more than are brought at once."""
    blobs = [Descriptor("x", Digest.of(bytes([n])), 1) for n in range(LED_CONNECTIONS + 2)]
    asked_for: list[str] = []

    def answer(asked: Request) -> Response:
        asked_for.append(asked.path)
        return Response(200, {}, bytes([int(asked.path.strip("/"))]))

    with Listener(answer) as storage:
        numbers = {str(blob.digest): number for number, blob in enumerate(blobs)}

        def led(asked: Request) -> Response:
            number = numbers.get(asked.path.rpartition("/")[2])
            return Response(404 if number is None else 307, {"Location": f"http://{storage.address}/{number}"})

        with Listener(led) as registry, ExitStack() as stack:
            client = client_of(registry)
            source = RegistryRepository(client, "app")
            assert source.find("1") is None  # else the first of them would find out alone how we are let in
            bodies = [stack.enter_context(source.blob(blob).begun()) for blob in blobs]
            there = [storage.address.rpartition(":")[2]] * LED_CONNECTIONS
            until(lambda: [str(c.port) for c in opened_ahead(client.transport) if str(c.port) in there] == there)
            assert asked_for == []
            before = len(connected)
            assert bodies[2].open().read() == b"\x02"
            assert (asked_for, len(connected)) == (["/2"], before)
            client.transport.close()
