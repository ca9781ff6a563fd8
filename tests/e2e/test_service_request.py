# SPDX-License-Identifier: MIT
"""The service is asked with the very request that core's own command sends for the same words."""

from __future__ import annotations

import itertools
import json

import pytest

from tests.sandbox import images
from tests.sandbox.world import READER
from tests.support.az import Az
from tests.support.content import tag_digest

SOURCE = (
    "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/sandbox"
    "/providers/Microsoft.ContainerRegistry/registries/mysourceregistry"
)
OTHER = (
    "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/elsewhere"
    "/providers/Microsoft.ContainerRegistry/registries/otherregistry"
)
DIGEST = "{digest}"
numbers = itertools.count()

COMMANDS = [
    "-n myregistry --source mcr.microsoft.com/hello-world:latest -t {new}:1",
    "-n myregistry --source mcr.microsoft.com/hello-world -t {new}:1",
    "-n myregistry --source mcr.microsoft.com/hello-world -t {new}",
    "-n myregistry --source mcr.microsoft.com/hello-world:latest -t {new}:1 -t {new}:2 -t {new}-more:1",
    "-n myregistry --source mcr.microsoft.com/hello-world:latest --repository {new}",
    "-n myregistry --source mcr.microsoft.com/hello-world:latest --repository {new} --repository {new}-more",
    "-n myregistry --source mcr.microsoft.com/hello-world:latest --repository {new} -t {new}:1",
    "-n myregistry --source mcr.microsoft.com/hello-world:latest -t {new}:1 --force",
    "-n myregistry --source docker.io/library/hello-world:latest -t {new}:1",
    "-n myregistry --source docker.io/sandboxuser/private:1.0 -u sandboxuser -p hub-secret -t {new}:1",
    "-n myregistry --source mysourceregistry.azurecr.io/app/web:v1 -t {new}:1",
    "-n myregistry --source mysourceregistry.azurecr.io/app/web@{digest} -t {new}:1",
    "-n myregistry --source mysourceregistry.azurecr.io/app/web@{digest} -t {new}",
    "-n myregistry --source mysourceregistry.azurecr.io/app/web@{digest} --repository {new}",
    "-n myregistry --source mysourceregistry.eastus.geo.azurecr.io/app/web:v1 -t {new}:1",
    "-n myregistry --source app/web:v1 -r mysourceregistry -t {new}:1",
    "-n myregistry --source app/web:v1 -r mysourceregistry.azurecr.io -t {new}:1",
    "-n myregistry --source mysourceregistry.azurecr.io/app/web:v1 -r mysourceregistry -t {new}:1",
    "-n myregistry --source app/web:v1 -r " + SOURCE + " -t {new}:1",
    "-n myregistry --source app/web@{digest} -r " + SOURCE + " --repository {new}",
    "-n myregistry --source app/web:v1 -r " + OTHER + " -t {new}:1",
    "-n myregistry --source otherregistry.azurecr.io/app/web:v1 -u "
    + READER.id
    + " -p "
    + READER.secret
    + " -t {new}:1",
    "-n myregistry --source mysourceregistry.azurecr.io/app/web:v1 -u " + READER.id + " -p wrong -t {new}:1",
    "-n myregistry -g sandbox --source mcr.microsoft.com/hello-world:latest -t {new}:1",
    "-n myregistry.azurecr.io --source mcr.microsoft.com/hello-world:latest -t {new}:1",
]


@pytest.fixture(scope="module")
def both(sandbox, extensions, tmp_path_factory):
    """core's own az, and az with the extension, both signed in."""
    core = Az(tmp_path_factory.mktemp("core"), sandbox.environment())
    ours = Az(tmp_path_factory.mktemp("ours"), sandbox.environment(), extensions=extensions)
    for az in (core, ours):
        sandbox.sign_in(az.config)
    return core, ours


@pytest.mark.parametrize("options", COMMANDS)
def test_request_is_that_of_core(sandbox, both, options):
    """Path and body; the tag that both make is another one, so that none is in the other's way."""
    digest = tag_digest(sandbox.content("mysourceregistry.azurecr.io"), "app/web", "v1")
    sent = []
    for az, engine in ((both[0], []), (both[1], ["--engine", "service"])):
        new = f"compared/number-{next(numbers)}"
        words = options.format(new=new, digest=digest).split()
        before = len(sandbox.world.imports)
        result = az("acr", "import", *words, *engine)
        assert result.code == (1 if "wrong" in options else 0), result.stderr
        assert len(sandbox.world.imports) == before + 1
        path, body = sandbox.world.imports[-1]
        sent.append((path, json.loads(json.dumps(body).replace(new, "NEW"))))
    assert sent[0] == sent[1]


def test_request_without_a_target_is_that_of_core(sandbox, both):
    """The source's own repository and tag."""
    images.image("compared").push(sandbox.content("mcr.microsoft.com"), "compared/default", "1")
    words = ("-n", "myregistry", "--source", "mcr.microsoft.com/compared/default:1")
    assert both[0]("acr", "import", *words).code == 0
    images.image("compared later").push(sandbox.content("mcr.microsoft.com"), "compared/default", "1")
    assert both[1]("acr", "import", *words, "--engine", "service", "--force").code == 0
    first, second = (body for _, body in sandbox.world.imports[-2:])
    assert first == {**second, "mode": "NoForce"}
    assert first["targetTags"] == ["compared/default:1"]
