# SPDX-License-Identifier: MIT
"""What people see while images move: on terminals of several widths, in logs, in a pipeline. No test waits."""

from __future__ import annotations

import io
import logging

import pytest

from azext_acrimport.engine import Digest, ItemResult, Progress, Quota, Tally
from azext_acrimport.progress import amounts, pipeline
from azext_acrimport.progress.batch import BatchView
from azext_acrimport.progress.lastword import last_word
from azext_acrimport.progress.speed import Speed
from azext_acrimport.progress.view import ProgressView, Surroundings
from tests.support import few_threads
from tests.support.terminal import Clock, Terminal, context

MB = 1_000_000
DIGESTS = [Digest.of(bytes([number])) for number in range(8)]
TITLE = "Importing docker.io/library/web:1.0 to myregistry.azurecr.io"
DONE = ItemResult("web", ("library/web:1.0",), DIGESTS[0], "copied", 3, Tally(12), Tally(200 * MB), 21.34)


def moment(second: float, **members: object) -> Progress:
    """Six layers of 20 to 70 MB, 2 MB a second each; 80 MB of 400 were there."""
    active = tuple((DIGESTS[n], int(2 * MB * second), (20 + 10 * n) * MB) for n in range(6))
    moved = sum(done for _, done, _ in active)
    known: dict = dict(bytes_done=80 * MB + moved, bytes_total=400 * MB, blobs_done=2, blobs_total=8)
    known |= dict(manifests_done=0, manifests_total=4, seconds=second, active=active, bytes_moved=moved)
    return Progress(**(known | members))


class Shown:
    """A view on a stream, with a clock; ``at`` is one moment of it."""

    def __init__(self, stream: object = None, kind: type = ProgressView, title: str = TITLE, **said: object) -> None:
        self.stream = stream or Terminal()
        self.clock = Clock()
        environ = {"TERM": "xterm", **said.pop("environ", {})}
        around = Surroundings(self.stream, environ, self.clock, lambda stream: stream.size(), alive=False)
        self.view = kind(context(**said), title, around)

    def at(self, second: float, progress: Progress | None = None) -> None:
        self.clock.now = 1000.0 + second
        if progress:
            self.view(progress)
        self.view.show()

    def run(self, seconds: int) -> None:
        for fifth in range(5 * seconds + 1):
            self.at(fifth / 5, moment(fifth / 5))


SCREENS = {
    60: """\
Importing docker.io/library/web:1.0 to myregistry.azurecr.…
dbc1b4c900ff  ━━────    16.0/40.0 MB   2.0 MB/s
084fed08b978  ━─────    16.0/50.0 MB   2.0 MB/s
e52d9c508c50  ━─────    16.0/60.0 MB   2.0 MB/s
e77b9a9ae9e3  ━─────    16.0/70.0 MB   2.0 MB/s
total  44%    ━━────  176.0/400.0 MB  12.0 MB/s   0:18 left""",
    80: """\
Importing docker.io/library/web:1.0 to myregistry.azurecr.io
dbc1b4c900ff  ━━━━━━━━━━────────────────    16.0/40.0 MB   2.0 MB/s
084fed08b978  ━━━━━━━━──────────────────    16.0/50.0 MB   2.0 MB/s
e52d9c508c50  ━━━━━━────────────────────    16.0/60.0 MB   2.0 MB/s
e77b9a9ae9e3  ━━━━━─────────────────────    16.0/70.0 MB   2.0 MB/s
total  44%    ━━━━━━━━━━━───────────────  176.0/400.0 MB  12.0 MB/s   0:18 left""",
    200: """\
Importing docker.io/library/web:1.0 to myregistry.azurecr.io
dbc1b4c900ff  ━━━━━━━━━━━━━━━━────────────────────────    16.0/40.0 MB   2.0 MB/s
084fed08b978  ━━━━━━━━━━━━────────────────────────────    16.0/50.0 MB   2.0 MB/s
e52d9c508c50  ━━━━━━━━━━──────────────────────────────    16.0/60.0 MB   2.0 MB/s
e77b9a9ae9e3  ━━━━━━━━━───────────────────────────────    16.0/70.0 MB   2.0 MB/s
total  44%    ━━━━━━━━━━━━━━━━━───────────────────────  176.0/400.0 MB  12.0 MB/s   0:18 left""",
    34: """\
Importing docker.io/library/web:…
dbc1b4c900ff  16.0/40.0 MB
084fed08b978  16.0/50.0 MB
e52d9c508c50  16.0/60.0 MB
e77b9a9ae9e3  16.0/70.0 MB
total  44%  176.0/400.0 MB""",
}
LAST = "Imported library/web:1.0 as sha256:6e340b9cffb3: 200.0 MB copied in 21.3 s."


