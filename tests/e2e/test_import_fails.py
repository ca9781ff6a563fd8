# SPDX-License-Identifier: MIT
"""Closed doors and wrong names: one clear error with code, side and next step; nothing changed at the target."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import pytest

from tests.sandbox import images, profile
from tests.sandbox.server import Response
from tests.sandbox.storage import digest_of
from tests.sandbox.world import READER, STRANGER
from tests.support.az import Az

TARGET = "myregistry.azurecr.io"
MCR = "mcr.microsoft.com"
HTML = {"Content-Type": "text/html"}


@pytest.mark.parametrize(
    ("options", "code", "error_code", "said"),
    [
        # the source
        (
            "--source docker.io/library/hello-world:v99",
            3,
            "source-not-found",
            "hello-world:v99 (source) does not exist",
        ),
        (
            "--source mysourceregistry.azurecr.io/app/web:v11",
            3,
            "source-not-found",
            "tags: v1. See which tags there are: az acr",
        ),
        (
            "--source docker.io/library/hello-world:nightly",
            3,
            "source-not-found",
            "The closest tags: latest. Check repository and tag, or name the image by its digest.",
        ),
        ("--source mysourceregistry.azurecr.io/no/such:v1", 3, "source-not-found", "no/such:v1 (source)"),
        ("--source docker.io/sandboxuser/private:1.0", 1, "source-unauthorized", "--username"),
        (
            "--source docker.io/sandboxuser/private:1.0 -u sandboxuser -p wrong",
            1,
            "source-unauthorized",
            "refused the sign-in with user name and password",
        ),
        ("--source registry.contoso.com/team/app:1.0", 1, "source-unauthorized", "registry.contoso.com (source)"),
        ("--source registry.contoso.com/team/app:1.0 -u robot -p wrong", 1, "source-unauthorized", "--password"),
        ("--source closedregistry.azurecr.io/app/web:v1 --engine embedded", 1, "source-firewall", "networkRuleSet"),
        ("--source unknown.example.org/app/web:v1", 1, "source-unreachable", "HTTPS_PROXY"),
        ("--source 127.0.0.1:1/app/web:v1", 1, "source-unreachable", "127.0.0.1:1 (source)"),
        ("--source app/web:v1 --registry nosuchregistry", 3, "source-registry-not-found", "az acr list"),
        (
            "--source app/web:v1 --registry /subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/sandbox"
            "/providers/Microsoft.ContainerRegistry/registries/nosuchregistry",
            3,
            "source-registry-not-found",
            "nosuchregistry",
        ),
        ("--source app/web:v1 --registry secretregistry", 1, "source-export-disabled", "--allow-exports"),
        ("--source secretregistry.azurecr.io/app/web:v1", 1, "source-export-disabled", "--allow-exports"),
        # the target
        ("--name nosuchregistry --source mcr.microsoft.com/hello-world", 3, "target-registry-not-found", "az acr list"),
        (
            "--name closedregistry --source mcr.microsoft.com/hello-world --engine embedded",
            1,
            "target-firewall",
            "az acr show",
        ),
        ("--name 127.0.0.1:1 --source mcr.microsoft.com/hello-world", 1, "target-unreachable", "127.0.0.1:1 (target)"),
        # the command line
        ("--source hello-world", 2, "", "docker.io/hello-world"),
        ("--source https://docker.io/hello-world", 2, "", "scheme"),
        ("--source docker.io/Hello:1", 2, "", "lower-case"),
        ("--source ./app.tar", 2, "", "docker-archive:./app.tar"),
        ("--source mysourceregistry/app/web:v1", 2, "", "--source app/web:v1 --registry mysourceregistry"),
        ("--source mysourceregistry/app/web:v1", 2, "", "mysourceregistry.azurecr.io/app/web:v1"),
        ("--source mcr.microsoft.com/hello-world --source mcr.microsoft.com/other", 2, "", "one image a call"),
        ("--source mcr.microsoft.com/hello-world -t other.azurecr.io/web:1", 2, "", "the target is myregistry"),
        ("--source mcr.microsoft.com/hello-world --repository localhost:5000/web", 2, "", "--name localhost:5000"),
        ("--source mcr.microsoft.com/hello-world -t Web:1", 2, "", "repository:tag, for example"),
        ("--source mcr.microsoft.com/hello-world --platform linux/amd64,linux", 2, "", "'linux' is not a platform"),
        ("--source docker.io/sandboxuser/private:1.0 -u u -p @no-such-file", 2, "", "no-such-file"),
        ("--source docker.io/hello@sha256:12", 2, "", "sha256"),
        ("--source App/web:v1 --registry mysourceregistry", 2, "", "lower-case"),
        ("--source mcr.microsoft.com/hello-world --image app:1@2", 2, "", "app:1@2"),
        ("--source mcr.microsoft.com/hello-world --repository app:1", 2, "", "--image app:1"),
        ("--source mcr.microsoft.com/hello-world --username robot", 2, "", "A user name needs a password"),
        ("--source mcr.microsoft.com/hello-world --password token", 1, "invalid-credentials", "--username"),
        ("--source mcr.microsoft.com/hello-world --jobs 0", 2, "", "jobs"),
        ("--source mcr.microsoft.com/hello-world --no-wait --engine embedded", 2, "", "--no-wait"),
        ("--source mcr.microsoft.com/hello-world --timeout 0", 2, "", "--timeout"),
        ("--source mcr.microsoft.com/hello-world --timeout nan", 2, "", "--timeout"),
        ("--source mcr.microsoft.com/hello-world --timeout inf", 2, "", "--timeout"),
        ("--name my/registry --source mcr.microsoft.com/hello-world", 2, "", "'my/registry' is not a registry"),
    ],
)
def test_import_fails_with_one_clear_error(sandbox, az, options, code, error_code, said):
    """Exit code, stable code, and words that help; no traceback, nothing written."""
    words = options.split()
    if "--name" not in words:
        words += ["--name", "myregistry"]
    mark = sandbox.log.mark()
    result = az("acr", "import", *words)
    assert result.code == code, result.stderr
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.count("ERROR:") == 1
    assert f"[{error_code}]" in result.stderr or not error_code
    assert not sandbox.log.find(since=mark, method="PUT")
    if not error_code:  # wrong usage has no result
        assert not result.stdout
        return
    assert result.json["status"] == "failed"
    assert result.json["error"]["code"] == error_code
    side = error_code.split("-")[0]
    assert result.json["error"]["side"] == (side if side in ("source", "target", "arm") else "local")


@pytest.mark.parametrize("options", [(), ("--dry-run", "--engine", "embedded")], ids=["import", "dry run"])
@pytest.mark.parametrize("principal", [READER, STRANGER], ids=["may only pull", "has no right at all"])
def test_missing_push_right_is_found_before_anything_is_tried(sandbox, signed_in, principal, options):
    """Who refused, and the role to ask for; the login server needs no ARM right."""
    az = signed_in(sandbox, principal)
    mark = sandbox.log.mark()
    words = ("--source", "mcr.microsoft.com/hello-world", "-t", "refused:1", *options)
    result = az("acr", "import", "-n", TARGET, *words)
    assert result.code == 1
    assert result.json["error"]["code"] == "target-denied"
    assert "AcrPush" in result.stderr and "az login identity" in result.stderr
    assert not [e for e in sandbox.log.find(since=mark, path="/v2/") if e["method"] not in ("GET", "HEAD")]


def test_retired_format_is_refused_with_what_to_do(sandbox, az):
    """Docker schema 1, which ACR takes no more."""
    body = b'{"schemaVersion": 1, "name": "old", "tag": "1", "fsLayers": [], "history": [], "signatures": []}'
    headers = {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"}
    served = Response(200, {**headers, "Docker-Content-Digest": digest_of(body)}, body)
    sandbox.faults.add(host="mcr.microsoft.com", path="/v2/old/manifests/.*", times=9, answer=served)
    result = az("acr", "import", "-n", "myregistry", "--source", "mcr.microsoft.com/old:1", "--engine", "embedded")
    assert (result.code, result.json["error"]["code"]) == (1, "source-unsupported-manifest")
    assert "current Docker" in result.stderr


def test_missing_pull_right_is_named_with_the_role(sandbox, signed_in):
    """The same on the source's side."""
    az = signed_in(sandbox, STRANGER)
    sandbox.world.registries["myregistry"].rights[STRANGER.id] = frozenset({"pull", "push"})
    source = "mysourceregistry.azurecr.io/app/web:v1"
    result = az("acr", "import", "-n", TARGET, "--source", source, "-t", "refused:1")
    del sandbox.world.registries["myregistry"].rights[STRANGER.id]
    assert result.json["error"]["code"] == "source-denied"
    assert "AcrPull" in result.stderr


