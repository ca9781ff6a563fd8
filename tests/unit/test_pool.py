# SPDX-License-Identifier: MIT
"""Workers: the same face with threads and without; an end that does not hang."""

from __future__ import annotations

import threading
import time

import pytest

from azext_acrimport.engine import Cancellation, Cancelled, make_pool


@pytest.mark.parametrize("jobs", [1, 4])
def test_work_is_done_and_failures_are_values(jobs):
    """Keys tell which is which."""
    pool = make_pool(jobs)
    for number in range(20):
        pool.submit(number, lambda number=number: 10 // (number - 5))
    done = []
    while len(done) < 20:
        done += pool.wait(1)
    pool.close(1)
    assert {d.key for d in done} == set(range(20))
    assert [d.key for d in done if d.error] == [5]
    assert all(d.value == 10 // (d.key - 5) for d in done if not d.error)


def test_one_job_has_no_thread_and_keeps_the_order():
    """Recordings of HTTP depend on it."""
    pool, order = make_pool(1), []
    for number in range(5):
        pool.submit(number, lambda number=number: order.append((number, threading.current_thread())))
    assert order == [(number, threading.main_thread()) for number in range(5)]


def test_threads_are_as_many_as_are_needed():
    """Not more than jobs, not more than pieces of work."""
    pool, gate = make_pool(3), threading.Event()
    before = threading.active_count()
    for number in range(10):
        pool.submit(number, gate.wait)
    assert threading.active_count() - before == 3
    gate.set()
    while len(pool.wait(1)) == 0:
        pass
    pool.close(1)


def test_without_a_number_questions_overlap_more_than_transfers():
    """A block of memory for each transfer; nothing for a question."""
    pool = make_pool()
    assert 1 < pool.transfers < pool.jobs
    assert (make_pool(3).jobs, make_pool(3).transfers) == (3, 3)


def test_close_does_not_wait_for_what_hangs():
    """The process can end."""
    pool, never = make_pool(2), threading.Event()
    pool.submit(1, never.wait)
    started = time.monotonic()
    pool.close(0.05)
    assert time.monotonic() - started < 5
    never.set()


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