@pytest.mark.parametrize("columns", SCREENS)
def test_terminal_shows_four_transfers_and_the_whole(columns):
    """At every width, of which nothing is left in the end but one line; the bytes that were there are no speed."""
    shown = Shown(Terminal(columns))
    shown.run(8)
    assert shown.stream.seen == SCREENS[columns].splitlines()
    shown.view.end(DONE)
    assert " ".join("".join(shown.stream.seen).split()) == " ".join(LAST.split()) or columns < 80


@pytest.mark.parametrize("late", [0, 1, 2])
def test_window_is_resized(late):
    """The next drawing has the new width, and nothing is left of the old one; some terminals tell it late."""
    shown = Shown(Terminal(80))
    shown.stream.write("$ az acr import\n")
    for columns in (80, 60, 200, 34, 80, 50):
        shown.stream.resize(columns, late=True)
        for _ in range(late):
            shown.at(8, moment(8))
        shown.stream.tell_size()
        shown.at(8, moment(8))
        head, *drawing = shown.stream.seen
        assert (head, len(drawing)) == ("$ az acr import", 6)
        assert max(map(len, drawing)) < columns
    shown.stream.resize(80)
    shown.view.end(DONE)
    assert shown.stream.seen == ["$ az acr import", LAST]


@pytest.mark.parametrize("lines", [1, 3, 5])
def test_low_window_does_not_scroll(lines):
    """What matters most is drawn last, and is left."""
    shown = Shown(Terminal(80, lines))
    shown.run(8)
    assert shown.stream.seen == SCREENS[80].splitlines()[-lines + 1 :][: lines - 1]


def test_warning_stands_above_the_drawing():
    """Whoever logs, or prints, or presses Ctrl-C, tears nothing; the drawing has ended before an error is written."""
    terminal = Terminal()
    handler, logger = logging.StreamHandler(terminal), logging.getLogger("cli")
    logger.addHandler(handler)
    try:
        shown = Shown(terminal)
        shown.run(4)
        logger.warning("registry-1.docker.io answered 429; the next attempt is in 57.1 s.")
        assert len(terminal.seen) == 1
        shown.at(8, moment(8))
        terminal.type("^C")
        shown.at(8.2, moment(8.2))
        warning, *drawing = terminal.seen
        assert "429" in warning and len(drawing) == 6 and "^C" not in "".join(drawing)
        handler.stream.write("Password: ")
        shown.at(9, moment(9))
        assert terminal.seen == [warning, "Password:"]
        handler.stream.write("\n")
        shown.view.close()
        logger.error("Interrupted.")
        assert terminal.seen == [warning, "Password:", "Interrupted."]
        assert handler.stream is terminal
    finally:
        logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("said", "coloured"), [({}, True), ({"environ": {"NO_COLOR": "1"}}, False), ({"colour": False}, False)]
)
def test_colours_are_asked_for(said, coloured):
    """NO_COLOR, and az's own switch."""
    shown = Shown(**said)
    shown.run(1)
    assert ("\x1b[36m" in shown.stream.raw) is coloured