def test_locked_repository_is_named(sandbox, az):
    """405 of ACR, and where to look."""
    sandbox.world.registries["myregistry"].attributes["locked/app"] = {"writeEnabled": False}
    words = ("--source", "mcr.microsoft.com/hello-world", "-t", "locked/app:1")
    result = az("acr", "import", "-n", "myregistry", *words)
    assert result.json["error"]["code"] == "target-disallowed"
    assert "az acr repository show --name myregistry --repository locked/app" in result.stderr


def test_not_signed_in(sandbox, extensions, tmp_path):
    """In az's words, with a result."""
    az = Az(tmp_path, sandbox.environment(), extensions=extensions)
    profile.quiet(az.config)
    result = az("acr", "import", "-n", "myregistry", "--source", "mcr.microsoft.com/hello-world")
    assert (result.code, result.json["error"]["code"]) == (1, "arm-sign-in")
    assert "az login" in result.json["error"]["message"]
    assert (result.json["status"], result.json["engine"]) == ("failed", None)
    assert "Traceback" not in result.stderr
    # where nothing is asked of Azure, nobody has to be signed in
    outside = ("-n", sandbox.plain.address, "--source", "mcr.microsoft.com/hello-world", "-t", "signed-out:1")
    assert az("acr", "import", *outside).code == 0


