# SPDX-License-Identifier: MIT
"""Status and headers of an answer: what http.client reads in them, where both are right, and the same limits."""

from __future__ import annotations

import http.client
import io

import pytest

from azext_acrimport.engine.transport.head import MAX_HEADERS, MAX_LINE, AnswerHead, MailHead

OK = "HTTP/1.1 200 OK\r\n"
HEADS = {
    "usual": OK + "Content-Length: 3\r\nDocker-Content-Digest: sha256:ab\r\nConnection: keep-alive\r\n\r\n",
    "lines without a carriage return": "HTTP/1.1 200 OK\nContent-Length: 3\nx: 1\n\n",
    "colons in a value, and none": OK + "Location: https://r.test:5000/?a:b\r\nempty:\r\nx:y\r\n\r\n",
    "twice": OK + "WWW-Authenticate: Basic\r\nWWW-Authenticate: Bearer realm=x\r\n\r\n",
    "chunked": OK + "Transfer-Encoding: Chunked\r\nContent-Length: 3\r\n\r\n",
    "chunked as one of several": OK + "Transfer-Encoding: gzip, chunked\r\n\r\n",
    "no length": OK + "\r\n",
    "length that is none": OK + "Content-Length: +3x\r\n\r\n",
    "negative length": OK + "Content-Length: -3\r\n\r\n",
    "closing": OK + "Connection: Close\r\nContent-Length: 3\r\n\r\n",
    "old": "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n",
    "old, staying": "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n",
    "no reason": "HTTP/1.1 404\r\nContent-Length: 3\r\n\r\n",
    "nothing": "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
    "not modified": "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
    "a moment": "HTTP/1.1 100 Continue\r\nx: 1\r\n\r\n" + OK + "Content-Length: 3\r\n\r\n",
    "no header": OK + "Content-Length: 3\r\nnobody knows\r\nConnection: close\r\n\r\n",
    "a blank in the name": OK + "Content-Length : 3\r\nConnection: close\r\n\r\n",
    "bytes beyond ASCII": OK + "x: caf\xe9\r\nContent-Length: 3\r\n\r\n",
    "many": OK + "x: 1\r\n" * (MAX_HEADERS - 1) + "\r\n",
}


class Given(io.BytesIO):
    """A socket that has these bytes."""

    def makefile(self, mode: str) -> io.BytesIO:
        """As ``http.client`` calls it."""
        return self


def head_of(kind: type[http.client.HTTPResponse], raw: bytes, method: str = "GET") -> tuple:
    """What it makes of them, and what it leaves unread."""
    stream = Given(raw + b"rest" if raw else b"")
    answer = kind(stream, method=method)
    answer.begin()
    said = (answer.status, answer.reason, answer.version, answer.headers.items())
    return *said, answer.length, answer.chunked, answer.will_close, stream.read()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", HEADS)
def test_heads_are_read_as_the_standard_library_does(name, method):
    """But for lines that end a mail's headers: what follows them stays unread there as well, and is no header."""
    raw = HEADS[name].encode("latin-1")
    assert head_of(MailHead, raw, method) == head_of(http.client.HTTPResponse, raw, method)


@pytest.mark.parametrize("name", HEADS)
def test_both_read_the_same(name):
    """With and without urllib3, whose headers have every line of their own."""
    raw = HEADS[name].encode("latin-1")
    *said, headers, length, chunked, closing, rest = head_of(MailHead, raw)
    joined: dict[str, str] = {}
    for key, value in headers:
        joined[key.lower()] = f"{joined[key.lower()]}, {value}" if key.lower() in joined else value
    assert head_of(AnswerHead, raw) == (*said, joined.items(), length, chunked, closing, rest)


@pytest.mark.parametrize("lengths", ["3\r\nContent-Length: 3", "3, 3"])
def test_length_that_is_said_again_is_one(lengths):
    """https://www.rfc-editor.org/rfc/rfc9110#section-8.6; two that differ are in the table of what is no head."""
    raw = (OK + f"Content-Length: {lengths}\r\n\r\n").encode()
    assert head_of(AnswerHead, raw)[4:7] == (3, False, False)


def test_folded_header_is_one_line():
    """A line break never gets into a value."""
    raw = (OK + "x: one\r\n  two\r\n\tthree\r\nContent-Length: 0\r\n\r\n").encode()
    assert head_of(MailHead, raw)[3] == [("x", "one two three"), ("Content-Length", "0")]


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (OK + "x: 1\r\n" * (MAX_HEADERS + 1) + "\r\n", http.client.HTTPException),
        (OK + f"x: {'y' * MAX_LINE}\r\n\r\n", http.client.LineTooLong),
        (OK + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", http.client.HTTPException),
        ("HTTP/2 200 OK\r\n\r\n", http.client.UnknownProtocol),
        ("SSH-2.0-x\r\n\r\n", http.client.BadStatusLine),
        ("", http.client.RemoteDisconnected),
    ],
    ids=["too many", "too long", "two lengths", "another version", "another protocol", "nothing"],
)
def test_what_is_no_head_is_refused(raw, error):
    """With the errors that are translated above."""
    with pytest.raises(error):
        head_of(AnswerHead, raw.encode())


def test_length_beyond_every_number_is_none():
    """It would take seconds to read as one, and Python refuses to."""
    assert head_of(AnswerHead, (OK + f"Content-Length: {'9' * 60_000}\r\n\r\n").encode())[4] is None
