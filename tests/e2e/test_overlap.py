# SPDX-License-Identifier: MIT
"""What does not depend on each other is asked at once. Who answers first waits here for the other's question."""

from __future__ import annotations

import threading

ID = "/subscriptions/{0}/resourceGroups/{1}/providers/Microsoft.ContainerRegistry/registries/{2}".format
TARGET = ID("22222222-2222-2222-2222-222222222222", "sandbox", "myregistry")
OTHER = ID("33333333-3333-3333-3333-333333333333", "elsewhere", "otherregistry")
# Only a failing test waits so long. Seconds.
TIMEOUT = 20


def test_arm_finds_the_target_while_the_source_is_asked(sandbox, az):
    """A source outside Azure needs nothing that ARM tells."""
    asked = threading.Event()
    met = []
    sandbox.faults.add(path=".*/registries/myregistry", before=lambda _: met.append(asked.wait(TIMEOUT)))
    sandbox.faults.add(host="mcr.microsoft.com", path=".*/manifests/.*", before=lambda _: asked.set())
    result = az("acr", "import", "-n", TARGET, "--source", "mcr.microsoft.com/hello-world", "-t", "overlap:1")
    assert result.code == 0, result.stderr
    assert met == [True]


def test_arm_finds_both_registries_at_once(sandbox, az):
    """Two resource IDs are two questions."""
    both = threading.Barrier(2, timeout=TIMEOUT)
    for name in ("myregistry", "otherregistry"):
        sandbox.faults.add(path=f".*/registries/{name}", before=lambda _: both.wait())
    result = az("acr", "import", "-n", TARGET, "-r", OTHER, "--source", "app/web:v1", "-t", "overlap:2")
    assert result.code == 0, result.stderr
    assert not both.broken


def test_one_job_asks_one_after_the_other(sandbox, az):
    """Recordings replay exactly then; and a source is asked for nothing when the target is not there."""
    mark = sandbox.log.mark()
    missing = TARGET.replace("myregistry", "missing")
    assert az("acr", "import", "-n", missing, "--source", "mcr.microsoft.com/hello-world", "--jobs", "1").code == 3
    assert sandbox.log.find(since=mark, path=".*/registries/missing")
    assert not sandbox.log.find(since=mark, host="mcr.microsoft.com")