def test_subscription_that_is_not_there(az):
    """Nothing is wrong with the sign-in: say what is, and where the right one stands."""
    words = ("-n", "myregistry", "--source", "mcr.microsoft.com/hello-world", "--subscription", "nosuch")
    result = az("acr", "import", *words)
    assert (result.code, result.json["error"]["code"]) == (1, "arm-sign-in")
    assert result.json["error"]["message"] == "az knows no subscription 'nosuch'."
    assert "az account list" in result.stderr and "could not sign in" not in result.stderr


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (Response(503, body=b"busy"), "arm-unreachable", "HTTPS_PROXY"),
        (Response(403, body=b'{"error":{"code":"Denied","message":"no right"}}'), "arm-denied", "login server"),
        (Response(200, body=b"<html>a proxy's own page</html>"), "arm-unreachable", "HTTPS_PROXY"),
        (Response(403, HTML, b"<html>a proxy's own page</html>"), "arm-unreachable", "HTTPS_PROXY"),
        (Response(407, HTML, b"<html>a proxy's own page</html>"), "arm-unreachable", "HTTPS_PROXY"),
        (Response(502, HTML, b"<html>a proxy's own page</html>"), "arm-unreachable", "HTTPS_PROXY"),
    ],
    ids=["busy", "denied", "a proxy answers", "a proxy refuses", "a proxy asks", "a proxy fails"],
)
def test_arm_that_does_not_tell(sandbox, az, answer, code, said):
    """Which side it is, and what to type; and the login server is enough where the registry lets us in."""
    sandbox.faults.add(host="management.azure.com", path=".*/registries", times=99, answer=answer)
    words = ("--source", "mcr.microsoft.com/hello-world", "-t", "untold:1", "--force")
    result = az("acr", "import", "-n", "myregistry", *words)
    assert (result.code, result.json["error"]["code"], result.json["error"]["side"]) == (1, code, "arm")
    assert said in result.json["error"]["recommendation"]
    assert "Traceback" not in result.stderr and "(<" not in result.stderr and "eserialization" not in result.stderr
    assert az("acr", "import", "-n", TARGET, *words).code == 0


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("login.microsoftonline.com", 503),
        ("login.microsoftonline.com", 403),
        ("login.microsoftonline.com", 200),
        ("management.azure.com", 200),
    ],
)
def test_page_in_the_place_of_azure(sandbox, az, host, status):
    """Of a proxy, of a portal, of an outage."""
    page = Response(status, HTML, b"<html>")
    sandbox.faults.add(host=host, times=99, answer=page)
    result = az("acr", "import", "-n", "myregistry", "--source", "mcr.microsoft.com/hello-world", "-t", "page:1")
    assert (result.code, result.json["error"]["code"]) == (1, "arm-unreachable")
    assert "HTTPS_PROXY" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize("status", [302, 403, 407])
