# SPDX-License-Identifier: MIT
"""Which addresses are private, and what exceptions mean."""

from __future__ import annotations

import socket
import ssl
from http.client import RemoteDisconnected
from urllib.parse import urlsplit

import pytest
import requests
from urllib3 import exceptions as urllib3

from azext_acrimport.engine import NetworkError, TlsError, Transport
from azext_acrimport.engine.transport.addresses import is_loopback, is_private, parted
from azext_acrimport.engine.transport.failures import network_error


@pytest.mark.parametrize(
    ("host", "loopback", "private"),
    [
        ("localhost", True, True),
        ("localhost:5000", True, True),
        ("app.localhost", True, True),
        ("127.0.0.1:5000", True, True),
        ("127.1", True, True),
        ("0x7f000001", True, True),
        ("2130706433", True, True),
        ("[::1]:5000", True, True),
        ("[::ffff:127.0.0.1]", True, True),
        ("10.1.2.3", False, True),
        ("172.16.0.1", False, True),
        ("192.168.0.1:443", False, True),
        ("169.254.169.254", False, True),
        ("[fe80::1]", False, True),
        ("0.0.0.0", False, True),
        # how else loopback is written
        ("LOCALHOST", True, True),
        ("localhost.", True, True),
        ("127.0.0.1.", True, True),
        ("127.255.255.254", True, True),
        ("0177.0.0.1", True, True),
        ("017700000001", True, True),
        ("0x7f.1", True, True),
        ("127.0.1", True, True),
        ("[0:0:0:0:0:0:0:1]", True, True),
        ("[::ffff:7f00:1]", True, True),
        ("[::1%25eth0]", True, True),
        # what is not to be reached from outside
        ("0", False, True),
        ("0.1.2.3", False, True),
        ("10.0.0.1:5000", False, True),
        ("0xa.0.0.1", False, True),
        ("100.64.0.1", False, True),
        ("172.31.255.255", False, True),
        ("192.0.0.1", False, True),
        ("192.0.2.1", False, True),
        ("192.168.1.1", False, True),
        ("198.18.0.1", False, True),
        ("198.51.100.1", False, True),
        ("203.0.113.1", False, True),
        ("224.0.0.1", False, True),
        ("224.0.1.1", False, True),
        ("239.255.255.250", False, True),
        ("240.0.0.1", False, True),
        ("255.255.255.255", False, True),
        ("168.63.129.16", False, True),
        ("168.63.33040", False, True),
        ("0xa83f8110", False, True),
        ("2852039166", False, True),
        ("[::]", False, True),
        ("[fe80::1%25eth0]", False, True),
        ("[fec0::1]", False, True),
        ("[fc00::1]", False, True),
        ("[fd12:3456::1]", False, True),
        ("[ff02::1]", False, True),
        ("[ff0e::1]", False, True),
        ("[100::1]", False, True),
        ("[2001:db8::1]", False, True),
        ("[2001::1]", False, True),
        # IPv4 addresses within: mapped, compatible, 6to4, NAT64
        ("[::ffff:10.0.0.1]", False, True),
        ("[::ffff:a9fe:a9fe]", False, True),
        ("[::ffff:168.63.129.16]", False, True),
        ("[::10.0.0.1]", False, True),
        ("[::127.0.0.1]", False, True),
        ("[::8.8.8.8]", False, True),
        ("[2002:7f00:1::1]", False, True),
        ("[2002:a9fe:a9fe::1]", False, True),
        ("[2002:a83f:8110::1]", False, True),
        ("[2002:a00:1::]", False, True),
        ("[64:ff9b::127.0.0.1]", False, True),
        ("[64:ff9b::10.0.0.1]", False, True),
        ("[64:ff9b::169.254.169.254]", False, True),
        ("[64:ff9b::168.63.129.16]", False, True),
        ("[64:ff9b:1::8.8.8.8]", False, True),
        # the world
        ("8.8.8.8", False, False),
        ("20.1.2.3:443", False, False),
        ("168.63.129.17", False, False),
        ("172.32.0.1", False, False),
        ("11.0.0.1", False, False),
        ("[2606:4700::1]", False, False),
        ("[::ffff:8.8.8.8]", False, False),
        ("[64:ff9b::8.8.8.8]", False, False),
        ("[2002:808:808::1]", False, False),
        # names, also those that look like something else
        ("registry.corp", False, False),
        ("docker.io", False, False),
        ("localhost.evil.test", False, False),
        ("notlocalhost", False, False),
        ("127.0.0.1.evil.test", False, False),
        ("10.0.0.1.nip.io", False, False),
        ("0x7f000001.evil.test", False, False),
        ("127.0.0.1-evil.test", False, False),
        ("256.0.0.1", False, False),
    ],
)
def test_addresses(host, loopback, private):
    """Names are not looked up: only what is written counts."""
    assert (is_loopback(host), is_private(host)) == (loopback, private)


