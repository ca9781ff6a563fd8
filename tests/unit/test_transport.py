# SPDX-License-Identifier: MIT
"""Retries, redirects, limits: HTTP below everything else."""

from __future__ import annotations

import dataclasses
import email.utils
import io
import time

import pytest
import requests

from azext_acrimport.engine import (
    Cancelled,
    Descriptor,
    Digest,
    ManifestError,
    NetworkError,
    NotFound,
    RateLimited,
    ServerError,
)
from azext_acrimport.engine.content.stream import VerifyingReader
from tests.support.scripted import Script, answer, transport

URL = "https://registry.test/v2/app/manifests/1"


def test_passing_failures_are_tried_again_with_growing_waits():
    """Network and 5xx alike; full jitter at its longest is 1, 2, 4 s."""
    script = Script(
        [requests.ConnectionError("reset by peer: ConnectionResetError"), answer(503), answer(502), answer()]
    )
    of = transport(script)
    assert of.open("GET", URL, accept={200}).status == 200
    assert of.cancellation.waits == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(("status", "kind"), [(500, ServerError), (503, ServerError), (429, RateLimited)])
def test_lasting_failures_end(status, kind):
    """After as many attempts as the policy says."""
    script = Script(lambda sent: answer(status))
    with pytest.raises(kind):
        transport(script).open("GET", URL, accept={200})
    assert len(script.sent) == 4


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 416])
def test_final_answers_are_not_tried_again(status):
    """The request itself is wrong."""
    script = Script([answer(status)])
    with pytest.raises(Exception, match=f"answered {status}"):
        transport(script).open("GET", URL, accept={200})


def test_quiet_that_one_was_asked_for_is_kept_by_all():
    """At that host, whatever they want there; not at another one."""
    of = transport(Script(lambda sent: answer(429, {"Retry-After": "7"}) if sent.method == "PUT" else answer()))
    with pytest.raises(RateLimited):
        of.fetch("PUT", URL, accept={201}, body=b"x", retry=False)
    of.fetch("GET", "https://other.test/v2/", accept={200})
    assert of.cancellation.waits == []
    of.fetch("GET", URL, accept={200})
    assert of.cancellation.waits == [7.0]


def test_retry_after_is_honoured_by_everyone():
    """Seconds or a date; a 429 closes the host's gate for all threads."""
    script = Script([answer(429, {"Retry-After": "7"}), answer()])
    of = transport(script)
    of.open("GET", URL, accept={200})
    assert of.cancellation.waits[0] == pytest.approx(7.1)
    date = email.utils.formatdate(time.time() + 20, usegmt=True)
    of = transport(Script([answer(503, {"Retry-After": date}), answer()]))
    of.open("GET", URL, accept={200})
    assert 17 < of.cancellation.waits[0] < 21


def test_hours_are_not_waited_for():
    """Docker Hub's quota: the user is told instead."""
    of = transport(Script([answer(429, {"Retry-After": "21600"})]))
    with pytest.raises(RateLimited) as caught:
        of.open("GET", URL, accept={200})
    assert caught.value.retry_after == 21600
    assert of.cancellation.waits == []


def test_name_that_does_not_resolve_is_given_up_soon():
    """Most often a typing error."""
    script = Script(lambda sent: requests.ConnectionError("Failed to resolve: Name or service not known"))
    with pytest.raises(NetworkError) as caught:
        transport(script).open("GET", URL, accept={200})
    assert (caught.value.reason, len(script.sent)) == ("dns", 2)
    assert caught.value.code == "source-unreachable"


def test_streamed_body_is_sent_once():
    """Only its owner can open it again."""
    raw = b"blob"
    reader = VerifyingReader(io.BytesIO(raw), Descriptor("x", Digest.of(raw), len(raw)), "source", None)
    script = Script([answer(503)])
    with pytest.raises(ServerError):
        transport(script, origin="target").open("PUT", URL, accept={201}, body=reader)
    assert script.sent[0].headers["Content-Length"] == "4"


def test_error_of_the_source_inside_an_upload_stays_its_own():
    """The blame is not the target's."""
    raw = b"blob"
    reader = VerifyingReader(io.BytesIO(b"blub"), Descriptor("x", Digest.of(raw), len(raw)), "source", None)
    with pytest.raises(Exception, match="expected sha256") as caught:
        transport(Script([answer(201)]), origin="target").open("PUT", URL, accept={201}, body=reader)
    assert caught.value.code == "source-digest-mismatch"


def test_empty_body_has_a_length():
    """A PUT without Content-Length is refused by some."""
    script = Script([answer(201)])
    transport(script).open("PUT", URL, accept={201}, body=b"")
    assert script.sent[0].headers["Content-Length"] == "0"