def test_page_in_the_place_of_the_services_answer(sandbox, az, status):
    """It is a proxy that refuses, and no right that is missing."""
    page = Response(status, HTML, b"<html>")
    sandbox.faults.add(host="management.azure.com", method="POST", path=".*importImage", times=99, answer=page)
    words = ("--source", "mcr.microsoft.com/hello-world", "-t", "page:2", "--engine", "service")
    result = az("acr", "import", "-n", "myregistry", *words)
    assert (result.code, result.json["error"]["code"]) == (1, "arm-unreachable")
    assert "Traceback" not in result.stderr and "eserialization" not in result.stderr


OPERATION = (
    "https://management.azure.com/subscriptions/22222222-2222-2222-2222-222222222222/providers"
    "/Microsoft.ContainerRegistry/locations/eastus/operationResults/registries-1?api-version=2019-05-01"
)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"HTTPS_PROXY": "http://user:canary@127.0.0.1:99999"}, "HTTPS_PROXY is not the address of a proxy"),
        ({"REQUESTS_CA_BUNDLE": os.path.abspath("nowhere")}, "REQUESTS_CA_BUNDLE"),
    ],
    ids=["proxy", "authorities"],
)
@pytest.mark.parametrize(
    "words",
    [
        ("import", "-n", "myregistry", "--source", "mcr.microsoft.com/hello-world"),
        ("import-batch", "-n", "myregistry", "--source", "mcr.microsoft.com/hello-world"),
        ("import-wait", "--operation", OPERATION),
    ],
    ids=["import", "import-batch", "import-wait"],
)
def test_environment_in_which_azure_cannot_be_asked(az, words, environment, said):
    """Each command says what is wrong, with its result, and without the proxy's password."""
    result = az("acr", *words, **environment)
    assert result.code == 1 and said in result.stderr
    assert "Traceback" not in result.stderr and "canary" not in result.stderr + result.stdout
    item = result.json["items"][0] if "items" in result.json else result.json
    assert item["error"]["code"] in ("arm-unreachable", "local-batch-stopped")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("host", ["management.azure.com", "login.microsoftonline.com"])
def test_stopped_while_azure_says_nothing(sandbox, az, host, number):
    """At once, with a result."""
    asked, go_on = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        asked.set()
        go_on.wait(30)

    sandbox.faults.add(host=host, times=99, before=hold)
    process = az.start("acr", "import", "-n", "myregistry", "--source", "mcr.microsoft.com/hello-world", "-t", "held:1")
    assert asked.wait(30)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    go_on.set()
    result = json.loads(stdout)
    assert (process.returncode, result["status"], result["targets"]) == (1, "cancelled", ["held:1"])
    assert "Traceback" not in stderr


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("command", ["import", "import-batch"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_that_is_sent_again_takes_nothing_away(sandbox, az, number, command):
    """By a wrapper, or by somebody in a hurry, at whichever moment: the result is out."""
    for attempt, pause in enumerate((0.015, 0.03, 0.05)):
        name, reached, go_on = f"twice/{command}-{number}-{attempt}", threading.Event(), threading.Event()
        images.image(name, (5000,)).push(sandbox.content(MCR), name, "1")

        def hold(_: object, reached=reached, go_on=go_on) -> None:
            reached.set()
            go_on.wait(30)

        sandbox.faults.add(host=TARGET, method="PUT", path=f"/v2/{name}/manifests/.*", times=99, before=hold)
        process = az.start("acr", command, "-n", "myregistry", "--source", f"{MCR}/{name}:1")
        assert reached.wait(30)
        for _ in range(4):
            process.send_signal(number)
            time.sleep(pause)
        stdout, stderr = process.communicate(timeout=20)
        go_on.set()
        sandbox.faults.clear()
        result = json.loads(stdout)
        assert (process.returncode, result.get("items", [result])[0]["status"]) == (1, "cancelled")
        assert "Interrupted" in stderr and "Traceback" not in stderr
