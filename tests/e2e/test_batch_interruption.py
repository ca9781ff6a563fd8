# SPDX-License-Identifier: MIT
"""A batch that is stopped: what is complete is said, no tag is half, and the next run does only what is missing."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import threading

import pytest

from tests.sandbox import images
from tests.support.content import tag_digest, tree
from tests.support.until import until

TARGET = "myregistry.azurecr.io"
MCR = "mcr.microsoft.com"
COUNT = 12

posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def push(sandbox, name: str) -> None:
    """Tags that share a layer; each has one of its own."""
    shared = images.layer(f"{name} shared", 200_000)
    for tag in range(COUNT):
        images.image(f"{name} {tag}", (100_000,), shared=[shared]).push(sandbox.content(MCR), name, str(tag))


def held(sandbox, name: str, after: int) -> tuple[threading.Event, threading.Event]:
    """The registry takes so many uploads, and then no more: when it is asked for the next, and when it may go on."""
    reached, go_on = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        reached.set()
        go_on.wait(30)

    path = f"/v2/{name}/blobs/.*"
    sandbox.faults.add(method="PUT", host=TARGET, path=path, skip=after, times=999, before=hold)
    return reached, go_on


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["interrupted", "terminated"])
def test_stopped_batch_says_what_is_complete(sandbox, az, tmp_path, number):
    """The report is printed and written; what it calls copied is there, and no tag is half."""
    name = f"batch-stopped/{number.name.lower()}"
    push(sandbox, name)
    reached, go_on = held(sandbox, name, 12)
    report = tmp_path / "report.json"
    words = ("acr", "import-batch", "-n", "myregistry", "--source", f"{MCR}/{name}", "--jobs", "4")
    process = az.start(*words, "--report", str(report))
    assert reached.wait(30)
    until(lambda: any(tag_digest(sandbox.content(TARGET), name, str(tag)) for tag in range(COUNT)))
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    go_on.set()
    assert process.returncode == 1
    told = json.loads(stdout)
    assert json.loads(report.read_text()) == told
    assert "Traceback" not in stderr and re.search(rf"\d+ of {COUNT} images (is|are) complete", stderr)
    states = {item["targets"][0]: item["status"] for item in told["items"]}
    assert len(states) == COUNT and set(states.values()) == {"copied", "cancelled"}
    assert {item["error"]["code"] for item in told["items"] if item["status"] == "cancelled"} == {"cancelled"}
    content = sandbox.content(TARGET)
    for target, status in states.items():  # a tag whose answer was still on its way may be there as well, and whole
        if status == "copied" or tag_digest(content, *target.split(":")):
            assert tree(content, *target.split(":")) == tree(sandbox.content(MCR), *target.split(":"))
    sandbox.faults.clear()
    second = az(*words).json
    assert second["summary"]["copied"] + second["summary"]["unchanged"] == COUNT
    assert second["summary"]["unchanged"] >= sum(status == "copied" for status in states.values())


@posix
@pytest.mark.parametrize("seed", range(3))
def test_killed_batch_sends_no_finished_blob_twice(sandbox, az, seed):
    """At a random moment; the registry's log tells."""
    name = f"batch-killed/seed{seed}"
    push(sandbox, name)
    mark = sandbox.log.mark()
    after = random.Random(seed).randrange(1, 3 * COUNT // 2)
    reached, go_on = held(sandbox, name, after)
    words = ("acr", "import-batch", "-n", "myregistry", "--source", f"{MCR}/{name}")

    def sent() -> set[str]:
        puts = sandbox.log.find(since=mark, host=TARGET, method="PUT", path=f"/v2/{name}/blobs/", status=201)
        return {entry["query"]["digest"] for entry in puts}

    process = az.start(*words)
    assert reached.wait(30)
    until(lambda: len(sent()) == after)
    process.kill()
    process.communicate(timeout=20)
    stored = sent()
    sandbox.faults.clear()
    mark = sandbox.log.mark()
    go_on.set()
    second = az(*words)
    assert second.code == 0, second.stderr
    assert not stored & sent()
    for tag in range(COUNT):
        assert tree(sandbox.content(TARGET), name, str(tag)) == tree(sandbox.content(MCR), name, str(tag))


def test_batch_that_takes_too_long_is_given_up(sandbox, az):
    """What is complete stays, the rest is cancelled, and the error says that time was over."""
    name = "batch-late/app"
    push(sandbox, name)
    _, go_on = held(sandbox, name, 6)
    result = az("acr", "import-batch", "-n", "myregistry", "--source", f"{MCR}/{name}", "--timeout", "8", "--jobs", "2")
    go_on.set()
    assert result.code == 1
    states = {item["status"] for item in result.json["items"]}
    assert states == {"copied", "cancelled"}
    errors = {item["error"]["code"] for item in result.json["items"] if item["error"]}
    assert errors == {"timeout"}
    assert re.search(r"not done within 8 s", result.stderr)


def test_time_that_is_over_before_the_sources_are_known(sandbox, az):
    """That is no failure of a source, whichever was being looked up."""
    go_on = threading.Event()
    sandbox.faults.add(host="management.azure.com", times=99, before=lambda _: go_on.wait(20))
    words = ("--source", "mysourceregistry.azurecr.io/app/web", "--source", f"{MCR}/hello-world", "--timeout", "1")
    result = az("acr", "import-batch", "-n", sandbox.plain.address, *words)
    go_on.set()
    found = {(item["status"], item["error"]["code"]) for item in result.json["items"]}
    assert (result.code, found) == (1, {("cancelled", "timeout")}), result.stderr


def test_service_that_takes_too_long_is_given_up(sandbox, az):
    """Time is over, and nobody has interrupted; how long it took is told of each."""
    from tests.sandbox.world import ServiceFault

    name = "batch-late/served"
    images.image(name).push(sandbox.content("mysourceregistry.azurecr.io"), name, "1")
    sandbox.world.service_faults += [ServiceFault(hangs=True)]
    words = ("acr", "import-batch", "-n", "myregistry", "--source", f"mysourceregistry.azurecr.io/{name}")
    result = az(*words, "--engine", "service", "--timeout", "8")
    sandbox.world.service_faults.clear()
    item = result.json["items"][0]
    assert (result.code, item["status"], item["error"]["code"]) == (1, "cancelled", "arm-timeout")
    assert item["seconds"] > 0
    assert "not done within 8 s" in result.stderr and "Interrupted" not in result.stderr


@posix
def test_batch_that_is_interrupted_while_the_service_works(sandbox, az):
    """The service goes on; the report is printed at once."""
    name = "batch-served/app"
    images.image(name).push(sandbox.content("mysourceregistry.azurecr.io"), name, "1")
    images.image(f"{name} 2").push(sandbox.content("mysourceregistry.azurecr.io"), name, "2")
    from tests.sandbox.world import ServiceFault

    sandbox.world.service_faults += [ServiceFault(hangs=True), ServiceFault(hangs=True)]
    words = ("acr", "import-batch", "-n", "myregistry", "--source", f"mysourceregistry.azurecr.io/{name}")
    before = len(sandbox.world.imports)
    process = az.start(*words, "--engine", "service")
    until(lambda: len(sandbox.world.imports) >= before + 2)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    sandbox.world.service_faults.clear()
    assert (process.returncode, "Traceback" in stderr) == (1, False)
    assert [item["status"] for item in json.loads(stdout)["items"]] == ["cancelled", "cancelled"]
