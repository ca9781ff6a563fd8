# SPDX-License-Identifier: MIT
"""The import service as engine: what it did, how long it takes, how it fails, and what becomes of Ctrl-C."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time

import pytest

from tests.sandbox import images
from tests.sandbox.server import Response
from tests.sandbox.world import AzureRegistry, ServiceFault
from tests.support.content import tag_digest, tree
from tests.support.until import until

TARGET = "myregistry.azurecr.io"
MCR = "mcr.microsoft.com"
ARM = "management.azure.com"
IMPORT = {"host": ARM, "method": "POST", "path": ".*importImage"}
numbers = itertools.count()


@pytest.fixture(autouse=True)
def quick(sandbox):
    """The service asks for no pause, and no fault outlives its test."""
    sandbox.world.service_pause = 0.01  # more than nothing, for which there is a pause of its own
    yield
    sandbox.world.service_pause = 1
    sandbox.world.service_faults.clear()


@pytest.fixture
def new() -> str:
    """A target that no other test has."""
    return f"by-service/number-{next(numbers)}"


def words(new: str, *more: str, source: str = f"{MCR}/hello-world:latest") -> tuple[str, ...]:
    """The command line."""
    return "acr", "import", "-n", "myregistry", "--source", source, "-t", f"{new}:1", "--engine", "service", *more


def test_result_is_that_of_any_engine(sandbox, az, new):
    """Copied, then unchanged; a tag moves with --force only. Each request is sent, whatever this machine sees."""
    result = az(*words(new))
    assert result.code == 0, result.stderr
    assert tree(sandbox.content(TARGET), new, "1") == tree(sandbox.content(MCR), "hello-world", "latest")
    assert (result.json["status"], result.json["engine"]) == ("copied", "service")
    assert result.json["engineReason"] == "named by the user"
    assert result.json["digest"] == tag_digest(sandbox.content(TARGET), new, "1")
    assert "by the import service" in result.stderr
    assert (result.json["blobs"], result.json["bytes"]) == (None, None)  # the service does not tell
    assert result.json["changes"] == [{"target": f"{new}:1", "action": "create", "before": None}]
    before = len(sandbox.world.imports)
    again = az(*words(new))
    assert (again.code, again.json["status"]) == (0, "unchanged"), again.stderr
    assert (again.json["manifests"], again.json["blobs"], again.json["bytes"]) == (None, None, None)
    refused = az(*words(new, source="mysourceregistry.azurecr.io/app/web:v1"))
    assert (refused.code, refused.json["error"]["code"]) == (1, "target-tag-conflict")
    assert refused.json["digest"] in refused.stderr and result.json["digest"] in refused.stderr
    assert az(*words(new, "--force")).json["status"] == "unchanged"
    moved = az(*words(new, "--force", source="mysourceregistry.azurecr.io/app/web:v1")).json
    assert (moved["status"], moved["changes"][0]["action"]) == ("updated", "move")
    assert moved["changes"][0]["before"] == result.json["digest"]
    assert len(sandbox.world.imports) == before + 4


def test_tag_that_was_there_does_not_hinder_the_other(sandbox, az, new):
    """The service refuses both for the one that exists; it names the same image, so only the other one is missing."""
    assert az(*words(new)).json["status"] == "copied"
    both = az(*words(new, "-t", f"{new}:2"))
    assert (both.code, both.json["status"]) == (0, "copied"), both.stderr
    assert [body.get("targetTags") for _, body in sandbox.world.imports[-2:]] == [
        [f"{new}:1", f"{new}:2"],
        [f"{new}:2"],
    ]
    digests = {tag_digest(sandbox.content(TARGET), new, tag) for tag in "12"}
    assert digests == {both.json["digest"]}
    assert az(*words(new, "-t", f"{new}:2", "--dry-run")).json["status"] == "unchanged"
    refused = az(*words(new, "-t", f"{new}:3", source="mysourceregistry.azurecr.io/app/web:v1"))
    assert refused.json["error"]["code"] == "target-tag-conflict"
    assert tag_digest(sandbox.content(TARGET), new, "3") is None


def test_digest_is_told_only_where_it_was_read(sandbox, az, new):
    """Of a closed target only the source's is known, and that is said."""
    result = az(*words(new, "-n", "closedregistry"))
    assert result.code == 0, result.stderr
    assert result.json["digest"] is None
    assert result.json["sourceDigest"] == tag_digest(sandbox.content(MCR), "hello-world", "latest")
    assert "its digest was not checked" in result.stderr
    assert result.json["referrers"] is None and "cannot be seen from here" in result.stderr


