# SPDX-License-Identifier: MIT
"""One request on a connection: what goes over the wire, and when the connection is for the next one."""

from __future__ import annotations

import contextlib
import errno
import gc
import socket
import threading
import warnings
from types import SimpleNamespace

import pytest

from azext_acrimport.engine import Transport, TransportOptions
from azext_acrimport.engine.errors import NetworkError, RegistryError
from azext_acrimport.engine.transport.exchange import TOGETHER_BYTES, _host, _send
from azext_acrimport.engine.transport.head import Headers, request_head

OK = b"HTTP/1.1 200 OK\r\n"
PART = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"


class Wire:
    """A server that gives these answers, and keeps what it was sent.

    ``body``: bytes that it waits for behind each head. ``cuts``: each connection ends with its first answer.
    ``late``: is set when the first answer is to come.
    """

    def __init__(self, *answers: bytes, body: int = 0, cuts: bool = False, late: bool = False) -> None:
        self._answers = list(answers)
        self._body, self._cuts = body, cuts
        self.late = threading.Event()
        if not late:
            self.late.set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.heard: list[bytes] = []
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/v2/"

    def __enter__(self) -> Wire:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self.connections += 1
                threading.Thread(target=self._talk, args=(connection, self.connections), daemon=True).start()

    def _talk(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), connection:
            while self._hears(connection):
                answer = self._answers.pop(0)
                if number == 1:
                    self.late.wait(10)
                connection.sendall(answer)
                if self._cuts:
                    return

    def _hears(self, connection: socket.socket) -> bool:
        """One request; False at the end of the connection."""
        heard = b""
        while b"\r\n\r\n" not in heard or len(heard.partition(b"\r\n\r\n")[2]) < self._body:
            more = connection.recv(1 << 20)
            if not more:
                return False
            heard += more
        self.heard.append(heard)
        return True


@pytest.fixture
def way():
    """A transport that sends everything once, and leaves no socket behind."""
    options = TransportOptions(read_timeout=10.0, upload_timeout=10.0)
    with warnings.catch_warnings(), contextlib.closing(Transport("source", options)) as transport:
        warnings.simplefilter("error")
        yield transport
        gc.collect()


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("GET", OK + b"Content-Length: 3\r\n\r\nabc"),
        ("GET", OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        ("GET", OK + b"Content-Length: 0\r\n\r\n"),
        ("HEAD", OK + b"Content-Length: 3\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"),
    ],
    ids=["length", "chunked", "empty", "HEAD", "204", "refusal"],
)
def test_connection_of_an_answer_that_was_read_is_for_the_next(way, method, answer):
    """However the answer's end is told."""
    with Wire(answer, OK + b"Content-Length: 0\r\n\r\n") as wire:
        with contextlib.suppress(RegistryError):
            way.fetch(method, wire.url, accept={200, 204})
        way.fetch("GET", wire.url, accept={200})
    assert (wire.connections, len(wire.heard)) == (1, 2)


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (OK + b"Content-Length: 3\r\nConnection: close\r\n\r\nabc", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", True),
        (OK + b"Content-Length: 100000\r\n\r\nabc", False),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc", False),
    ],
    ids=["it says so", "old", "long", "chunked"],
)
def test_connection_of_another_answer_is_ended(way, answer, read):
    """What is left on it would be taken for the next answer, or nobody listens any more."""
    with Wire(answer, OK + b"Content-Length: 0\r\n\r\n") as wire:
        response = way.open("GET", wire.url, accept={200})
        if read:
            response.read_all(100, 1.0)
        response.close()
        way.fetch("GET", wire.url, accept={200})
    assert (wire.connections, len(wire.heard)) == (2, 2)