def test_redirect_to_another_host_carries_no_authorization():
    """Nor when it comes back."""
    back = "https://registry.test/again"
    moved = [answer(307, {"Location": "https://storage.test/blob?sig=x"}), answer(302, {"Location": back}), answer()]
    script = Script(moved)
    transport(script).open("GET", URL, accept={200}, headers={"Authorization": "Bearer secret", "Range": "bytes=5-"})
    assert ["Authorization" in sent.headers for sent in script.sent] == [True, False, False]
    assert [sent.headers.get("Range") for sent in script.sent] == ["bytes=5-"] * 3


def test_redirect_on_the_same_host_keeps_authorization():
    """It is the same registry."""
    script = Script([answer(307, {"Location": "/elsewhere"}), answer()])
    transport(script).open("GET", URL, accept={200}, headers={"Authorization": "Bearer secret"})
    assert script.sent[1].url == "https://registry.test/elsewhere"
    assert "Authorization" in script.sent[1].headers


@pytest.mark.parametrize(
    "location",
    [
        "http://registry.test/blob",
        "http://storage.test/blob",
        "https://127.0.0.1/blob",
        "https://localhost/blob",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/blob",
        "https://[::ffff:127.0.0.1]/blob",
        "https://0x7f000001/blob",
        "https://2130706433/blob",
        "file:///etc/passwd",
        f"https://registry.test/{'x' * 17_000}",
    ],
)
def test_redirect_that_must_not_be_followed(location):
    """To plain http, or into a private network."""
    script = Script([answer(307, {"Location": location})])
    with pytest.raises(NetworkError, match="redirects"):
        transport(script).open("GET", URL, accept={200})
    assert len(script.sent) == 1


def test_redirects_without_end_are_given_up():
    """After ten."""
    script = Script(lambda sent: answer(307, {"Location": URL}))
    with pytest.raises(NetworkError, match="without end"):
        transport(script).open("GET", URL, accept={200})
    assert len(script.sent) == 11


def test_redirect_of_a_write_is_not_followed():
    """HEAD and PUT end where they were sent."""
    script = Script([answer(307, {"Location": "https://storage.test/"})])
    assert transport(script).open("HEAD", URL, accept={200, 307}).status == 307


def test_large_answers_are_cut():
    """Where something small is expected, and in error bodies."""
    of = transport(Script([answer(body=b"x" * 1000)]))
    with pytest.raises(ManifestError, match="more than 999 bytes"):
        of.open("GET", URL, accept={200}).read_all(999, 1.0)
    with pytest.raises(NotFound) as caught:
        transport(Script([answer(404, body=b"x" * 3_000_000)])).open("GET", URL, accept={200})
    assert len(str(caught.value)) < 1000


def test_answer_that_is_shorter_than_it_says_is_asked_for_again():
    """As a whole, where a whole is wanted; what is below may not look at lengths."""
    script = Script([answer(200, {"Content-Length": "10"}, b"manifes"), answer(body=b"manifest")])
    of = transport(script)
    assert of.fetch("GET", URL, accept={200}, limit=100).body == b"manifest"
    assert of.cancellation.waits == [1.0]


def test_cancelled_work_sends_nothing_more():
    """Not even a first request."""
    script = Script([answer()])
    of = transport(script)
    of.cancellation.cancel()
    with pytest.raises(Cancelled):
        of.open("GET", URL, accept={200})
    assert script.sent == []


def test_loopback_is_asked_without_a_proxy(monkeypatch):
    """Whatever the environment says."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:8080")
    of = transport(Script([]))
    assert of._proxies_for("https://127.0.0.1:5000/v2/") == {}
    assert of._proxies_for("https://registry.test/v2/") == {"https": "http://proxy.test:8080"}


def test_certificates_are_for_their_host_only():
    """An authority and a client certificate of one registry are nobody else's."""
    script = Script([answer(307, {"Location": "https://storage.test/blob"}), answer()])
    of = transport(script)
    of.options = dataclasses.replace(
        of.options,
        verify="/all.pem",
        authorities={"registry.test": "/own.pem"},
        certificates={"registry.test": ("/client.cert", "/client.key")},
    )
    of.open("GET", URL, accept={200})
    assert [(sent.options["verify"], sent.options["cert"]) for sent in script.sent] == [
        ("/own.pem", ("/client.cert", "/client.key")),
        ("/all.pem", None),
    ]


def test_verification_that_is_off_is_off():
    """An authority of a host does not bring it back."""
    script = Script([answer()])
    of = transport(script)
    of.options = dataclasses.replace(of.options, verify=False, authorities={"registry.test": "/own.pem"})
    of.open("GET", URL, accept={200})
    assert script.sent[0].options["verify"] is False
