# SPDX-License-Identifier: MIT
"""Ctrl-C and SIGTERM: the first of them ends the work, and none that follows it takes the result away."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Seconds in which all is given up. Who says it again after that means it.
TELLING = 3.0
# what they were before the first of our commands in this process
_usual: dict[int, Any] = {}


@contextmanager
def interruptible() -> Iterator[None]:
    """In here both raise KeyboardInterrupt: pipelines send SIGTERM when a job is cancelled, some of them twice.

    After one the process is on its way out, and what is left is to say what has become of it: both are ignored, also
    while Python ends, which gives its own handlers back before that is through.
    """
    heard = 0.0

    def interrupt(*_: Any) -> None:
        nonlocal heard
        now = time.monotonic()
        if not heard or now - heard > TELLING:
            heard = heard or now
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what becomes of signals
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        usual = _usual.setdefault(number, signal.getsignal(number))
        if usual != signal.SIG_IGN or number == signal.SIGTERM:  # of what is run with nohup or in the background
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, usual in _usual.items():
            signal.signal(number, signal.SIG_IGN if heard else usual or signal.SIG_DFL)
