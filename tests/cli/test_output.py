# SPDX-License-Identifier: MIT
"""What people see."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from azext_acrimport.engine import Change, Digest, ItemResult, TagConflict, Wait
from azext_acrimport.output import logs, result
from tests.support.terminal import Terminal


def test_waits_are_told(caplog, monkeypatch):
    """All with --verbose; to people those that look like a hang, once for each host."""
    clock = [100.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(logging.getLogger("cli"), "propagate", True)
    tell = logs.Waits()
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


def test_traceback_of_the_sdk_is_for_those_who_debug():
    """It warns so of each answer that it cannot read, once however often commands run."""
    for _ in range(2):
        logs.prepare_logs()
    theirs = [logging.getLogger(name) for name in logs.MODELS]
    assert [len(one.filters) for one in theirs] == [1, 1]
    levels = []
    for found in (None, (ValueError, ValueError(), None)):
        record = logging.LogRecord(theirs[0].name, logging.WARNING, "", 0, "Ran into an error", (), found)
        assert theirs[0].filter(record)
        levels.append(record.levelname)
    assert levels == ["WARNING", "DEBUG"]


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
    assert members("service", "updated") == members("service", "unchanged") == (None, 0, True, "move")
    assert members("service", "accepted") == (None, None, True, "move")
    assert members("service", "failed", error=refused, action=None) == (None, None, True, None)
    never_seen = ItemResult("a", ("app:1", "app"), status="cancelled", error=refused, referrers=None)
    told = result.to_result(never_seen, source="a", registry="r", engine="embedded", engine_reason="")
    assert told["changes"] == [{"target": name, "action": "none", "before": None} for name in ("app:1", "app")]
    assert told["referrers"] is None


@pytest.mark.parametrize("error", [None, TagConflict("app:1", "a", "b")])
@pytest.mark.parametrize("dry_run", [False, True])
def test_tables_stay_within_a_hundred_columns(error, dry_run):
    """As az draws them, with its own room beside titles, however long the names are."""
    from knack.output import format_table
    from knack.util import CommandResultItem

    from azext_acrimport.output import tables

    name = f"{'x' * 127}/{'y' * 100}:{'t' * 128}"
    item = ItemResult(name, (name, "short:1"), Digest.of(b"x"), status="planned" if dry_run else "updated", error=error)
    item.changes = tuple(Change(target, "move", Digest.of(b"before")) for target in item.targets)
    told = result.to_result(
        item, source=name, registry="r", engine="embedded", engine_reason="x" * 200, dry_run=dry_run
    )
    for rows in (tables.result_rows(told), tables.batch_rows({"items": [told, told]})):
        drawn = format_table(CommandResultItem(rows, is_query_active=True)).splitlines()
        assert 40 < max(map(len, drawn)) <= 100


@pytest.fixture
def drawn(monkeypatch):
    """A function from rows to the lines that az draws of them on a terminal of so many columns."""
    from knack.output import format_table
    from knack.util import CommandResultItem

    from azext_acrimport.output import tables

    def drawn(width, make, told):
        monkeypatch.setattr(tables, "_width", lambda: min(tables.COLUMNS, width))
        return format_table(CommandResultItem(make(told), is_query_active=True)).splitlines()

    return drawn


def _told(name, status="copied", error=None, **more):
    item = ItemResult(f"source.test/{name}", (name,), Digest.of(b"x"), status=status, error=error)
    item.changes = (Change(name, "create", None),)
    return result.to_result(item, source=f"source.test/{name}", registry="myregistry.azurecr.io", **more)


def test_tables_fit_on_a_terminal_of_eighty_columns(drawn):
    """Without the registry in front, and beside an error without the digest: a name tells more than either."""
    from azext_acrimport.output import tables

    how = {"engine": "embedded", "engine_reason": "the source does not answer this machine, and has a public name"}
    name = "library/hello-world:latest"
    well, badly = _told(name, **how), _told(name, "failed", TagConflict(name, "a", "b"), **how)
    assert drawn(100, tables.result_rows, well)[2].startswith(f"myregistry.azurecr.io/{name} ")
    assert drawn(80, tables.result_rows, _told("web:1", **how))[2].startswith("myregistry.azurecr.io/web:1 ")
    rows = {
        "well": drawn(80, tables.result_rows, well),
        "badly": drawn(80, tables.result_rows, badly),
        "many": drawn(80, tables.batch_rows, {"items": [well, badly]}),
    }
    for lines in rows.values():
        assert max(map(len, lines)) <= 80 and all(line.startswith(f"{name} ") for line in lines[2:])
    assert tables.batch_rows({"items": []}) == []
    assert drawn(30, tables.result_rows, well | {"operation": "https://x/y"})[2].startswith(name[-23:].rjust(24, "…"))
    assert "DIGEST" in rows["well"][0] and "DIGEST" not in rows["badly"][0]
    assert rows["badly"][2].endswith("target-tag-conflict")
    plan = drawn(80, tables.result_rows, _told(f"team/{'long' * 20}:1", "planned", **how))
    assert max(map(len, plan)) <= 80
    whole = "".join(line[17:] for line in plan)
    assert how["engine_reason"].replace(" ", "") in whole.replace(" ", "") and f"{'long' * 20}:1" in whole


def test_width_of_a_table_is_that_of_the_terminal(monkeypatch):
    """A file and a pipe have none."""
    from azext_acrimport.output import tables

    assert not sys.stdout.isatty() and tables._width() == 100
    monkeypatch.setattr(sys, "stdout", Terminal())
    for columns, width in ((80, 80), (200, 100)):
        monkeypatch.setattr(tables, "size_of", lambda _, columns=columns: os.terminal_size((columns, 24)))
        assert tables._width() == width


def test_no_code_of_an_error_is_cut(drawn):
    """People look for them."""
    from azext_acrimport import engine
    from azext_acrimport.output import catalogue, tables

    kinds = [kind for kind in vars(engine).values() if isinstance(kind, type) and issubclass(kind, engine.EngineError)]
    longest = max((*(kind.slug for kind in kinds), *(known.slug for known in catalogue.CATALOGUE)), key=len)
    error = TagConflict("x", "a", "b")
    error.slug = longest
    (line,) = drawn(100, tables.result_rows, _told("x" * 80, "failed", error, engine="embedded", engine_reason=""))[2:]
    assert line.endswith(f" target-{longest}") and len(line) <= 100


def test_end_of_az_is_short():
    """No look for garbage among all its modules, which nobody needs any more."""
    first = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 0)); "  # the first is the last
    command = [sys.executable, "-c", f"{first}from azext_acrimport import custom; custom._leave_soon()"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"
