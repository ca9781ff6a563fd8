# SPDX-License-Identifier: MIT
"""What begins before anybody waits for it, and the end of a program that did not want it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from azext_acrimport.engine import Ahead, Cancellation
from azext_acrimport.engine.waiting import Attempts, Postponed
from tests.support import few_threads

LOADING = """
import ssl, sys, time
from azext_acrimport.engine import waiting

def load():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        context.load_verify_locations(sys.argv[1])
    print("loaded")

waiting.LAST = 60.0  # so that a busy machine has the time
waiting.Ahead(load)
sys.exit(7)
"""
STUCK = """
import sys, threading
from azext_acrimport.engine.waiting import Ahead

Ahead(threading.Event().wait)
sys.exit(7)
"""


def test_program_ends_well_while_openssl_is_at_work():
    """Python takes OpenSSL down at its end; a thread within it would be signal 11 in place of the exit code."""
    certifi = pytest.importorskip("certifi")
    done = subprocess.run([sys.executable, "-c", LOADING, certifi.where()], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (7, "loaded\n", "")


def test_work_that_never_ends_holds_nobody_up():
    """As a name server that does not answer."""
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (7, "")


def test_without_a_thread_it_is_done_at_once(monkeypatch):
    """As in a thread: what it raises is for who asks, its waits are slept through, and whoever begins it goes on."""
    few_threads.allow(monkeypatch, 0)
    attempts, cancellation = Attempts(), Cancellation()

    def ahead_in_a_worker() -> str:
        work = Ahead(lambda: Attempts.current().wait(0.001, cancellation) or Attempts().postponing(lambda: "done"))
        assert work.ended and Attempts.current() is attempts
        return work.result()

    assert attempts.postponing(ahead_in_a_worker) == "done"
    failed = Ahead(lambda: 10 // 0)
    with pytest.raises(ZeroDivisionError):
        failed.result()
    with pytest.raises(Postponed):
        Ahead(lambda: Attempts().postponing(lambda: Attempts.current().wait(9, cancellation))).result()


def test_ctrl_c_meanwhile_ends_more_than_that(monkeypatch):
    """Nobody may ever ask what came of it."""
    few_threads.allow(monkeypatch, 0)

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Ahead(interrupted)
