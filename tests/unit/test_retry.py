# SPDX-License-Identifier: MIT
"""How long is waited, and by whom. Neither clock nor chance is real here."""

from __future__ import annotations

import pytest

from azext_acrimport.engine import Cancelled, NetworkError, RetryPolicy, TlsError
from azext_acrimport.engine.transport.retry import Gate, retry_after
from azext_acrimport.engine.waiting import Attempts, Postponed
from tests.support.scripted import Patience, Script, answer, transport

POLICY = RetryPolicy(attempts=6, base=1.0, cap=5.0, patience=120.0, chance=lambda: 1.0)
NOW = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


@pytest.mark.parametrize(
    ("attempt", "asked", "expected"),
    [
        (1, None, 1.0),
        (2, None, 2.0),
        (3, None, 4.0),
        (4, None, 5.0),
        (5, None, 5.0),
        (6, None, None),
        (1, 0.0, 0.1),
        (1, 60.0, 60.1),
        (4, 120.0, 120.5),
        (1, 120.1, None),
        (6, 1.0, None),
    ],
)
def test_delay_grows_to_the_cap_and_ends(attempt, asked, expected):
    """What the registry asks for is the least, unless it is more than anybody would wait for."""
    assert POLICY.delay(attempt, asked) == (expected if expected is None else pytest.approx(expected))


def test_jitter_is_full():
    """Clients that failed together do not come back together."""
    assert RetryPolicy(base=1.0, chance=lambda: 0.0).delay(3, None) == 0.0
    assert RetryPolicy(base=1.0, chance=lambda: 0.5).delay(3, None) == 2.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Wed, 21 Oct 2015 07:29:30 GMT", 90.0),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0.0),
        ("Wednesday, 21-Oct-15 07:29:30 GMT", 90.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("\u00b2", None),
        ("9" * 400, None),
        ("9" * 9, 999_999_999.0),
        ("9" * 10, None),
        ("inf", None),
        ("nan", None),
        ("1e9", None),
        ("0x10", None),
        ("+5", None),
        ("\uff11\uff12", None),
        ("120, 5", None),
        ("120\r\nX: y", None),
        ("Wed, 21 Oct 2015 07:29:30 GMT" + " " * 100_000, 90.0),
        ("a " * 50_000, None),
        ("Wed, 21 Oct 9999 07:29:30 GMT", pytest.approx(2.5e11, rel=0.1)),
        ("Wed, 21 Oct 2015 07:29:30 +999999", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 99 Foo 2015 25:61:61 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value, seconds):
    """Seconds or a date, beside the answer's own; nonsense is as if nothing were there."""
    headers = {} if value is None else {"Retry-After": value}
    assert retry_after(headers, now=lambda: NOW) == seconds
    assert retry_after({**headers, "Date": "no date"}, now=lambda: NOW) == seconds
    its_own = {**headers, "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert retry_after(its_own, now=lambda: NOW + 3600) == seconds  # our clock is an hour ahead of the registry's


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (NetworkError("r.test", "timeout"), 6),
        (NetworkError("r.test", "reset"), 6),
        (NetworkError("r.test", "other"), 6),
        (NetworkError("r.test", "dns"), 2),
        (NetworkError("r.test", "refused"), 2),
        (NetworkError("r.test", "proxy"), 1),
        (NetworkError("r.test", "redirect"), 1),
        (TlsError("r.test", "not trusted"), 1),
    ],
    ids=lambda value: getattr(value, "reason", value),
)
def test_failures_that_do_not_pass_are_not_waited_for(error, attempts):
    """A typing error or a certificate is not better in a minute."""
    made = next(attempt for attempt in range(1, 9) if POLICY.after(attempt, error) is None)
    assert made == attempts


def test_gate_is_open_until_it_is_closed():
    """And open again when the time has come."""
    gate, cancellation = Gate(), Patience()
    gate.passing(cancellation)
    assert cancellation.waits == []
    gate.close(7, cancellation)
    gate.passing(cancellation)
    gate.passing(cancellation)
    assert cancellation.waits == [7]


def test_whoever_waits_says_so():
    """Each time that a request is not sent at once: how long, for whom, and why."""
    script = Script([answer(503), answer(429, {"Retry-After": "50"}), ConnectionResetError("reset"), answer()])
    of = transport(script)
    of.fetch("GET", "https://r.test/v2/", accept={200})
    told = of.cancellation.told
    assert [round(wait.seconds) for wait in told] == [1, 50, 4]
    assert {wait.subject for wait in told} == {"r.test"}
    assert ["503" in told[0].why, "429" in told[1].why, "cut" in told[2].why] == [True] * 3
    attempts = Attempts()
    of = transport(Script([answer(503)]))
    with pytest.raises(Postponed):  # also who comes back later
        attempts.postponing(lambda: of.fetch("GET", "https://r.test/v2/", accept={200}))
    assert len(of.cancellation.told) == 1


def test_gate_stays_closed_for_the_longest():
    """A shorter demand of another thread does not open it earlier."""
    gate, cancellation = Gate(), Patience()
    gate.close(30, cancellation)
    gate.close(5, cancellation)
    gate.passing(cancellation)
    assert cancellation.waits == [30]


def test_who_waits_at_the_gate_can_be_cancelled():
    """No request is sent after it."""
    gate, cancellation = Gate(), Patience()
    gate.close(30, cancellation)
    cancellation.cancel()
    with pytest.raises(Cancelled):
        gate.passing(cancellation)