def test_what_is_there_does_not_hide_what_is_not(sandbox, az, new):
    """A tag is unchanged, a repository without a tag has nothing yet; then both have it."""
    assert az(*words(new)).json["status"] == "copied"
    both = words(new, "--repository", f"{new}-by-digest")
    assert az(*both).json["targets"] == [f"{new}-by-digest", f"{new}:1"]
    assert "targetTags" not in sandbox.world.imports[-1][1]
    assert tree(sandbox.content(TARGET), f"{new}-by-digest", tag_digest(sandbox.content(TARGET), new, "1"))
    assert az(*both).json["status"] == "unchanged"


def test_target_outside_azure_is_refused(sandbox, az, new):
    """The service cannot know it; of many images none is tried, and nobody has interrupted."""
    result = az(*words(new, "-n", sandbox.plain.address))
    assert result.code == 1
    assert "[target-not-azure]" in result.stderr and "--engine embedded" in result.stderr
    source = ("--source", "mcr.microsoft.com/hello-world", "--engine", "service")
    many = az("acr", "import-batch", "-n", sandbox.plain.address, *source)
    (item,) = many.json["items"]
    assert (many.code, item["status"], item["error"]["code"]) == (1, "blocked", "target-not-azure")


def test_dry_run_asks_the_service_for_nothing(sandbox, az, new):
    """It tells what would be asked."""
    before = len(sandbox.world.imports)
    planned = az(*words(new, "--dry-run")).json
    assert (planned["status"], planned["engine"]) == ("planned", "service")
    assert planned["digest"] == tag_digest(sandbox.content(MCR), "hello-world", "latest")
    assert len(sandbox.world.imports) == before


def test_source_that_is_closed_is_imported_by_its_id(sandbox, az, new):
    """What only the service can do: it is trusted by a registry that lets nobody else in."""
    closed = sandbox.world.registries["closedregistry"]
    image = images.image(new).push(sandbox.content(closed.login_server), "app", "1")
    result = az("acr", "import", "-n", "myregistry", "--source", "app:1", "-r", closed.id, "-t", f"{new}:1")
    assert result.code == 0, result.stderr
    assert (result.json["engine"], result.json["engineReason"]) == (
        "service",
        "the source does not let this machine in",
    )
    assert tag_digest(sandbox.content(TARGET), new, "1") == result.json["digest"] == image.digest


def test_what_another_has_written_meanwhile_is_left_alone(sandbox, az, new):
    """It is no source that has moved, and nobody has allowed to overwrite it."""
    other, before = images.image(f"{new} other"), len(sandbox.world.imports)

    def written(_: object) -> None:
        until(lambda: tag_digest(sandbox.content(TARGET), new, "1"))
        other.push(sandbox.content(TARGET), new, "1")

    sandbox.faults.add(host=ARM, path=".*operation.*", before=written)
    result = az(*words(new))
    assert (result.code, result.json["error"]["code"]) == (1, "target-tag-conflict"), result.stderr
    assert [change["action"] for change in result.json["changes"]] == [None]  # who knows what was there meanwhile
    assert [body["mode"] for _, body in sandbox.world.imports[before:]] == ["NoForce"]
    assert tag_digest(sandbox.content(TARGET), new, "1") == other.digest
    assert "has moved" not in result.stderr