@pytest.mark.parametrize(
    "answer",
    [b"", OK + b"Content-Le", b"SSH-2.0-x\r\n\r\n", PART, OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc"],
    ids=["nothing", "half a head", "another protocol", "half a body", "half a chunk"],
)
def test_answer_that_is_none_is_a_cut_connection(way, answer):
    """Whatever was cut; and the next request has a new connection."""
    with Wire(answer, OK + b"Content-Length: 0\r\n\r\n", cuts=True) as wire:
        with pytest.raises(NetworkError) as caught:
            response = way.open("GET", wire.url, accept={200}, retry=False)
            with contextlib.closing(response):
                while response.read():
                    pass
        way.fetch("GET", wire.url, accept={200}, retry=False)
    assert (caught.value.reason, wire.connections) == ("reset", 2)


@pytest.mark.parametrize("body", [None, b"x"], ids=["GET", "PUT"])
def test_answer_that_comes_too_late_is_not_taken_for_the_next(body):
    """Its connection has ended, though the other side did not end it."""
    options = TransportOptions(read_timeout=0.2 if body is None else 30.0, upload_timeout=0.2 if body else 30.0)
    method = "GET" if body is None else "PUT"
    late, wanted = (OK + b"Content-Length: 3\r\n\r\n" + text for text in (b"old", b"new"))
    with Wire(late, wanted, late=True) as wire, contextlib.closing(Transport("source", options)) as way:
        with pytest.raises(NetworkError) as caught:
            way.fetch(method, wire.url, accept={200}, body=body, retry=False)
        wire.late.set()
        assert way.fetch(method, wire.url, accept={200}, body=body, retry=False).body == b"new"
    assert caught.value.reason == "timeout"


@pytest.mark.parametrize(
    ("error", "is_told"),
    [(errno.EPIPE, False), (errno.ECONNRESET, False), (errno.ENETUNREACH, True)],
    ids=["pipe", "reset", "network"],
)
def test_why_the_other_side_has_closed_may_stand_in_its_answer(error, is_told):
    """So that is read, though not all was sent."""

    def sendall(_: bytes) -> None:
        raise OSError(error, "not sent")

    with pytest.raises(OSError, match="not sent") if is_told else contextlib.nullcontext():
        _send(SimpleNamespace(sendall=sendall), b"PUT", b"body")


@pytest.mark.parametrize("size", [1, TOGETHER_BYTES, TOGETHER_BYTES + 1])
def test_body_follows_its_head(way, size):
    """Whole, and once; a small one together with it."""
    body = b"x" * size
    with Wire(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", body=size) as wire:
        way.fetch("PUT", wire.url, accept={201}, headers={"Content-Type": "a/b"}, body=body)
    head, _, sent = wire.heard[0].partition(b"\r\n\r\n")
    assert sent == body
    assert sorted(head.decode().split("\r\n")) == sorted(
        [
            "PUT /v2/ HTTP/1.1",
            f"Host: {wire.url.split('/')[2]}",
            "User-Agent: acrimport",
            "Accept-Encoding: identity",
            "Content-Type: a/b",
            f"Content-Length: {size}",
        ]
    )


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ({"Accept": "a\r\nX: b"}, ""),
        ({"Accept": "a\nX: b"}, ""),
        ({"Acc\r\nept": "a"}, ""),
        ({"Accept": "a\0"}, ""),
        ({}, "x HTTP/1.1\r\nX: b"),
        ({}, "x\n"),
    ],
)
def test_nothing_becomes_a_line_of_its_own(way, headers, path):
    """Nothing at all is sent then."""
    with Wire(OK + b"Content-Length: 0\r\n\r\n") as wire, pytest.raises(NetworkError):
        way.fetch("GET", wire.url + path, accept={200}, headers=headers, retry=False)
    assert wire.heard == []


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/v2/a/blobs/sha256:ab?n=1&sig=a%2fB%3D", "/v2/a/blobs/sha256:ab?n=1&sig=a%2fB%3D"),
        ("/v2/a b|c", "/v2/a%20b%7Cc"),
        ("/v2/ä", "/v2/%C3%A4"),
    ],
)
def test_signed_addresses_are_sent_as_they_are(target, sent):
    """And only what may not stand in one is written in another way."""
    assert request_head("GET", target, "r.test", {}) == f"GET {sent} HTTP/1.1\r\nHost: r.test\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [("r.test", 443, "r.test"), ("r.test", 5000, "r.test:5000"), ("::1", 5000, "[::1]:5000"), ("::1", 443, "[::1]")],
)
def test_host_is_named_as_urls_name_it(host, port, said):
    """https://www.rfc-editor.org/rfc/rfc9110#section-7.2"""
    assert _host(SimpleNamespace(host=host, port=port, default_port=443)) == said


def test_headers_have_names_in_any_case():
    """Two of a name are one, and a name that is not there is None, or what is asked for."""
    headers = Headers.of([("WWW-Authenticate", "Basic"), ("x", "1"), ("www-authenticate", "Bearer y")])
    assert headers["WWW-AUTHENTICATE"] == headers.get("www-Authenticate") == "Basic, Bearer y"
    assert ("X" in headers, "y" in headers, headers.get("y"), headers.get("y", "")) == (True, False, None, "")
