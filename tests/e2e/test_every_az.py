# SPDX-License-Identifier: MIT
"""The main roads, quickly: scripts/test runs them with the oldest az that the extension says it works with, too."""

from __future__ import annotations

import pytest

from tests.sandbox.world import OTHER_SUBSCRIPTION
from tests.support.content import everything, tag_digest

TARGET = "myregistry.azurecr.io"
PROVIDER = "providers/Microsoft.ContainerRegistry/registries"
OTHER = f"/subscriptions/{OTHER_SUBSCRIPTION}/resourceGroups/elsewhere/{PROVIDER}/otherregistry"


@pytest.mark.parametrize(
    ("name", "words", "engine"),
    [
        ("embedded", "--source docker.io/library/web:1.0", "embedded"),
        ("service", "--source mcr.microsoft.com/hello-world --engine service", "service"),
        ("by-id", f"--source app/web:v1 -r {OTHER}", "embedded"),
        ("by-id-service", f"--source app/web:v1 -r {OTHER} --engine service", "service"),
        ("abac", "--source abacregistry.azurecr.io/app/web:v1", "embedded"),
    ],
)
def test_import(sandbox, az, name, words, engine):
    """The target has the source's digest, whole."""
    result = az("acr", "import", "-n", "myregistry", *words.split(), "-t", f"every/{name}:1")
    assert result.code == 0, result.stderr
    assert (result.json["engine"], result.json["status"]) == (engine, "copied")
    content = sandbox.content(TARGET)
    assert tag_digest(content, f"every/{name}", "1") == result.json["digest"] == result.json["sourceDigest"]
    assert everything(content, f"every/{name}", "1")


def test_handed_over_and_waited_for(sandbox, az):
    """--no-wait, then import-wait."""
    words = ("--source", "mcr.microsoft.com/hello-world", "-t", "every/waited:1", "--no-wait")
    begun = az("acr", "import", "-n", "myregistry", *words)
    assert begun.json["status"] == "accepted", begun.stderr
    ended = az("acr", "import-wait", "--operation", begun.json["operation"])
    assert (ended.code, ended.json["status"]) == (0, "copied"), ended.stderr
    assert tag_digest(sandbox.content(TARGET), "every/waited", "1") == ended.json["digest"]


def test_failure_has_a_result_and_a_code(sandbox, az):
    """Of a registry that is not there, and of an image."""
    nowhere = az("acr", "import", "-n", "nosuchregistry", "--source", "mcr.microsoft.com/hello-world")
    nothing = az("acr", "import", "-n", "myregistry", "--source", "mcr.microsoft.com/hello-world:none")
    assert [nowhere.code, nothing.code] == [3, 3]
    codes = [result.json["error"]["code"] for result in (nowhere, nothing)]
    assert codes == ["target-registry-not-found", "source-not-found"]


@pytest.mark.parametrize("command", ["import", "import-wait"])
def test_help(az, command):
    """Ours, with its examples."""
    result = az("acr", command, "-h")
    assert (result.code, "az acr import" in result.stdout) == (0, True)
    assert command == "import-wait" or "--referrers" in result.stdout
