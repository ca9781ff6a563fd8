# SPDX-License-Identifier: MIT
"""Which engine is chosen, row by row, and when the other one is tried."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import threading

import pytest

from tests.sandbox import images
from tests.sandbox.server import Response
from tests.sandbox.world import OTHER_SUBSCRIPTION, STRANGER, AzureRegistry, ServiceFault
from tests.support.content import tag_digest

TARGET = "myregistry.azurecr.io"
MCR = "mcr.microsoft.com"
SOURCE = "mysourceregistry.azurecr.io"
WEB = f"{SOURCE}/app/web:v1"
PROVIDER = "providers/Microsoft.ContainerRegistry/registries"
numbers = itertools.count()


@pytest.fixture(autouse=True)
def quick(sandbox):
    """The service asks for no pause, and no fault outlives its test."""
    sandbox.world.service_pause = 0
    yield
    sandbox.world.service_pause = 1
    sandbox.world.service_faults.clear()
    sandbox.faults.clear()


@pytest.fixture
def new() -> str:
    """A target that no other test has."""
    return f"engines/number-{next(numbers)}"


@pytest.fixture(scope="module")
def large(sandbox) -> str:
    """An image of 201 MB in the source registry."""
    blob = bytes(100_500_000)
    image = images.manifest(b"{}", [blob, blob[:-1] + b"x"], config_type=images.EMPTY, layer_type="application/x")
    image.push(sandbox.content(SOURCE), "large", "1")
    return f"{SOURCE}/large:1"


def test_row_1_no_wait(az, new):
    """Only the service goes on alone."""
    result = az("acr", "import", "-n", "myregistry", "--source", WEB, "-t", f"{new}:1", "--no-wait").json
    assert (result["engine"], result["status"]) == ("service", "accepted")
    refused = az("acr", "import", "-n", "myregistry", "--source", WEB, "--no-wait", "--engine", "embedded")
    assert refused.code == 2


def test_row_2_target_outside_azure(sandbox, az, new):
    """The service does not know it."""
    result = az("acr", "import", "-n", sandbox.plain.address, "--source", f"{MCR}/hello-world", "-t", f"{new}:1").json
    assert (result["engine"], result["engineReason"]) == ("embedded", "the target is not an Azure container registry")


def test_row_3_same_registry(sandbox, az, new):
    """Also through a regional endpoint."""
    images.image(new).push(sandbox.content(TARGET), f"{new}-dev", "1")
    for source in (TARGET, "myregistry.eastus.geo.azurecr.io"):
        words = ("--source", f"{source}/{new}-dev:1", "-t", f"{new}:1", "--dry-run")
        result = az("acr", "import", "-n", "myregistry", *words).json
        assert (result["engine"], result["engineReason"].partition(",")[0]) == (
            "embedded", "source and target are the same registry",
        )  # fmt: skip


def test_row_4_target_is_closed(sandbox, az, new):
    """The service passes the firewall of a registry that trusts it."""
    result = az("acr", "import", "-n", "closedregistry", "--source", f"{MCR}/hello-world", "-t", f"{new}:1")
    assert result.code == 0, result.stderr
    assert (result.json["engine"], result.json["engineReason"]) == (
        "service",
        "this machine may not push to the target",
    )
    assert tag_digest(sandbox.content("closedregistry.azurecr.io"), new, "1")


def test_row_4_no_right_to_push(sandbox, signed_in, new):
    """A role for importing alone."""
    registry = sandbox.world.registries["myregistry"]
    registry.rights[STRANGER.id] = frozenset({"pull", "delete"})  # ARM's right to import goes with delete here
    az = signed_in(sandbox, STRANGER)
    result = az("acr", "import", "-n", "myregistry", "--source", f"{MCR}/hello-world", "-t", f"{new}:1")
    del registry.rights[STRANGER.id]
    assert result.code == 0, result.stderr
    assert result.json["engine"] == "service"


def test_row_6_much_inside_azure(sandbox, az, large, new):
    """More than 200 MB from one registry to another: not through this machine; a dry run says so."""
    mark = sandbox.log.mark()
    words = ("acr", "import", "-n", "myregistry", "--source", large, "-t", f"{new}:1")
    for more in (["--dry-run"], []):
        result = az(*words, *more)
        assert result.code == 0, result.stderr
        assert result.json["engine"] == "service"
        assert "200 MB" in result.json["engineReason"]
    assert not sandbox.log.find(since=mark, host=SOURCE, method="GET", path="/v2/large/blobs/.*")
    # what is there already does not move, so there is nothing to leave to the service
    assert az(*words[:-1], f"{new}:2").json["engine"] == "embedded"


def test_row_7_else(az, new):
    """Small, or from elsewhere; and the configuration can name the engine."""
    words = ("acr", "import", "-n", "myregistry", "--source", WEB, "-t")
    result = az(*words, f"{new}:1").json
    assert (result["engine"], result["engineReason"]) == ("embedded", "this machine reaches both registries")
    az("config", "set", "acrimport.engine=service")
    assert az(*words, f"{new}:2").json["engine"] == "service"


@pytest.mark.parametrize(
    "failure",
    [
        (400, "InvalidParameters", "The remote server may not be RFC 7233 compliant"),
        (400, "InvalidParameters", "No value specified for Docker-Content-Digest"),
        (400, "InvalidParameters", "Error copying blobs"),
        (403, "AuthorizationFailed", "does not have authorization to perform action 'importImage/action'"),
    ],
    ids=["no Range", "no digest", "copying failed", "no right to import"],
)
def test_service_fails_and_the_embedded_engine_does_it(sandbox, az, large, new, failure):
    """Once, and it is said."""
    sandbox.world.service_faults = [ServiceFault(failed=failure)]
    result = az("acr", "import", "-n", "myregistry", "--source", large, "-t", f"{new}:1")
    assert result.code == 0, result.stderr
    assert result.json["engine"] == "embedded"
    assert result.json["engineReason"].startswith("the service failed (")
    assert re.search(
        r"The import service failed: .+\. Azure's answer: .+\. Trying once through this mach", result.stderr
    )
    assert tag_digest(sandbox.content(TARGET), new, "1") == result.json["digest"]


def test_service_hangs_and_the_embedded_engine_does_it(sandbox, az, large, new):
    """After as much patience as is configured."""
    az("config", "set", "acrimport.service_patience=1")
    sandbox.world.service_faults = [ServiceFault(hangs=True)]
    result = az("acr", "import", "-n", "myregistry", "--source", large, "-t", f"{new}:1")
    assert result.code == 0, result.stderr
    assert (result.json["engine"], result.json["engineReason"]) == ("embedded", "the service failed (arm-timeout)")


def test_embedded_engine_is_refused_and_the_service_does_it(sandbox, az, new):
    """A firewall that closes in the middle."""
    closed = b'{"errors":[{"code":"DENIED","message":"client with IP \'1.2.3.4\' is not allowed access"}]}'
    sandbox.faults.add(host=TARGET, method="POST", path="/v2/.*/uploads/", times=99, answer=Response(403, {}, closed))
    result = az("acr", "import", "-n", "myregistry", "--source", WEB, "-t", f"{new}:1")
    assert result.code == 0, result.stderr
    assert result.json["engine"] == "service"
    assert re.search(
        r"does not let this machine's address in\. .+\. Trying once with the registry's own", result.stderr
    )
    # the connections of the engine that was stopped are of no use any more, but the digest is checked all the same
    assert result.json["digest"] == tag_digest(sandbox.content(TARGET), new, "1")


def test_conflict_is_never_tried_elsewhere(sandbox, az, large, new):
    """Neither one that is seen before, nor one that the service finds."""
    assert az("acr", "import", "-n", "myregistry", "--source", f"{MCR}/hello-world", "-t", f"{new}:1").code == 0
    before = len(sandbox.world.imports)
    result = az("acr", "import", "-n", "myregistry", "--source", large, "-t", f"{new}:1")
    assert (result.code, result.json["error"]["code"]) == (1, "target-tag-conflict")
    assert len(sandbox.world.imports) == before
    said = (409, "Conflict", "Tag x:1 already exists in target registry.")
    sandbox.world.service_faults = [ServiceFault(failed=said)]
    result = az("acr", "import", "-n", "myregistry", "--source", large, "-t", f"{new}:2")
    assert (result.code, result.json["error"]["code"], result.json["engine"]) == (1, "target-tag-conflict", "service")


@pytest.mark.parametrize("engine", ["service", "embedded"])
def test_engine_that_was_named_is_the_only_one(sandbox, az, new, engine):
    """Whatever its trouble."""
    sandbox.world.service_faults = [ServiceFault(failed=(400, "InvalidParameters", "Error copying blobs"))]
    sandbox.faults.add(host=TARGET, method="POST", path="/v2/.*/uploads/", times=99, answer=Response(403))
    before = len(sandbox.world.imports)
    words = ("--source", WEB, "-t", f"{new}:1", "--engine", engine)
    result = az("acr", "import", "-n", "myregistry", *words)
    assert result.code == 1
    assert result.json["engine"] == engine
    assert len(sandbox.world.imports) - before == (engine == "service")


@pytest.mark.parametrize("options", [(), ("--dry-run",)], ids=["import", "dry run"])
def test_both_refuse_for_want_of_a_right(sandbox, signed_in, new, options):
    """The first refusal is the one that is told: what to grant for a push. A dry run looks at the roles."""
    registry = sandbox.world.registries["myregistry"]
    registry.rights[STRANGER.id] = frozenset({"pull"})
    az = signed_in(sandbox, STRANGER)
    words = ("acr", "import", "-n", "myregistry", "--source", f"{MCR}/hello-world", "-t", f"{new}:1", *options)
    result, named = az(*words), az(*words, "--engine", "service")
    del registry.rights[STRANGER.id]
    assert (result.code, result.json["error"]["code"]) == (1, "target-denied")
    assert "AcrPush" in result.stderr
    assert (named.code, named.json["error"]["code"]) == (1, "target-role-missing")
    assert "Data Importer and Data Reader" in named.stderr


@pytest.mark.parametrize(
    ("source", "host", "uri", "image"),
    [
        ("docker.io/library/web:1.0", "registry-1.docker.io", "docker.io", "library/web:1.0"),
        ("docker.io/web:1.0", "registry-1.docker.io", "docker.io", "library/web:1.0"),
        (
            "registry.hub.docker.com/library/web:1.0",
            "registry-1.docker.io",
            "registry.hub.docker.com",
            "library/web:1.0",
        ),
        (f"{MCR}/hello-world", MCR, MCR, "hello-world"),
    ],
)
def test_row_6_source_that_this_machine_does_not_reach(sandbox, az, new, source, host, uri, image):
    """Refused by the proxy here; the service is asked with the host as it was typed."""
    sandbox.refused_here.add(host)
    before = len(sandbox.world.imports)
    result = az("acr", "import", "-n", "myregistry", "--source", source, "-t", f"{new}:1")
    assert result.code == 0, result.stderr
    assert result.json["engine"] == "service"
    assert result.json["engineReason"] == "the source does not answer this machine, and has a public name"
    assert [body["source"] for _, body in sandbox.world.imports[before:]] == [
        {"registryUri": uri, "sourceImage": image}
    ]
    assert tag_digest(sandbox.content(TARGET), new, "1") == result.json["digest"]
    assert (result.json["status"], result.json["sourceDigest"]) == ("copied", None)
    assert result.json["changes"] == [{"target": f"{new}:1", "action": "create", "before": None}]


@pytest.mark.parametrize("known", [True, False], ids=["ARM does not show it", "unknown subscription"])
def test_id_that_az_cannot_see_is_passed_on_as_typed(sandbox, az, new, known):
    """As core does; what comes of it is the service's to say."""
    subscription = OTHER_SUBSCRIPTION if known else "99999999-9999-9999-9999-999999999999"
    identifier = f"/subscriptions/{subscription}/resourceGroups/unseen/{PROVIDER}/otherregistry"
    if known:
        denied = b'{"error":{"code":"AuthorizationFailed","message":"no right to read"}}'
        sandbox.faults.add(method="GET", path=f".*/unseen/{PROVIDER}/otherregistry", answer=Response(403, body=denied))
    before = len(sandbox.world.imports)
    result = az("acr", "import", "-n", "myregistry", "--source", "app/web:v1", "-r", identifier, "-t", f"{new}:1")
    sources = [body["source"] for _, body in sandbox.world.imports[before:]]
    assert sources == [{"resourceId": identifier, "sourceImage": "app/web:v1"}]
    assert result.json["engine"] == "service"
    assert "cannot see the source registry" in result.json["engineReason"]
    assert result.code == 1  # the stand-in's service sees no other registries than ARM
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("target", ["myregistry", "outside"])
def test_export_policy_counts_in_whichever_subscription(sandbox, az, target):
    """And whatever the target is."""
    name = f"kept{target}"
    sandbox.add_registry(AzureRegistry(name, subscription=OTHER_SUBSCRIPTION, export_enabled=False))
    images.image(name).push(sandbox.content(f"{name}.azurecr.io"), "app", "1")
    mark = sandbox.log.mark()
    target = sandbox.plain.address if target == "outside" else target
    result = az("acr", "import", "-n", target, "--source", f"{name}.azurecr.io/app:1", "-t", "kept:1")
    assert (result.code, result.json["error"]["code"]) == (1, "source-export-disabled")
    assert not sandbox.log.find(since=mark, path="/v2/.*/blobs/.*")


