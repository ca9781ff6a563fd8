# SPDX-License-Identifier: MIT
"""Giving up in time, and what may still be said when everything else has ended."""

from __future__ import annotations

import contextlib

import pytest

from azext_acrimport.engine import Cancellation, Cancelled
from azext_acrimport.engine.cancellation import FAREWELL
from tests.support import few_threads


class Clock(Cancellation):
    """Time passes when it is told to."""

    time = 100.0

    def now(self) -> float:
        """In seconds."""
        return self.time


def test_cancellation_wakes_and_ends_waits():
    """Whoever waits, and whoever is stuck in a read that knows how to be woken."""
    cancellation, woken = Cancellation(), []
    with cancellation.waking(lambda: woken.append("inner")):
        cancellation.cancel()
    assert woken == ["inner"]
    for call in (cancellation.check, lambda: cancellation.wait(60)):
        with pytest.raises(Cancelled):
            call()
    with pytest.raises(Cancelled), cancellation.waking(lambda: None):
        pass


def test_what_is_kept_is_woken_when_the_time_for_farewells_is_over():
    """Not before; what is not kept is woken at once. A second call, or none but of the clock, may be that end."""
    cancellation, woken = Clock(), []
    with contextlib.ExitStack() as stack:
        stack.enter_context(cancellation.waking(lambda: woken.append("other")))
        with cancellation.keeping():
            stack.enter_context(cancellation.waking(lambda: woken.append("kept")))
        cancellation.cancel(5)
        assert woken == ["other"]
        with cancellation.keeping(), cancellation.waking(lambda: None), pytest.raises(Cancelled):
            cancellation.check()  # nothing new is begun
        with pytest.raises(Cancelled), cancellation.waking(lambda: None):
            pass
        cancellation.time += 1
        cancellation.cancel(60)
        assert not cancellation.over
        cancellation.time += 4
        assert cancellation.over
        with pytest.raises(Cancelled), cancellation.keeping(), cancellation.waking(lambda: None):
            pass
        woken.clear()
        cancellation.cancel(60)
        assert sorted(woken) == ["kept", "other"]


def test_farewell_may_begin_after_the_end_and_has_its_own():
    """Whichever is first: its own time, that of all farewells, and a moment after the deadline of the user."""
    cancellation = Clock()
    with cancellation.parting(3):
        assert cancellation.left == 3
        cancellation.cancel(2)
        cancellation.check()
        assert cancellation.left == 2
        cancellation.time += 2
        with pytest.raises(Cancelled):
            cancellation.check()
    cancellation = Clock()
    with cancellation.within(50):
        with cancellation.parting(60):
            assert cancellation.left == pytest.approx(50 + FAREWELL)
        assert cancellation.left == 50
        with cancellation.parting(1):
            cancellation.time += 1
            with pytest.raises(Cancelled):
                cancellation.check()
        cancellation.check()
    with pytest.raises(Cancelled), cancellation.within(1):
        cancellation.time += 1
        with cancellation.parting(60):
            cancellation.check()
            assert (cancellation.expired, cancellation.left) == (True, pytest.approx(FAREWELL))
        cancellation.check()


def test_deadline_is_kept_without_a_thread_for_it(monkeypatch):
    """Where no more are allowed the clock is looked at."""
    few_threads.allow(monkeypatch, 0)
    cancellation = Clock()
    with cancellation.within(5.0):
        cancellation.check()
        cancellation.time += 6
        with pytest.raises(Cancelled):
            cancellation.check()
    assert cancellation.expired