def wrapped(inner: Exception) -> Exception:
    """As requests and urllib3 hand it up."""
    return requests.ConnectionError(urllib3.MaxRetryError(None, "/v2/", inner))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            wrapped(urllib3.NewConnectionError(None, "Failed to resolve 'x' ([Errno -2] Name or service not known)")),
            "dns",
        ),
        (socket.gaierror(-2, "Name or service not known"), "dns"),
        (wrapped(urllib3.NewConnectionError(None, "[Errno 111] Connection refused")), "refused"),
        (ConnectionRefusedError(10061, "the target machine actively refused it"), "refused"),
        (requests.ConnectTimeout("timed out"), "timeout"),
        (requests.ReadTimeout("Read timed out."), "timeout"),
        (urllib3.ProtocolError("Connection broken: IncompleteRead(5 bytes read)"), "reset"),
        (ConnectionResetError(104, "Connection reset by peer"), "reset"),
        (requests.exceptions.ProxyError("Tunnel connection failed: 403 Forbidden"), "proxy"),
        (requests.exceptions.ProxyError("Cannot connect to proxy", OSError("Connection refused")), "proxy"),
        (
            requests.exceptions.ProxyError("Unable to connect to proxy", ConnectionResetError(104, "reset by peer")),
            "reset",
        ),
        (requests.exceptions.ProxyError("Unable to connect to proxy", RemoteDisconnected("closed")), "reset"),
        (ValueError("Unable to determine SOCKS version from socks9://h"), "proxy"),
        (requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support."), "proxy"),
        (RuntimeError("something else"), "other"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # type: ignore[arg-type]
def test_exceptions_are_translated(error, reason):
    """By what they are, however they are wrapped; the text for people holds no Python."""
    translated = network_error(error, "registry.test", "source")
    assert (translated.reason, translated.origin) == (reason, "source")
    assert "Errno" not in str(translated) and "object at" not in str(translated)


@pytest.mark.parametrize("address", ["http://[canary", "http://u:canary@h:9x", "http:///canary", "ftp://u:canary@h"])
def test_proxy_that_is_no_address_is_called_that(monkeypatch, address):
    """Whatever is below finds fault with; what stands in the variable may be secret."""
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(NetworkError, match="the proxy has no usable address") as caught:
        Transport("source").fetch("GET", "https://registry.test/v2/", accept={200}, retry=False)
    assert caught.value.reason == "proxy" and "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("inner", "spoken", "said"),
    [
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), True, "could not be verified"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), False, "handshake failed"),
        (ssl.SSLError(1, "[SSL] record layer failure"), False, "handshake failed"),
        (ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] certificate required"), True, "handshake failed"),
    ],
)
def test_tls_that_fails_is_told_from_no_tls_at_all(inner, spoken, said):
    """Only the second is a reason to try plain http on loopback."""
    if isinstance(inner, ssl.SSLCertVerificationError):
        inner.verify_message = "self-signed certificate"
    translated = network_error(requests.exceptions.SSLError(urllib3.SSLError(inner)), "h", "target")
    assert isinstance(translated, TlsError)
    assert (translated.spoken, said in str(translated)) == (spoken, True)


@pytest.mark.parametrize(
    "url",
    [
        "https://r.test/v2/",
        "http://127.0.0.1:5000/v2/a/b?n=1&last=x:y#z",
        "https://[::1]:5000",
        "https://r.test?x=/y",
        "https://r.test#/y",
        "https://r.test:443/a//b/../c?d=e?f",
    ],
)
def test_urls_are_parted_as_the_standard_library_does(url):
    """Whoever takes a part of a path for the host asks the wrong one."""
    parts = urlsplit(url)
    rest = url[len(parts.scheme) + 3 + len(parts.netloc) :]
    assert parted(url) == (parts.scheme, parts.netloc, rest)