def test_tag_that_was_never_made_is_said(sandbox, az, new):
    """Whatever the service has answered."""
    sandbox.faults.add(**IMPORT, answer=Response(202))
    before = len(sandbox.world.imports)
    result = az(*words(new))
    assert (result.code, result.json["error"]["code"]) == (1, "target-incomplete"), result.stderr
    assert "is missing" in result.stderr and "has moved" not in result.stderr
    assert all(body["mode"] == "NoForce" for _, body in sandbox.world.imports[before:])


@pytest.mark.parametrize("status", [200, 202])
def test_no_wait_without_an_operation_is_accepted(sandbox, az, new, status):
    """Nothing can be waited for, which is said; that it was there already would not be true."""
    sandbox.faults.add(**IMPORT, answer=Response(status))
    result = az(*words(new, "--no-wait"))
    assert (result.code, result.json["status"]) == (0, "accepted"), result.stderr
    assert result.json.get("operation") is None
    assert "no operation" in result.stderr and "already" not in result.stderr


def test_tag_that_moves_meanwhile_is_imported_by_digest(sandbox, az, new):
    """The target ends with what the source named when the import began."""
    first = images.image(f"{new} first").push(sandbox.content(MCR), new, "1")
    later = images.image(f"{new} later")
    sandbox.world.service_faults = [ServiceFault(before=lambda: later.push(sandbox.content(MCR), new, "1") and None)]
    result = az(*words(new, "-t", f"{new}-b", source=f"{MCR}/{new}:1"))
    assert result.code == 0, result.stderr
    for name in (new, f"{new}-b"):
        assert tag_digest(sandbox.content(TARGET), name, "1") == result.json["digest"] == first.digest
    assert sandbox.world.imports[-1][1]["source"]["sourceImage"] == f"{new}@{first.digest}"
    assert "has moved meanwhile" in result.stderr


def test_tag_beside_a_digest_is_that_of_the_target(sandbox, az, new):
    """The service takes one of both in a source; nor does it take a port, not even that of https."""
    digest = images.image(f"{new} pinned").push(sandbox.content(MCR), new, "1").digest
    result = az(*words(new, "-t", f"{new}-b", source=f"{MCR}:443/{new}:1@{digest}"))
    assert (result.code, result.json["targets"]) == (0, [f"{new}:1", f"{new}-b:1"]), result.stderr
    assert tag_digest(sandbox.content(TARGET), f"{new}-b", "1") == digest
    asked = sandbox.world.imports[-1][1]["source"]
    assert asked == {"registryUri": MCR, "sourceImage": f"{new}@{digest}"}


@pytest.mark.parametrize(
    "bodies",
    [
        ["", "null", '{"status":"Accepted"}'],
        ['{"TAG:1":"Pending","status":"Accepted"}', "not JSON", "[]"],
        [429, 503, 500, '{"status":"Accepted"}', 429],
    ],
    ids=["empty and null", "tags and nonsense", "throttled and busy"],
)
def test_polls_that_say_little_are_endured(sandbox, az, new, bodies):
    """It goes on until the service has ended."""
    sandbox.world.service_faults = [ServiceFault(bodies=list(bodies))]
    result = az(*words(new))
    assert result.code == 0, result.stderr
    assert result.json["status"] == "copied"


def test_busy_service_and_connections_that_break_are_endured(sandbox, az, new):
    """Before it has begun, and while it works."""
    arm = "management.azure.com"
    busy = Response(429, {"Retry-After": "0"}, b'{"error":{"code":"TooManyRequests","message":"Slow down."}}')
    asked = sandbox.faults.add(host=arm, method="POST", path=".*/importImage", times=2, answer=busy)
    sandbox.faults.add(host=arm, path=".*/operationResults/.*", cut_after=0)
    busy_poll = Response(503, {"Retry-After": "0"})
    sandbox.faults.add(host=arm, path=".*/operationResults/.*", skip=1, answer=busy_poll)
    sandbox.world.service_faults = [ServiceFault(bodies=['{"status":"Accepted"}'])]
    result = az(*words(new))
    assert result.code == 0, result.stderr
    assert asked.seen == 3
    assert "Traceback" not in result.stderr


