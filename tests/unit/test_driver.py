# SPDX-License-Identifier: MIT
"""The driver: the same with threads and without; an end that does not hang."""

from __future__ import annotations

import threading
import time

import pytest

from azext_acrimport.engine import Cancellation
from azext_acrimport.engine.copy.driver import Driver, gather
from tests.support import few_threads


def done(jobs: int | None, *works, cancellation: Cancellation | None = None) -> list[object]:
    """Have all of them done at once; their values, or the first error."""
    driver = Driver(jobs, cancellation or Cancellation())
    values: list[object] = []

    async def story(number: int, work):
        return await driver.call(work, driver.lanes("read", ("source", "r.test")), (number, 0))

    async def all_of_them() -> None:
        values.extend(await gather(*(story(*entry) for entry in enumerate(works))))

    driver.run(all_of_them(), lambda: None, 0.2)
    return values


@pytest.mark.parametrize("jobs", [1, 4])
def test_work_is_done_and_its_errors_are_raised(jobs):
    """In any order; each story hears of its own."""
    assert done(jobs, *(lambda number=number: 10 // number for number in range(1, 20))) == [
        10 // number for number in range(1, 20)
    ]
    with pytest.raises(ZeroDivisionError):
        done(jobs, lambda: 1, lambda: 10 // 0)


def test_one_job_has_no_thread_and_keeps_the_order():
    """Recordings of HTTP depend on it."""
    order, before = [], threading.active_count()
    done(1, *(lambda number=number: order.append((number, threading.current_thread())) for number in range(5)))
    assert order == [(number, threading.main_thread()) for number in range(5)]
    assert threading.active_count() == before


def test_threads_are_as_many_as_are_needed():
    """Not more than jobs, not more than pieces of work."""
    most, lock, now = [], threading.Lock(), []

    def work() -> None:
        with lock:
            now.append(1)
            most.append(len(now))
        time.sleep(0.01)
        with lock:
            now.pop()

    done(4, *[work] * 20)
    assert max(most) == 4
    most.clear()
    done(4, *[work] * 2)
    assert max(most) <= 2


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_fewer_threads_are_allowed_than_there_are_jobs(monkeypatch, allowed):
    """Those do the work; without any the calling thread does it."""
    few_threads.allow(monkeypatch, allowed)
    names = set()

    def work() -> int:
        names.add(threading.current_thread().name)
        time.sleep(0.001)
        return 1

    assert done(8, *[work] * 30) == [1] * 30
    assert len(names) <= max(allowed, 1)
    with pytest.raises(ZeroDivisionError):
        done(8, work, lambda: 10 // 0, work)


def test_without_a_number_questions_overlap_more_than_transfers():
    """A block of memory for each transfer; nothing for a question."""
    for jobs, more in ((None, True), (3, False)):
        driver = Driver(jobs, Cancellation())
        driver._loop.close()
        assert (1 < driver.transfers < driver.jobs) is more


def test_end_does_not_wait_for_what_hangs():
    """The process can end."""
    over, cancellation, waited = threading.Event(), Cancellation(), []

    def hang() -> None:
        cancellation.cancel()
        waited.append(over.wait(30))

    assert done(2, hang, cancellation=cancellation) == []
    assert waited == []
    over.set()
