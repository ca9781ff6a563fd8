# SPDX-License-Identifier: MIT
"""Authorities are read once, however many connections are made; and each kind of trust has its own context."""

from __future__ import annotations

import contextlib
import gc
import socket
import ssl
import threading
import weakref
from functools import partial

import pytest
import requests
import trustme
import urllib3.connection
from urllib3.connectionpool import HTTPSConnectionPool

from azext_acrimport.engine import Cancellation, Cancelled, RetryPolicy, TlsError, Transport, TransportOptions
from azext_acrimport.engine.transport.adapter import BlockAdapter
from azext_acrimport.engine.transport.connection import Connection, LookUps
from azext_acrimport.engine.transport.tls import SharedContext
from tests.sandbox.server import Listener, Response
from tests.unit.test_opened_ahead import opened_ahead


def trusted(context: ssl.SSLContext) -> int:
    """How many authorities it has when somebody greets a server with it."""
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="r.test")
    return len(context.get_ca_certs())


def test_context_is_made_once(tmp_path):
    """For every host of both sides with the same authorities, and never changed by a connection."""
    authorities = tmp_path / "authorities.pem"
    trustme.CA().cert_pem.write_to_path(str(authorities))
    pools = [HTTPSConnectionPool(f"r{n}.test") for n in range(4)]
    for pool, verify in zip(pools, [str(authorities), str(authorities), True, False], strict=True):
        adapter = BlockAdapter()
        adapter.cert_verify(pool, f"https://{pool.host}/v2/", verify, None)
        adapter.cert_verify(pool, f"https://{pool.host}/v2/", verify, None)
    contexts = [pool.conn_kw["ssl_context"] for pool in pools]
    assert contexts[0] is contexts[1] and len(set(contexts)) == 3
    assert [context.verify_mode for context in contexts[1:]] == [ssl.CERT_REQUIRED, ssl.CERT_REQUIRED, ssl.CERT_NONE]
    assert [context.check_hostname for context in contexts[1:]] == [True, True, False]
    assert [trusted(context) for context in contexts[:2]] == [1, 1]
    assert not any(pool.ca_certs or pool.ca_cert_dir for pool in pools)  # urllib3 would load them once more


def test_file_of_authorities_is_read_anew_when_nobody_is_connected(tmp_path):
    """A program that goes on for days sees the new one."""
    authorities = tmp_path / "authorities.pem"
    for count in (1, 2):
        with authorities.open("ab") as file:
            file.write(trustme.CA().cert_pem.bytes())
        pool = HTTPSConnectionPool("r.test")
        BlockAdapter().cert_verify(pool, "https://r.test/v2/", str(authorities), None)
        assert trusted(pool.conn_kw["ssl_context"]) == count
        del pool
        gc.collect()


def test_authorities_are_loaded_while_the_connection_is_being_opened(tmp_path, monkeypatch):
    """Of a usual file that takes as long as a round trip; no server is greeted before, and what goes wrong is heard."""
    authority, connected = trustme.CA(), threading.Event()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "none.pem").write_text("no authority")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    load, connect = ssl.SSLContext.load_verify_locations, Connection._new_conn

    def slow(context: ssl.SSLContext, *places: str | None) -> None:
        assert connected.wait(30)
        load(context, *places)

    def noted(conn: Connection) -> socket.socket:
        sock = connect(conn)
        connected.set()
        return sock

    monkeypatch.setattr(SharedContext, "load_verify_locations", slow)
    monkeypatch.setattr(Connection, "_new_conn", noted)
    with Listener(lambda request: Response(200), tls=server) as listener:
        for name in ("ca.pem", "none.pem"):
            connected.clear()
            way = Transport("source", TransportOptions(verify=str(tmp_path / name), retry=RetryPolicy(1)))
            asked = partial(way.fetch, "GET", f"https://{listener.address}/", accept={200})
            if name == "ca.pem":
                assert asked().status == 200
            else:
                with pytest.raises(TlsError):
                    asked()
            way.close()


def test_connections_to_a_host_are_looked_for_once():
    """With another trust they are others; and none is kept open by having been looked for."""
    adapter, request = BlockAdapter(), requests.Request("GET", "https://r.test/v2/").prepare()
    pool = adapter.get_connection_with_tls_context(request, True)
    assert adapter.get_connection_with_tls_context(request, True) is pool
    assert adapter.get_connection_with_tls_context(request, False) is not pool
    closed = weakref.ref(pool)
    del pool
    adapter.close()
    gc.collect()
    assert closed() is None


def test_file_of_authorities_that_is_not_there(tmp_path):
    """As requests says it, which is what az users search for."""
    with pytest.raises(OSError, match="TLS CA certificate bundle"):
        BlockAdapter().cert_verify(HTTPSConnectionPool("r.test"), "https://r.test/", str(tmp_path / "no.pem"), None)


def cancel_as_it_connects(monkeypatch: pytest.MonkeyPatch, cancellation: Cancellation) -> None:
    """When there is a connection of TCP, and nobody has it yet."""
    connect = urllib3.connection.connection.create_connection

    def late(*args, **options):
        made = connect(*args, **options)
        cancellation.cancel()
        return made

    monkeypatch.setattr(urllib3.connection.connection, "create_connection", late)


def test_request_that_is_cancelled_while_it_connects_is_not_sent(monkeypatch):
    """There was no socket to wake; and nobody would wake it any more."""
    cancellation, asked = Cancellation(), []
    cancel_as_it_connects(monkeypatch, cancellation)
    with (
        Listener(lambda request: asked.append(request) or Response(200)) as listener,
        contextlib.closing(Transport("target", cancellation=cancellation)) as transport,
        pytest.raises(Cancelled),
    ):
        transport.fetch("GET", f"http://{listener.address}/", accept={200})
    assert asked == []


@pytest.mark.parametrize("ahead", [False, True])
def test_greeting_that_is_cancelled_ends(ahead):
    """A server that says nothing to a TLS greeting holds up nobody who has given up."""
    cancellation, ended = Cancellation(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://127.0.0.1:{server.getsockname()[1]}/"
        transport = Transport("source", TransportOptions(connect_timeout=60.0), cancellation=cancellation)

        def greet() -> None:
            if ahead:
                transport.open_ahead(url, 1)
                opened_ahead(transport)
            else:
                with contextlib.suppress(Cancelled):
                    transport.fetch("GET", url, accept={200})
            ended.set()

        threading.Thread(target=greet, daemon=True).start()
        connection, _ = server.accept()
        with connection:
            assert connection.recv(3)[:1] == b"\x16"  # it greets
            assert not ended.is_set()
            cancellation.cancel()
            assert ended.wait(20)


def test_connection_that_is_cancelled_before_it_greets_is_closed(monkeypatch):
    """Nobody waits for one that is opened ahead, so nobody else closes it."""
    cancellation = Cancellation()
    cancel_as_it_connects(monkeypatch, cancellation)
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = Transport("source", cancellation=cancellation)
        transport.open_ahead(f"https://127.0.0.1:{server.getsockname()[1]}/", 1)
        (connection,) = opened_ahead(transport)
        assert connection.sock.fileno() == -1


def test_name_is_looked_up_once_for_all_who_connect(monkeypatch):
    """While it is looked up; what was found is for nobody who comes later, nor under another name."""
    asked, found = [], threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda name, *_: asked.append(name) or found.wait(10))
    look_up = LookUps()
    first, second, other = look_up("r.test"), look_up("r.test"), look_up("s.test")
    found.set()
    assert first is second is not other and first.result()
    assert look_up("r.test").result()
    assert sorted(asked) == ["r.test", "r.test", "s.test"]