def test_terminal_without_the_characters_gets_others():
    """An old code page, or LANG=C."""
    terminal = Terminal()
    terminal.encoding = "cp1252"
    shown = Shown(terminal)
    shown.run(8)
    assert terminal.seen[1] == "dbc1b4c900ff  ##########................    16.0/40.0 MB   2.0 MB/s"
    assert terminal.raw.isascii()


def test_terminal_that_is_gone_ends_nothing():
    """It was closed meanwhile; the import goes on."""
    shown = Shown()
    shown.run(1)
    shown.stream.write = lambda text: (_ for _ in ()).throw(OSError(5, "Input/output error"))
    shown.run(2)
    shown.view.end(DONE)


@pytest.mark.parametrize("settings", [{"only_errors": True}, {"no_bar": True}])
def test_silence_is_kept(settings):
    """--only-show-errors and core.disable_progress_bar."""
    shown = Shown(**settings)
    shown.view(moment(1))
    shown.view.end(DONE)
    assert shown.stream.raw == ""


def test_without_a_thread_beginning_and_end_are_told(monkeypatch):
    """Where no more are allowed nothing is shown in between, and nothing fails."""
    few_threads.allow(monkeypatch, 0)
    stream = io.StringIO()
    with ProgressView(context(), TITLE, Surroundings(stream, {})) as view:
        view(moment(1))
        view.end(DONE)
    assert stream.getvalue().splitlines() == [TITLE, LOG[-1]]


LOG = [
    TITLE,
    "  library/web:1.0: 50%, 200.0/400.0 MB, 12.0 MB/s, 0:16 left",
    "  library/web:1.0: 80%, 320.0/400.0 MB, 12.0 MB/s, 0:06 left",
    "  1 foreign layer left out",
    f"Imported library/web:1.0 as {DIGESTS[0]}: 200.0 MB copied in 21.3 s.",
]


def log_of(stream: object, **environ: str) -> list[str]:
    shown = Shown(stream, environ=environ)
    shown.view.is_about(TITLE, "library/web:1.0")
    for second in range(21):
        shown.view(moment(second))
        if second and second % shown.view.interval == 0:
            shown.at(second)
        shown.clock.now += 1
    item = ItemResult(*(getattr(DONE, name) for name in ("source", "targets", "digest", "status", "manifests")))
    item.blobs, item.bytes, item.seconds, item.notices = DONE.blobs, DONE.bytes, 21.3, ("1 foreign layer left out",)
    shown.view.end(item)
    return stream.getvalue().splitlines() if isinstance(stream, io.StringIO) else stream.raw.splitlines()


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_log_gets_a_line_now_and_then(stream):
    """One at the start, one every ten seconds with name, percent, rate and time left, one at the end."""
    assert log_of(stream(), TERM="dumb") == LOG


def test_pipeline_gets_its_own_commands():
    """The same lines, and how far the task is."""
    lines = log_of(io.StringIO(), TF_BUILD="True")
    assert [line for line in lines if not line.startswith("##vso")] == LOG
    assert [line for line in lines if line.startswith("##vso")] == [
        f"##vso[task.setprogress value={percent};]library/web:1.0" for percent in (50, 80, 100)
    ]


def test_pipeline_is_told_of_warnings_and_errors(monkeypatch):
    """In its own words, in the place of az's; what came from outside gives no orders."""
    stream, logger = io.StringIO(), logging.getLogger("cli")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    pipeline.mark_issues()
    pipeline.mark_issues()
    for level, text in (("info", "signing in"), ("warning", "50%\n%0Dtwo"), ("error", "##vso[task.x]no")):
        getattr(logger, level)(text)
    assert stream.getvalue().splitlines() == [
        "INFO: signing in",
        "##vso[task.logissue type=warning;]50%%0A%AZP250Dtwo",
        "##vso[task.logissue type=error;]# #vso[task.x]no",
    ]


def batch(**said: object) -> Shown:
    shown = Shown(kind=BatchView, title="Importing to myregistry", **said)
    shown.view.planned(9, lambda: {"failed": 1})
    return shown


