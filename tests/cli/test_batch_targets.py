# SPDX-License-Identifier: MIT
"""Where each image goes, and what is said of it at the end."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from azext_acrimport.batch.report import ReportFile, junit, summary
from azext_acrimport.batch.targets import Naming, distinct, parse_target
from azext_acrimport.batch.wanted import Mistakes, Wanted

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("source", "prefix", "strip", "target"),
    [
        ("docker.io/alpine:3", "", "", "library/alpine:3"),
        ("docker.io/alpine:3", "mirror/", "", "mirror/library/alpine:3"),
        ("docker.io/alpine:3", "mirror-", "", "mirror-library/alpine:3"),
        ("docker.io/alpine:3", "base/", "library", "base/alpine:3"),
        ("docker.io/alpine:3", "", "library/", "alpine:3"),
        ("docker.io/alpine:3", "", "lib", "library/alpine:3"),
        ("docker.io/alpine:3", "", "alpine", "library/alpine:3"),
        ("docker.io/alpine:3", "base/alpine", "library/alpine", "base/alpine:3"),
        ("docker.io/alpine:3", "base/", "library/alpine", "base:3"),
        (f"ghcr.io/a/b@{DIGEST}", "", "a", "b:latest"),
        (f"ghcr.io/a/b:1@{DIGEST}", "", "", "a/b:1"),
        ("docker.io/alpine:3", "UPPER/", "", None),
        ("docker.io/alpine:3", "/", "", None),
        ("docker.io/alpine:3", "", "library/alpine", None),
        ("docker.io/alpine:3", "a" * 250, "", None),
    ],
)
def test_repository_is_named_after_its_source(source, prefix, strip, target):
    """A prefix is cut at a slash or not at all; what no registry would take is refused."""
    naming, wanted = Naming(prefix, strip), Wanted.parse(source)
    if target is None:
        with pytest.raises(ValueError):
            naming.item(wanted)
    else:
        assert naming.item(wanted).target == target


def test_target_that_is_named_is_final():
    """With a tag of its own, or with the source's."""
    naming, wanted = Naming("mirror/", "library"), Wanted.parse("docker.io/alpine:3")
    for text, target in (("a", "a:3"), ("a/b:1", "a/b:1")):
        assert naming.item(replace(wanted, target=parse_target(text, wanted))).target == target


def test_two_images_for_one_target_are_refused_and_the_same_one_is_one():
    """With both names, and where they stand."""
    naming = Naming(strip_prefix="a")
    one, same = Wanted.parse("reg.test/a/x:1", "list:1"), Wanted.parse("reg.test/a/x:1", "list:7")
    other = Wanted.parse("reg.test/x:1", "list:9")
    assert [item.target for item in distinct(map(naming.item, (one, same)))] == ["x:1"]
    with pytest.raises(Mistakes, match="list:1 and list:9: reg.test/a/x:1 and reg.test/x:1 would both become x:1"):
        distinct(map(naming.item, (one, other)))


def item(status, target, **members) -> dict:
    """As a result has it."""
    moved = {"copied": 5, "mounted": 0, "existing": 1}
    whole = {"source": "reg.test:5000/a/x:1", "targets": [target], "status": status, "seconds": 1.5}
    return {**whole, "bytes": moved, "error": None, **members}


ERROR = {"code": "source-not-found", "message": "gone \x1b[2J\x00\ud800", "recommendation": "look"}
ITEMS = [
    item("copied", "x:1"),
    item("unchanged", "x:2", bytes=None),
    item("skipped", "x:3"),
    item("failed", "x:4", error=ERROR, source=f"reg.test:5000/a/x@{DIGEST}"),
    item("blocked", "x:5", error=ERROR),
    item("cancelled", "x:6", error=ERROR),
    {**item("failed", "", error=ERROR, source="reg.test:5000"), "targets": []},
]


def test_summary_counts_states_and_what_is_known_of_bytes():
    """Null where nothing is."""
    totals = summary(ITEMS, 2.0, (1, 3), None)
    assert (totals["items"], totals["copied"], totals["failed"], totals["planned"]) == (7, 1, 2, 0)
    assert totals["bytes"] == {"copied": 30, "mounted": 0, "existing": 6}
    assert (totals["shard"], totals["hub"], totals["seconds"]) == ("1/3", None, 2.0)
    assert summary(ITEMS[1:2], 0, None, None)["bytes"] is None


def test_junit_has_a_case_an_item():
    """Failures with their code; what was not done is skipped; and it is XML, whatever a registry has said."""
    suite = ET.fromstring(junit({"summary": summary(ITEMS, 2.0, None, None), "items": ITEMS})).find("testsuite")
    assert {name: suite.get(name) for name in ("tests", "failures", "skipped")} == {
        "tests": "7",
        "failures": "2",
        "skipped": "3",
    }
    cases = suite.findall("testcase")
    places = [(case.get("classname"), case.get("name")) for case in cases]
    assert places == [("reg.test:5000/a/x", f"x:{number}") for number in range(1, 7)] + [("reg.test:5000",) * 2]
    assert [[child.tag for child in case] for case in cases] == [
        [],
        [],
        ["skipped"],
        ["failure"],
        ["skipped"],
        ["skipped"],
        ["failure"],
    ]
    assert cases[3][0].get("type") == "source-not-found"
    assert "gone" in cases[3][0].get("message")


def test_report_is_written_whole_or_not_at_all(tmp_path):
    """Its place is taken first, and nothing is left beside it."""
    path = tmp_path / "report.json"
    path.write_text("before")
    report = {"summary": summary(ITEMS[:1], 1, None, None), "items": ITEMS[:1]}
    file = ReportFile(str(path))
    assert path.read_text() == "before"
    with pytest.raises(TypeError):
        file.write({"items": object()})
    assert path.read_text() == "before"
    file.write(report)
    file.close()
    assert json.loads(path.read_text()) == report
    assert [found.name for found in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.skipif(os.name == "nt", reason="links are made by administrators there")
def test_report_goes_where_a_link_leads(tmp_path):
    """And the link stays one, whatever the file behind it is called."""
    link, behind = tmp_path / "latest.xml", tmp_path / "behind"
    link.symlink_to(behind)
    file = ReportFile(str(link))
    file.write({"summary": summary(ITEMS[:1], 1, None, None), "items": ITEMS[:1]})
    file.close()
    assert link.is_symlink() and behind.read_bytes().startswith(b"<?xml")


def test_report_that_cannot_be_written_is_found_at_once(tmp_path):
    """By its name, its folder, or because it is one."""
    (tmp_path / "folder.xml").mkdir()
    for name in ("report.txt", "folder.xml", "missing/report.json"):
        with pytest.raises((ValueError, OSError)):
            ReportFile(str(tmp_path / name))
    assert [found.name for found in tmp_path.iterdir()] == ["folder.xml"]