def test_service_that_never_ends_is_given_up(sandbox, az, new):
    """After --timeout; how to look later is said."""
    sandbox.world.service_faults = [ServiceFault(hangs=True)]
    sandbox.world.service_pause = 1
    started = time.monotonic()
    result = az(*words(new, "--timeout", "8"))
    assert time.monotonic() - started < 30
    assert (result.code, result.json["error"]["code"], result.json["error"]["side"]) == (1, "arm-timeout", "arm")
    assert result.json["status"] == "cancelled"
    for _ in range(2):  # what it says to type knows what it is about, and says it again
        operation = result.json["error"]["recommendation"].split("'")[1]
        result = az("acr", "import-wait", "--operation", operation, "--timeout", "1")
        assert (result.json["status"], result.json["error"]["code"]) == ("cancelled", "arm-timeout")
        assert (result.json["targets"], result.json["registry"]) == ([f"{new}:1"], TARGET)
        assert result.json["changes"] == [{"target": f"{new}:1", "action": None, "before": None}]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_says_that_the_service_goes_on(sandbox, az, new):
    """And how to see its end."""
    sandbox.world.service_faults = [ServiceFault(hangs=True)]
    sandbox.world.service_pause = 1
    mark = sandbox.log.mark()
    process = az.start(*words(new))
    until(lambda: sandbox.log.find(since=mark, path=".*/operationResults/"))
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "the import service goes on" in stderr and "az acr import-wait --operation" in stderr
    result = json.loads(stdout)
    assert (result["status"], result["engine"], result["error"]["code"]) == ("cancelled", "service", "cancelled")
    assert "az acr import-wait --operation" in result["error"]["recommendation"]
    assert "Traceback" not in stderr


def test_no_wait_and_wait(sandbox, az, new):
    """The operation is given back, and waited for in another call."""
    begun = az("acr", "import", "-n", "myregistry", "--source", f"{MCR}/hello-world", "-t", f"{new}:1", "--no-wait")
    assert begun.code == 0, begun.stderr
    assert (begun.json["status"], begun.json["engine"]) == ("accepted", "service")
    assert "/operationResults/" in begun.json["operation"]
    waited = az("acr", "import-wait", "--operation", begun.json["operation"])
    assert waited.code == 0, waited.stderr
    digest = tag_digest(sandbox.content(TARGET), new, "1")
    for name in ("source", "registry", "targets", "sourceDigest", "changes"):
        assert waited.json[name] == begun.json[name]
    assert waited.json["changes"] == [{"target": f"{new}:1", "action": "create", "before": None}]
    assert (waited.json["status"], begun.json["digest"], waited.json["digest"]) == ("copied", None, digest)
    assert waited.json["referrers"] is None  # nobody has looked for them
    # the address alone is enough to wait, and then only what the service says is known
    alone = az("acr", "import-wait", "--operation", begun.json["operation"].partition("#")[0])
    assert (alone.code, alone.json["status"], alone.json["digest"]) == (0, "copied", None)
    # nothing comes along with what is there already, and nothing that is there misses it
    assert "do not come with --no-wait" in begun.stderr
    same = az("acr", "import", "-n", "myregistry", "--source", f"{MCR}/hello-world", "-t", f"{new}:1", "--no-wait")
    assert (same.json["status"], "do not come with" in same.stderr) == ("unchanged", False)
    later = images.image(new).push(sandbox.content(TARGET), new, "1").digest
    moved = az("acr", "import-wait", "--operation", begun.json["operation"])
    assert (moved.code, moved.json["error"]["code"]) == (1, "target-incomplete")
    assert later in moved.stderr and digest in moved.stderr
    forced = az(*words(new, "-t", f"{new}:2", "--no-wait", "--force"))
    waited = az("acr", "import-wait", "--operation", forced.json["operation"])
    assert (waited.json["status"], waited.json["changes"]) == ("updated", forced.json["changes"])
    assert [(change["action"], change["before"]) for change in waited.json["changes"]] == [
        ("move", later),
        ("create", None),
    ]
    sandbox.world.service_faults = [ServiceFault(failed=(400, "InvalidParameters", "Error copying blobs"))]
    begun = az(*words(f"{new}-2", "--no-wait"))
    waited = az("acr", "import-wait", "--operation", begun.json["operation"])
    assert (waited.code, waited.json["error"]["code"]) == (1, "arm-copy-failed")