def test_batch_shows_its_images():
    """Those that have ended, by the engine or before, and those that run; what is not planned yet counts for time."""
    shown = batch()
    for second in range(8):
        shown.at(second, moment(second, ended={"copied": 2, "unchanged": 1}, running=3))
    assert shown.stream.seen[-2:] == [
        "total  27%    ━━━━━━━───────────────────  164.0/400.0 MB  12.0 MB/s   0:36 left",
        "3 of 9 images done, 3 running, 1 failed",
    ]


def test_service_has_one_line_that_moves():
    """However many operations there are."""
    shown = Shown()
    with shown.view.operation() as heard:
        heard("InProgress, web:1.0 InProgress")
        shown.at(64)
        first = shown.stream.seen
        assert [line[1:] for line in first[1:]] == [" import service: InProgress, web:1.0 InProgress, 1:04"]
        shown.at(64.2)
        assert shown.stream.seen != first
        with shown.view.operation():
            shown.at(70)
            assert shown.stream.seen[1].endswith(
                "2 operations of the import service: InProgress, web:1.0 InProgress, 1:10"
            )
    shown.at(71)
    assert "import service" not in shown.stream.seen[1]


REPORT = {
    "summary": {"items": 2, "copied": 1, "updated": 0, "unchanged": 0, "skipped": 0, "planned": 0, "failed": 1}
    | {"blocked": 0, "cancelled": 0, "bytes": {"copied": 5000, "mounted": 0, "existing": 7}, "seconds": 63.2}
    | {"hub": {"needed": 1, "left": 0, "window": 21_600}},
    "items": [
        {"status": "copied", "targets": ["a:1"], "source": "docker.io/library/a:1", "error": None},
        {"status": "failed", "targets": ["b:1"], "source": "docker.io/library/b:1"}
        | {"error": {"code": "target-denied", "message": "No.", "recommendation": "Ask."}},
    ],
}
SUMMARY = "2 images: 1 copied, 1 failed; 5.0 KB copied, 7 B there already; in 1 min 3 s."
HUB = (
    "  Docker Hub: at least 1 pull needed, 0 pulls left in its window of 6 h. With --username and --password there are "
    "more."
)


def test_dry_run_says_what_would_move():
    """And what Docker Hub still allows."""
    item = ItemResult("web", ("web:1",), DIGESTS[0], "planned", 3, Tally(2, 1), Tally(5000, 70), quota=Quota(1, 3600))
    assert last_word(item, "embedded") == (
        "5.0 KB to copy, 70 B to mount. Docker Hub: at least 3 pulls needed, 1 pull left in its window of 1 h. With "
        "--username and --password there are more. Nothing was changed: this was a dry run."
    )


def test_what_cannot_be_waited_for_is_not_said_to_be():
    """Azure has named no operation."""
    item = ItemResult("", (), status="accepted")
    assert last_word(item, "service") == "The import service goes on by itself."
    assert last_word(item, "service", "https://x/1").endswith("az acr import-wait --operation 'https://x/1'")


def test_operation_of_which_only_the_address_is_known_has_no_names():
    """It was cut off from what --no-wait has put behind it."""
    assert last_word(ItemResult("", (), status="copied", seconds=2.0), "service") == (
        "Imported, by the import service in 2.0 s."
    )


def test_batch_ends_with_a_summary():
    """And with what to do about each failure."""
    stream = io.StringIO()
    shown = batch(stream=stream)
    shown.view.end_batch(REPORT, dry_run=False)
    assert stream.getvalue().splitlines() == [
        "Importing to myregistry",
        "  9 images",
        SUMMARY,
        "  failed: b:1: No. [target-denied]",
        "    Ask.",
        HUB,
    ]


def test_only_failure_of_a_batch_is_told_once():
    """The command ends with it."""
    stream = io.StringIO()
    batch(stream=stream).view.end_batch(REPORT, dry_run=False, names_failures=False)
    assert "No." not in stream.getvalue() and SUMMARY in stream.getvalue()
    batch(stream=stream).view.end_batch(REPORT, dry_run=True, names_failures=False)
    assert "Nothing was changed" not in stream.getvalue()