def test_export_policy_is_about_other_registries(sandbox, az):
    """An image may have another name where it is, whichever endpoint is named."""
    images.image("kept here").push(sandbox.content("secretregistry.azurecr.io"), "kept", "1")
    source = ("--source", "secretregistry.eastus.geo.azurecr.io/kept:1")
    one = az("acr", "import", "-n", "secretregistry", *source, "-t", "kept:2")
    assert (one.code, one.json["status"]) == (0, "copied"), one.stderr
    many = az("acr", "import-batch", "-n", "secretregistry", *source, "--prefix", "copy/")
    assert (many.code, many.json["summary"]["copied"]) == (0, 1), many.stderr


SILENT = [
    ("management.azure.com", ".*/registries.*", (), "timeout"),
    ("login.microsoftonline.com", ".*/token", (), "timeout"),
    ("management.azure.com", ".*/importImage", ("--engine", "service"), "timeout"),
    ("management.azure.com", ".*/operationResults/.*", ("--engine", "service"), "arm-timeout"),
    (MCR, "/v2/.*", ("--engine", "service"), "timeout"),
    (TARGET, "/oauth2/exchange", (), "timeout"),
]
# seconds; the service must have begun by then, also on a slow machine
IN_TIME = {"timeout": 2, "arm-timeout": 8}


