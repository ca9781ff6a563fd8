# SPDX-License-Identifier: MIT
"""The comparison measures what it says: it runs, and it sees a copy that is not complete or not right."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import registries, rows, timeline
from benchmarks.images import Storage
from tests.sandbox.server import Listener, Response

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.registry
@pytest.mark.skipif(not registries.available(), reason="docker-registry is not installed")
def test_smallest_comparison(tmp_path):
    """One row, our own engine, plain and over the slow link: a table, a chart, exit code 0."""
    chart = tmp_path / "chart.svg"
    words = ("--rows", "small,small-link", "--runs", "1", "--tools", "acrimport", "--svg", str(chart))
    command = [sys.executable, str(ROOT / "benchmarks" / "compare.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("acrimport") == 2
    assert chart.read_text("utf-8").count("<rect") == 3


def test_incomplete_and_damaged_copies_are_seen(tmp_path):
    """Each file that a registry would have written counts."""
    source = Storage(tmp_path / "source")
    (((repository, tag), image),) = rows.small(source).items()
    assert source.missing(repository, tag, image)
    source.tag(repository, tag, image)
    assert not source.missing(repository, tag, image) and not source.damaged()
    target = Storage(tmp_path / "target")
    target.take(source)
    links = [link for link, _ in target._links(repository, tag, image)]
    assert len(links) == len(image.blobs) + len(image.manifests) + 2
    for link in links:
        target.tag(repository, tag, image)
        assert not target.missing(repository, tag, image)
        link.unlink()
        assert target.missing(repository, tag, image)
    data = target._data(image.blobs[1]["digest"])
    raw = data.read_bytes()
    data.unlink()
    data.write_bytes(raw[:-1] + b"?")
    assert target.damaged() and not source.damaged()


def test_critical_path_is_what_waited_for_what(tmp_path):
    """A connection takes two round trips, and what ran beside the longest chain is not in it."""
    log, trip = tmp_path / "log", timeline.ROUND_TRIP
    connection = {
        "kind": "connection",
        "host": "hub",
        "connection": "hub-0",
        "begun": 100 + trip,
        "ended": 100 + 3.5 * trip,
    }
    asked = {"kind": "request", "host": "hub", "connection": "hub-0", "method": "GET", "path": "/v2/", "status": 401}
    # as the fronts see them: half a round trip after the client has sent, half a one before it has the answer
    answered = [{**asked, "begun": 100 + trip * at, "ended": 100 + trip * at} for at in (3.5, 4.5)]
    beside = {**asked, "connection": "hub-1", "begun": 100 + trip * 2, "ended": 100 + trip * 2}
    log.write_text("".join(json.dumps(entry) + "\n" for entry in (beside, *answered, connection)))
    chain = timeline.critical(timeline.steps(log, 100.0))
    assert [step.connection for step in chain] == ["hub-0"] * 3
    assert timeline.trips(chain) == 4
    assert timeline.svg(timeline.steps(log, 100.0), "title").count("#cf222e") == 3


def test_link_hands_on_what_it_gets():
    """More bytes than it lets be on their way at once."""
    content = bytes(range(256)) * 40_000
    with Listener(lambda request: Response(200, {}, content)) as listener:
        port = int(listener.address.rpartition(":")[2])
        with registries.link(port, slow=True) as address:
            for _ in range(2):
                connection = http.client.HTTPConnection(address, timeout=20)
                connection.request("GET", "/")
                assert connection.getresponse().read() == content
                connection.close()