def test_batch_does_not_say_that_it_knows_all_when_it_does_not():
    """A dry run reads no manifest that counts as a pull, and does not know what the service would move."""
    stream = io.StringIO()
    unread = {"status": "planned", "targets": ["a:1"], "source": "docker.io/library/a:1", "error": None, "bytes": None}
    for known in ({"copied": 5000}, None):
        summary = REPORT["summary"] | {"copied": 0, "failed": 0, "planned": 2, "hub": None, "bytes": known}
        batch(stream=stream).view.end_batch({"summary": summary, "items": [unread]}, dry_run=True)
        assert stream.getvalue().endswith("Nothing was changed: this was a dry run.\n")
    assert [line for line in stream.getvalue().splitlines() if line.startswith("2 images")] == [
        "2 images: 2 planned; at least 5.0 KB to copy; in 1 min 3 s.",
        "2 images: 2 planned; how much would move is not known; in 1 min 3 s.",
    ]


def test_batch_in_a_pipeline_has_groups():
    """What happened, folded; each failure an issue."""
    stream = io.StringIO()
    shown = batch(stream=stream, environ={"TF_BUILD": "True"})
    shown.view.end_batch(REPORT, dry_run=False)
    assert stream.getvalue().splitlines() == [
        "Importing to myregistry",
        "##[group]Importing to myregistry: 9 images",
        "##[endgroup]",
        "##[group]What has become of each image",
        "copied: a:1",
        "failed: b:1",
        "##[endgroup]",
        SUMMARY,
        "##vso[task.logissue type=error;code=target-denied;]b:1: No. Ask.",
        HUB,
    ]


def test_rate_is_that_of_the_last_five_seconds():
    """Also while nothing is heard, and when a transfer is begun anew."""
    speed = Speed(0.0)
    rates = []
    for second, moved in ((3, 0), (4, 10), (5, 20), (6, 20), (7, 0), (8, 10), (9, 10)):
        speed.add(second, moved)
        rates.append(speed.at(second))
    assert rates == [0.0, 10.0, 10.0, 20 / 3, 5.0, 6.0, 4.0]
    assert (speed.at(12.0), speed.at(14.0)) == (2.0, 0.0)
    assert (speed.seconds_left(9.0, 40), speed.seconds_left(14.0, 40)) == (10.0, None)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (amounts.human_bytes(0), "0 B"), (amounts.human_bytes(999), "999 B"), (amounts.human_bytes(1000), "1.0 KB"),
        (amounts.human_bytes(999_949), "999.9 KB"), (amounts.human_bytes(999_999), "1.0 MB"),
        (amounts.human_bytes(12_345_678), "12.3 MB"), (amounts.human_bytes(5e9), "5.0 GB"),
        (amounts.human_bytes(7e15), "7000.0 TB"), (amounts.human_part(999_999, 5e9), "0.0/5.0 GB"),
        (amounts.human_part(1, 12), "1/12 B"), (amounts.human_rate(99.94e6), "99.9 MB/s"),
        (amounts.human_rate(999.9e6), "1000 MB/s"), (amounts.human_rate(0), "0 B/s"),
        (amounts.running_time(59.9), "0:59"), (amounts.running_time(3600), "1:00:00"),
        (amounts.running_time(4e5), "111 h"),
        (amounts.human_time(59.4), "59 s"), (amounts.human_time(120), "2 min"), (amounts.human_time(63), "1 min 3 s"),
        (amounts.human_time(21_600), "6 h"), (amounts.human_time(21_660), "6 h 1 min"),
        (amounts.fitted("library/web:1.0", 8), "…web:1.0"), (amounts.clipped("sentence", 5), "sent…"),
        (amounts.fitted("絵絵絵", 4), "…絵"), (amounts.fitted("é" * 9, 9), "é" * 9),
    ],
)  # fmt: skip
def test_amounts_are_readable(said, text):
    """In powers of 1000; in the columns that a terminal needs for them."""
    assert said == text
