# SPDX-License-Identifier: MIT
"""What people see on stderr while an import runs: a drawing on a terminal, a line now and then in a log."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from . import pipeline, screen
from .amounts import counted, human_part, human_rate, running_time
from .drawing import SHOWN, Flow, Images, Scene, Style, drawn
from .lastword import last_word
from .speed import Speed

if TYPE_CHECKING:
    from ..engine import ItemResult, Progress

# In a log: often enough to show life, seldom enough to keep it readable. Seconds.
LINE_INTERVAL = 10.0
# On a terminal: five times a second looks alive and costs nothing.
DRAWING_INTERVAL = 0.2
# Of a digest in hexadecimal: as docker shows it.
DIGEST_DIGITS = 12
View = TypeVar("View", bound="ProgressView")


@dataclass(frozen=True)
class Surroundings:
    """Where progress is shown. ``clock``: seconds, never back. ``alive``: whether it is shown without being asked."""

    stream: Any = field(default_factory=lambda: sys.stderr)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Callable[[], float] = time.monotonic
    size: Callable[[Any], os.terminal_size] = screen.size_of
    alive: bool = True


class ProgressView:
    """One import. To be closed; ``end`` does so with a last word.

    Whoever knows something new says it here, in any thread; what is shown is made of that by a thread of the view, so
    that also a silent registry has a clock beside it.
    """

    interval: float

    def __init__(self, cli_ctx: Any, title: str, around: Surroundings | None = None) -> None:
        self._around = around = around or Surroundings()
        self.title = self.name = title
        self._only_errors = bool(cli_ctx.only_show_errors)
        self._silent = self._only_errors or cli_ctx.config.getboolean("core", "disable_progress_bar", fallback=False)
        self._silent = self._silent or around.stream is None  # as a daemon is started: there is nobody to tell
        self._in_pipeline = pipeline.in_pipeline(around.environ)
        self._lock = threading.RLock()
        self._progress: Progress | None = None
        self._began = around.clock()
        self._speed = Speed(self._began)
        self._speeds: dict[Any, Speed] = {}
        self._operations: dict[object, tuple[float, str]] = {}
        self._screen: screen.Screen | None = None
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        if not self._silent:
            self._open(cli_ctx)

    def _open(self, cli_ctx: Any) -> None:
        around = self._around
        if not self._in_pipeline and screen.can_draw(around.stream, around.environ):
            coloured = getattr(cli_ctx, "enable_color", True) and not around.environ.get("NO_COLOR")
            style = Style(screen.can_show(around.stream, "━─⠋"), bool(coloured))
            size = partial(around.size, around.stream)
            self._screen = screen.Screen(
                around.stream, lambda width, height: drawn(self.scene(), width, height, style), size
            )
            self._screen.open()
        else:
            self._line(self.title)
        self.interval = DRAWING_INTERVAL if self._screen else LINE_INTERVAL
        if around.alive:
            thread = threading.Thread(target=self._live, name="acrimport-progress", daemon=True)
            with suppress(RuntimeError):  # no more threads are allowed: the beginning and the end are told
                thread.start()
                self._thread = thread

    def __enter__(self: View) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def is_about(self, title: str, name: str) -> None:
        """It is known better now."""
        with self._lock:
            self.title, self.name = title, name

    def _live(self) -> None:
        while not self._closed.wait(self.interval):
            self.show()

    def __call__(self, progress: Progress) -> None:
        """Take in a moment of the run."""
        now = self._around.clock()
        with self._lock:
            self._progress = progress
            self._speed.add(now, progress.bytes_moved)
            moving = {digest: done for digest, done, _ in progress.active}
            for digest in self._speeds.keys() - moving.keys():
                del self._speeds[digest]
            for digest, done in moving.items():
                self._speeds.setdefault(digest, Speed(now, done)).add(now, done)

    @contextmanager
    def operation(self) -> Iterator[Callable[[str], None]]:
        """While the import service works: a function that takes what it has last said."""
        key, began = object(), self._around.clock()

        def heard(said: str) -> None:
            with self._lock:
                self._operations[key] = began, said

        heard("no answer yet")
        try:
            yield heard
        finally:
            with self._lock:
                del self._operations[key]

    def show(self) -> None:
        """What there is to be seen now."""
        if self._screen:
            self._screen.draw()
            return
        scene = self.scene()
        self._line(f"  {self._log_line(scene)}")
        if self._in_pipeline and scene.whole:
            self._line(pipeline.progress(100 * scene.whole.share, self.name))

    def scene(self) -> Scene:
        """This moment, as values."""
        now = self._around.clock()
        with self._lock:
            progress = self._progress
            doing = self._doing(now)
            counts = bool(progress and progress.bytes_total and not self._operations)
            return Scene(
                self.title,
                now,
                tuple(self._transfers(now)) if counts else (),
                self._whole(now) if counts else None,
                self._images(),
                () if counts else doing,
            )

    def _transfers(self, now: float) -> Iterator[Flow]:
        """The largest that still move, in the order in which they were begun."""
        assert self._progress
        moving = [transfer for transfer in self._progress.active if transfer[1] < transfer[2]]
        largest = sorted(moving, key=lambda transfer: transfer[2], reverse=True)[:SHOWN]
        for digest, done, size in sorted(largest, key=moving.index):
            yield Flow(digest.hex[:DIGEST_DIGITS], done, size, self._speeds[digest].at(now), done / size)

    def _whole(self, now: float) -> Flow:
        progress = self._progress
        assert progress
        rate = self._speed.at(now)
        expected = max(self._expected(progress), progress.bytes_done)
        left = self._speed.seconds_left(now, expected - progress.bytes_done)
        share = progress.bytes_done / expected if expected else 0.0
        return Flow(f"total {share:4.0%}", progress.bytes_done, progress.bytes_total, rate, share, left)

    def _expected(self, progress: Progress) -> float:
        """Bytes in all."""
        return progress.bytes_total

    def _images(self) -> Images | None:
        return None

    def _doing(self, now: float) -> tuple[str, ...]:
        """What goes on where no bytes are counted; one line."""
        progress = self._progress
        if self._operations:
            began, said = min(self._operations.values())
            many = len(self._operations)
            at_work = f"{counted(many, 'operation')} of the import service" if many > 1 else "import service"
            return (f"{at_work}: {said}, {running_time(now - began)}",)
        if progress and progress.manifests_total:
            return (f"{progress.manifests_done} of {counted(progress.manifests_total, 'manifest')}",)
        return (f"asking source and target, {running_time(now - self._began)}",)

    def _log_line(self, scene: Scene) -> str:
        """One line with name, percent, rate and time left."""
        name = str(scene.images) if scene.images else self.name
        if scene.whole is None:
            return f"{name}: {'; '.join(scene.doing)}"
        whole = scene.whole
        parts = [whole.label.removeprefix("total").strip(), human_part(whole.done, whole.total), human_rate(whole.rate)]
        parts += [f"{running_time(whole.left)} left"] if whole.left is not None else []
        return f"{name}: {', '.join(parts)}"

    def end(self, item: ItemResult, engine: str = "embedded", operation: str = "") -> None:
        """The last word. ``operation``: where to ask, of what was only handed over."""
        width = self._around.size(self._around.stream).columns if self._screen else None
        self.close()
        for notice in item.notices:
            self._line(f"  {notice}")
        if said := last_word(item, engine, operation, width):
            self._line(said)
        if self._in_pipeline and not item.error:
            self._line(pipeline.progress(100, self.name))

    def close(self) -> None:
        """Nothing moves any longer. May be called again."""
        self._closed.set()
        if self._thread:
            self._thread.join()
            self._thread = None
        if self._screen:
            self._screen.close()
            self._screen = None

    def _line(self, text: str) -> None:
        if self._silent:
            return
        try:
            self._around.stream.write(f"{text}\n")
            self._around.stream.flush()
        except (OSError, ValueError):  # nobody reads it any longer; the import goes on
            self._silent = True