@pytest.mark.parametrize("jobs", [(), ("--jobs", "1")], ids=["many jobs", "one job"])
@pytest.mark.parametrize(
    ("host", "path", "options", "code"), SILENT, ids=[f"{host}{path}" for host, path, *_ in SILENT]
)
def test_timeout_bounds_every_wait(sandbox, az, new, host, path, options, code, jobs):
    """Look-ups, sign-ins and both engines; the object says so, with the seconds since the handler began."""
    go_on = threading.Event()
    sandbox.faults.add(host=host, path=path, times=99, before=lambda _: go_on.wait(30))
    timeout = IN_TIME[code]
    words = ("--source", f"{MCR}/hello-world", "-t", f"{new}:1", "--timeout", str(timeout), *options, *jobs)
    result = az("acr", "import", "-n", "myregistry", *words)
    go_on.set()
    assert (result.code, result.json["error"]["code"], result.json["status"]) == (1, code, "cancelled"), result.stderr
    assert timeout <= result.json["seconds"] < 30
    assert result.json["targets"] == [f"{new}:1"]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("path", "options", "code"),
    [(".*/registries.*", (), "timeout"), (".*/operationResults/.*", ("--engine", "service"), "arm-timeout")],
)
@pytest.mark.parametrize("how", ["timeout", "ctrl-c"])
def test_answers_of_azure_that_trickle_are_left(sandbox, az, new, path, options, code, how):
    """A byte every five seconds: longer than any test may take, and no wait of ours is one for its end."""
    asked = threading.Event()
    sandbox.faults.add(host="management.azure.com", path=path, times=99, pause=5.0, before=lambda _: asked.set())
    words = ("acr", "import", "-n", "myregistry", "--source", f"{MCR}/hello-world", "-t", f"{new}:1", *options)
    if how == "timeout":
        result = az(*words, "--timeout", str(IN_TIME[code])).json
        assert (result["status"], result["error"]["code"]) == ("cancelled", code)
        return
    if os.name == "nt":
        pytest.skip("signals of POSIX")
    process = az.start(*words)
    assert asked.wait(30)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert (json.loads(stdout)["status"], "Traceback" in stderr) == ("cancelled", False)


def test_timeout_of_the_embedded_engine(sandbox, az, new):
    """Given up in time, with nothing half done."""
    go_on = threading.Event()
    sandbox.faults.add(host=MCR, method="GET", path="/v2/.*/blobs/.*", times=99, before=lambda _: go_on.wait(20))
    result = az(
        "acr", "import", "-n", "myregistry", "--source", f"{MCR}/hello-world", "-t", f"{new}:1", "--timeout", "1"
    )
    go_on.set()
    assert (result.code, result.json["error"]["code"], result.json["status"]) == (1, "timeout", "cancelled")
    assert "--timeout" in result.stderr
    assert tag_digest(sandbox.content(TARGET), new, "1") is None
