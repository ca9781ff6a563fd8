# SPDX-License-Identifier: MIT
"""Whatever happens in the middle: the tag names a complete image, or is as it was, and a second run ends the work."""

from __future__ import annotations

import json
import os
import signal
import threading

import pytest

from tests.sandbox import images
from tests.sandbox.server import Response
from tests.support.content import tag_digest, tree
from tests.support.dawdler import DAWDLERS, Dawdler

TARGET = "myregistry.azurecr.io"
MCR = "mcr.microsoft.com"

posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def source_image(sandbox, name: str) -> images.Artifact:
    """Four layers of 3 MB."""
    return images.image(name, (3_000_000,) * 4).push(sandbox.content(MCR), name, "1")


def words(name: str) -> tuple[str, ...]:
    """The command line."""
    return "acr", "import", "-n", "myregistry", "--source", f"{MCR}/{name}:1", "-t", f"{name}:1"


@posix
@pytest.mark.parametrize(
    ("number", "jobs"),
    [(signal.SIGKILL, 1), (signal.SIGINT, 1), (signal.SIGINT, 4), (signal.SIGTERM, 4)],
    ids=["killed", "interrupted", "interrupted at four jobs", "terminated"],
)
def test_stopped_in_the_middle(sandbox, az, number, jobs):
    """No tag is there; a second run moves only what is missing."""
    name = f"stopped/{number.name.lower()}-{jobs}"
    image = source_image(sandbox, name)
    reached, go_on = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        reached.set()
        go_on.wait(30)

    sandbox.faults.add(method="PUT", path=f"/v2/{name}/blobs/.*", skip=2, times=9, before=hold)
    process = az.start(*words(name), "--jobs", str(jobs))
    assert reached.wait(30)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    go_on.set()
    assert process.returncode != 0
    assert tag_digest(sandbox.content(TARGET), name, "1") is None
    if number != signal.SIGKILL:
        assert process.returncode == 1
        result = json.loads(stdout)
        assert (result["status"], result["error"]["code"]) == ("cancelled", "cancelled")
        assert (result["engine"], result["targets"]) == ("embedded", [f"{name}:1"])
        assert result["sourceDigest"] == image.digest
        assert "Interrupted. No tag was written" in stderr
        assert "Traceback" not in stderr
    sandbox.faults.clear()
    second = az(*words(name)).json
    assert second["status"] == "copied"
    if jobs == 1:
        assert second["blobs"]["existing"] in (2, 3)  # the one that was held may have got through
    assert set(tree(sandbox.content(TARGET), name, "1")) >= set(image.blobs)


@posix
@pytest.mark.parametrize("jobs", ["1", "4"])
@pytest.mark.parametrize("what", ["headers", "manifest"])
def test_ctrl_c_ends_a_wait_for_what_trickles(az, what, jobs):
    """A byte every second, of headers as of a body: long before the patience with that is at its end."""
    with Dawdler(*DAWDLERS[what], pause=1.0) as server:
        process = az.start("acr", "import", "-n", "localhost:1", "--source", f"{server.address}/app:1", "--jobs", jobs)
        assert server.asked.wait(30)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
    assert (json.loads(stdout)["error"]["code"], "Traceback" in stderr) == ("cancelled", False)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("source-busy", {"host": MCR, "path": "/v2/.*/blobs/.*", "answer": Response(503)}),
        (
            "source-throttles",
            {"host": MCR, "path": "/v2/.*", "answer": Response(429, {"Retry-After": "0"}), "times": 2},
        ),
        ("source-cut", {"host": ".*data.mcr.*", "path": ".*", "cut_after": 2_000_000, "times": 2}),
        ("target-busy", {"host": TARGET, "method": "POST", "path": "/v2/.*", "answer": Response(503)}),
        ("target-throttles", {"host": TARGET, "path": "/v2/.*", "answer": Response(429, {"Retry-After": "0"})}),
        ("target-loses", {"host": TARGET, "method": "PUT", "path": "/v2/.*/blobs/.*", "answer": Response(404)}),
        ("target-cut", {"host": TARGET, "method": "PUT", "path": "/v2/.*/blobs/.*", "cut_after": 0}),
        ("token-throttled", {"host": TARGET, "path": "/oauth2/.*", "answer": Response(429, {"Retry-After": "0"})}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_passing_trouble_is_overcome(sandbox, az, name, fault):
    """One retry later all is there, bit for bit."""
    source_image(sandbox, name)
    planned = sandbox.faults.add(**fault)
    result = az(*words(name))
    assert result.code == 0, result.stderr
    assert planned.seen > 0
    assert tree(sandbox.content(TARGET), name, "1") == tree(sandbox.content(MCR), name, "1")


@pytest.mark.parametrize(
    ("name", "fault", "code"),
    [
        ("damaged-blob", {"host": ".*data.mcr.*", "damage": lambda b: b[:-1] + b"x"}, "source-digest-mismatch"),
        ("damaged-manifest", {"host": MCR, "method": "GET", "path": "/v2/.*/manifests/.*",
                              "damage": lambda b: b + b" "}, "source-digest-mismatch"),
        ("denied-manifest", {"host": TARGET, "method": "PUT", "path": "/v2/.*/manifests/.*", "answer": Response(403)},
         "target-denied"),
        ("large-manifest", {"host": MCR, "method": "GET", "path": "/v2/.*/manifests/.*",
                            "damage": lambda _: b" " * 5_000_000}, "source-manifest"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_lasting_trouble_leaves_no_tag(sandbox, az, name, fault, code):
    """A plain failure with its code, and nothing under the tag."""
    source_image(sandbox, name)
    sandbox.faults.add(**{"path": ".*", **fault, "times": 99})
    result = az(*words(name), "--engine", "embedded")
    assert result.code == 1
    assert result.json["error"]["code"] == code
    assert "Traceback" not in result.stderr
    assert tag_digest(sandbox.content(TARGET), name, "1") is None
