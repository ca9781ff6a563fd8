# SPDX-License-Identifier: MIT
"""What people see."""

from __future__ import annotations

import io
import logging
import types
from dataclasses import replace

import pytest

from azext_acrimport.engine import Change, Digest, ItemResult, Progress, TagConflict, Tally, Wait
from azext_acrimport.output import logs, progress, result, waits


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def context(*, only_errors: bool = False, no_bar: bool = False, bar: object = None) -> types.SimpleNamespace:
    """As much of az's context as progress needs."""
    config = types.SimpleNamespace(getboolean=lambda section, name, fallback: no_bar)
    return types.SimpleNamespace(only_show_errors=only_errors, config=config, get_progress_controller=lambda det: bar)


def moment(done: int, total: int = 20_000_000) -> Progress:
    """Two seconds after the start."""
    return Progress(done, total, 1, 4, 0, 3, 2.0)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (999_949, "999.9 KB"), (999_999, "1.0 MB"), (12_345_678, "12.3 MB"),
     (5e9, "5.0 GB"), (7e15, "7000.0 TB")],
)  # fmt: skip
def test_bytes_are_readable(amount, text):
    """In powers of 1000."""
    assert progress.human_bytes(amount) == text


def test_pipe_gets_lines_now_and_then(monkeypatch):
    """One at the start, one every ten seconds, one at the end."""
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    stream = io.StringIO()
    view = progress.ProgressView(context(), "Importing a to b", stream=stream)
    for second in range(25):
        clock[0] = 100.0 + second
        view(moment(4_000_000))
    digest = Digest.of(b"x")
    done = Tally(4), Tally(20_000_000)
    view.end(ItemResult("a", ("app:1",), digest, "copied", 1, *done, 3.25, ("1 foreign layer left out",)))
    assert stream.getvalue().splitlines() == [
        "Importing a to b",
        "  4.0 MB of 20.0 MB, 2.0 MB/s, 1 of 4 blobs, 2 s",
        "  4.0 MB of 20.0 MB, 2.0 MB/s, 1 of 4 blobs, 2 s",
        "  1 foreign layer left out",
        f"Imported app:1 as {digest}: 4 blobs (20.0 MB) copied, in 3.2 s.",
    ]


def test_terminal_gets_azs_own_bar():
    """Never more than its total, which az's bar does not survive."""
    heard = []
    bar = types.SimpleNamespace(add=lambda **values: heard.append(values))
    stream = Terminal()
    view = progress.ProgressView(context(bar=bar), "Importing", stream=stream)
    view(moment(5_000_000))
    view(moment(30_000_000))
    view(moment(0, 0))
    assert [(values["value"], values["total_val"]) for values in heard] == [
        (5_000_000, 20_000_000), (20_000_000, 20_000_000),
    ]  # fmt: skip
    view.end(ItemResult("a", ("app:1",), Digest.of(b"x"), "unchanged"))
    assert stream.getvalue().splitlines()[1:] == ["", f"Unchanged: app:1 is {Digest.of(b'x')} already."]


@pytest.mark.parametrize("settings", [{"only_errors": True}, {"no_bar": True}])
def test_silence_is_kept(settings):
    """--only-show-errors and core.disable_progress_bar."""
    stream = Terminal()
    view = progress.ProgressView(context(**settings), "Importing", stream=stream)
    view(moment(1))
    view.end(ItemResult("a", ("app:1",), Digest.of(b"x"), "copied"))
    assert stream.getvalue() == ""


def test_waits_are_told(caplog, monkeypatch):
    """All with --verbose; to people those that look like a hang, once for each host."""
    clock = [100.0]
    monkeypatch.setattr(waits.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(logging.getLogger("cli"), "propagate", True)
    tell = waits.Waits()
    with caplog.at_level(logging.INFO, "cli"):
        for seconds, host in ((5.0, "a"), (57.1, "a"), (56.9, "a"), (57.0, "b")):
            tell(Wait(seconds, host, f"{host} answered 429."))
        clock[0] += 57
        tell(Wait(30.0, "a", "a answered 429."))
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [text for level, text in said if level == "WARNING"] == [
        f"{host} answered 429; the next attempt is in {seconds} s."
        for host, seconds in (("a", 57.1), ("b", "57.0"), ("a", "30.0"))
    ]
    assert len([level for level, _ in said if level == "INFO"]) == 5


def test_signatures_are_hidden_in_other_peoples_logs():
    """urllib3 writes whole URLs with --debug."""
    arguments = ("https", "s.test", 443, "GET", "/blob?sv=1&sig=secret", "HTTP/1.1", 200, "5")
    record = logging.LogRecord("urllib3.connectionpool", 10, "", 0, '%s://%s:%s "%s %s %s" %s %s', arguments, None)
    assert logs.QueryFilter().filter(record)
    assert "secret" not in record.getMessage()
    assert "/blob?sv=REDACTED&sig=REDACTED" in record.getMessage()


def test_result_says_what_is_known_and_what_was_done():
    """Nothing is 0 that nobody has counted, and no tag has moved that was refused."""
    before = Digest.of(b"before")
    change = Change("app:1", "move", before)

    def members(engine, status, *, dry_run=False, error=None, written=(), action="move"):
        item = ItemResult("a", ("app:1",), status=status, error=error, written=written)
        item.changes = (replace(change, action=action),)
        told = result.to_result(item, source="a", registry="r", engine=engine, engine_reason="", dry_run=dry_run)
        return told["manifests"], told["referrers"], told["bytes"] is None, told["changes"][0]["action"]

    refused = TagConflict("app:1", str(before), "other")
    assert members("embedded", "updated") == (0, 0, False, "move")
    assert members("embedded", "failed", error=refused) == (0, 0, False, "none")
    assert members("embedded", "failed", error=refused, written=("app:1",)) == (0, 0, False, "move")
    assert members("embedded", "failed", error=refused, dry_run=True) == (0, 0, False, "move")
    assert members("service", "updated") == (None, 0, True, "move")
    assert members("service", "accepted") == (None, None, True, "move")
    assert members("service", "failed", error=refused, action=None) == (None, None, True, None)