POLLED = "https://management.azure.com/subscriptions/1/operationResults/2"


@pytest.mark.parametrize("operation", ["https://evil.example.org/subscriptions/1/operationResults/2", "x",
                                       "http://management.azure.com/subscriptions/1/operationResults/2",
                                       "https://management.azure.com/subscriptions/1/resourceGroups",
                                       f"{POLLED}#digest=x",
                                       f"{POLLED}#registry=a/b",
                                       f"{POLLED}#target=../x",
                                       f"{POLLED}#target=a:1&before=x"])  # fmt: skip
def test_only_operations_of_arm_are_waited_for(sandbox, az, operation):
    """Our token goes nowhere else."""
    mark = sandbox.log.mark()
    result = az("acr", "import-wait", "--operation", operation)
    assert result.code == 2
    assert not sandbox.log.find(since=mark, path=".*operationResults.*")


def test_image_that_is_missing_exits_with_3(az, new):
    """Also where it is the service that misses it."""
    assert az(*words(new, source=f"{MCR}/hello-world:v99")).code == 3


def test_refusal_of_the_request_itself(sandbox, az, new):
    """As that of the operation."""
    sandbox.world.service_faults = [
        ServiceFault(refused=(409, "Conflict", "Tag x:1 already exists in target registry."))
    ]
    result = az(*words(new))
    assert (result.code, result.json["error"]["code"]) == (1, "target-tag-conflict")


def test_classic_registry_is_none_for_the_service(sandbox, az, new):
    """As core says it, before anything is asked."""
    sandbox.add_registry(AzureRegistry("classicregistry", sku="Classic"))
    before = len(sandbox.world.imports)
    words = ("--source", f"{MCR}/hello-world", "-t", f"{new}:1", "--engine", "service")
    result = az("acr", "import", "-n", "classicregistry", *words)
    assert result.code == 1
    assert "managed registries" in result.stderr and "[target-sku]" in result.stderr
    assert len(sandbox.world.imports) == before


def test_guess_about_the_target_is_compared_with_its_rules(sandbox, az, new):
    """Only a registry that is not open to everybody can be the one that shut the door."""
    for name, sure in (("myregistry", "(likely)"), ("closedregistry", "(confirmed)")):
        said = f"Deployment failed. Access to {name}.azurecr.io denied."
        sandbox.world.service_faults = [ServiceFault(failed=(400, "BadRequest", said))]
        words = ("--source", f"{MCR}/hello-world", "-t", f"{new}:1", "--engine", "service")
        result = az("acr", "import", "-n", name, *words)
        assert (result.code, result.json["error"]["code"]) == (1, "target-denied")
        assert sure in result.stderr


def test_guess_is_confirmed_at_the_source(sandbox, az, new):
    """Whether the source says the same to us."""
    said = 'Invalid message Unauthorized Unauthorized {"errors":[{"code":"UNAUTHORIZED"}]}'
    for source, sure in (
        (f"{MCR}/hello-world:latest", "(likely)"),
        ("docker.io/sandboxuser/private:1.0", "(confirmed)"),
    ):
        sandbox.world.service_faults = [ServiceFault(failed=(400, "InvalidParameters", said))]
        result = az(*words(new, source=source))
        assert result.json["error"]["code"] == "source-unauthorized"
        assert sure in result.stderr
