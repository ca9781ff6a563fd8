# SPDX-License-Identifier: MIT
"""Every way to sign in, on both sides, and with every kind of identity that az knows."""

from __future__ import annotations

import base64
import dataclasses
import json

import pytest

from tests.sandbox import entra, images, profile
from tests.sandbox.world import FOREIGNER, OWNER, PULL, READER, TENANT, AzureRegistry
from tests.support.az import Az
from tests.support.content import tag_digest

TARGET = "myregistry.azurecr.io"
WEB = "app/web:v1"
AUDIENCE = "https://containerregistry.azure.net"
ARM_AUDIENCE = "https://management.core.windows.net/"


@pytest.mark.parametrize(
    ("name", "options", "mode"),
    [
        (
            "service-principal",
            f"--source mysourceregistry.azurecr.io/{WEB} -u {READER.id} -p {READER.secret}",
            f"user name and password of {READER.id}",
        ),
        (
            "registry-and-password",
            f"--source {WEB} -r mysourceregistry -u {READER.id} -p {READER.secret}",
            f"user name and password of {READER.id}",
        ),
        (
            "repository-token-of-another-tenant",
            f"--source foreignregistry.azurecr.io/{WEB} -u puller -p puller-secret",
            "user name and password of puller",
        ),
        (
            "principal-of-another-tenant",
            f"--source foreignregistry.azurecr.io/{WEB} -u {FOREIGNER.id} -p {FOREIGNER.secret}",
            f"user name and password of {FOREIGNER.id}",
        ),
        (
            "abac",
            f"--source abacregistry.azurecr.io/{WEB}",
            f"the az login identity {OWNER.id} of tenant {TENANT}",
        ),
    ],
    ids=lambda value: value if " " not in value else "",
)
def test_source_lets_in(sandbox, az, name, options, mode):
    """The image arrives, and --verbose says who we were there."""
    result = az("acr", "import", "-n", "myregistry", *options.split(), "-t", f"in/{name}:1", "--verbose")
    assert result.code == 0, result.stderr
    assert f"(source): signing in with {mode}" in result.stderr
    assert tag_digest(sandbox.content(TARGET), f"in/{name}", "1") == result.json["digest"]


@pytest.mark.parametrize("words", [("--source", f"foreignregistry.azurecr.io/{WEB}"),
                                   ("--source", WEB, "--registry", "foreignregistry.azurecr.io")],
                         ids=["login server", "registry"])  # fmt: skip
def test_entra_token_of_another_tenant(sandbox, az, words):
    """A password without a user name; from standard input, so that it is on no command line."""
    token = entra.access_token(FOREIGNER, AUDIENCE)
    result = az("acr", "import", "-n", "myregistry", *words, "-p", "@-", "-t", "foreign:1", "--force", stdin=token)
    assert result.code == 0, result.stderr


def docker_config(folder, host: str, user: str) -> dict[str, str]:
    """What docker login leaves, as the environment names it."""
    auth = base64.b64encode(user.encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return {"DOCKER_CONFIG": str(folder)}


# nobody has a right here but a repository-scoped token
PULLER = {"users": {"puller": "puller-secret"}, "rights": {"puller": PULL}}


@pytest.mark.parametrize(
    ("way", "registry", "config"),
    [
        ("foreign tenant, docker", {"tenant": FOREIGNER.tenant, **PULLER}, True),
        ("foreign tenant, anonymous", {"tenant": FOREIGNER.tenant, "anonymous_pull": True}, False),
        ("foreign tenant, stale docker, anonymous", {"tenant": FOREIGNER.tenant, "anonymous_pull": True}, True),
        ("no right, docker", PULLER, True),
        ("no right, anonymous", {**PULLER, "anonymous_pull": True}, False),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_each_credential_is_tried_when_the_one_before_was_refused(sandbox, az, tmp_path, way, registry, config):
    """The az login identity, what docker login left, nobody."""
    name = "chain" + "".join(filter(str.isalpha, way))
    sandbox.add_registry(AzureRegistry(name, **registry))
    host = f"{name}.azurecr.io"
    images.image(way).push(sandbox.content(host), "app", "1")
    environment = docker_config(tmp_path, host, "puller:puller-secret") if config else {}
    words = ("acr", "import", "-n", "myregistry", "--source", f"{host}/app:1", "-t", f"{name}:1", "--verbose")
    result = az(*words, **environment)
    assert result.code == 0, result.stderr
    last = {"docker": "the credential in", "anonymous": "anonymous"}[way.rpartition(", ")[2]]
    assert result.stderr.rpartition("(source): signing in with ")[2].startswith(last)


def test_nobody_has_to_be_signed_in_to_read_what_everybody_may(sandbox, tmp_path, extensions):
    """The chain goes on where there is no az login; where that is what is lacking, it is what to type."""
    sandbox.add_registry(AzureRegistry("everybody", anonymous_pull=True))
    images.image("everybody").push(sandbox.content("everybody.azurecr.io"), "app", "1")
    az = Az(tmp_path, sandbox.environment(), extensions=extensions)
    profile.quiet(az.config)
    words = ("acr", "import", "-n", sandbox.plain.address, "-t", "everybody:1", "--source")
    result = az(*words, "everybody.azurecr.io/app:1")
    assert result.code == 0, result.stderr
    result = az(*words, f"mysourceregistry.azurecr.io/{WEB}")
    assert (result.code, result.json["error"]["code"]) == (1, "source-unauthorized")
    assert result.json["error"]["recommendation"].startswith("Sign in: az login.")
    operation = "https://management.azure.com/subscriptions/1/operationResults/2#registry=a.azurecr.io&target=a:1"
    waited = az("acr", "import-wait", "--operation", operation).json
    assert (waited["error"]["code"], waited["registry"], waited["targets"]) == ("arm-sign-in", "a.azurecr.io", ["a:1"])
    assert waited["changes"] == [{"target": "a:1", "action": None, "before": None}]


def test_error_lists_all_that_was_tried(sandbox, az, tmp_path):
    """And what to type for a registry of another tenant: not another az login, which the target would lose."""
    host = "foreignregistry.azurecr.io"
    environment = docker_config(tmp_path, host, "puller:wrong")
    result = az("acr", "import", "-n", "myregistry", "--source", f"{host}/{WEB}", "-t", "tried:1", **environment)
    assert result.code == 1
    error = result.json["error"]
    assert error["code"] == "source-unauthorized"
    tried = f"the az login identity {OWNER.id} of tenant {TENANT}, then the credential in {tmp_path / 'config.json'}"
    assert f"{tried}, and then anonymous access, for repository" in error["message"]
    assert "--password @token.txt" in error["recommendation"]
    assert "az login" not in error["recommendation"]


def test_admin_user_only_when_it_is_named(sandbox, az):
    """By its name and password, as source."""
    admin = sandbox.world.registries["adminregistry"]
    content = sandbox.content(admin.login_server)
    sandbox_image(content)
    words = ("--source", f"{admin.login_server}/admin:1", "-u", admin.name, "-p", admin.admin_password, "-t", "admin:1")
    assert az("acr", "import", "-n", "myregistry", *words).code == 0
    mark = sandbox.log.mark()
    assert az("acr", "import", "-n", "myregistry", *words[:2], "-t", "admin:2").code == 0
    assert not sandbox.log.find(since=mark, path=".*/listCredentials")


def sandbox_image(content):
    """Something small."""
    from tests.sandbox import images

    images.image("admin").push(content, "admin", "1")


def test_pipeline_gets_every_token_before_a_byte_moves(sandbox, signed_in):
    """Workload identity: the assertion behind the sign-in is soon worth nothing."""
    az = signed_in(sandbox)
    login = ("--service-principal", "-u", OWNER.id, "--tenant", TENANT, "--federated-token", "e30.e30.e30")
    assert az("login", *login).code == 0
    mark = sandbox.log.mark()
    words = ("--source", f"mysourceregistry.azurecr.io/{WEB}", "-t", "pipeline:1", "--jobs", "4")
    assert az("acr", "import", "-n", "myregistry", *words).code == 0
    asked = sandbox.log.find(since=mark)
    tokens = [number for number, e in enumerate(asked) if e["path"].endswith(("/oauth2/exchange", "/token"))]
    blobs = [number for number, e in enumerate(asked) if "/blobs/" in e["path"]]
    assert tokens[-1] < blobs[0]
    assert sum(e["path"].endswith("/exchange") for e in asked) == 2


def test_cloud_shell_asks_for_each_token_once(sandbox, signed_in):
    """There az keeps none: one for ARM and one for both registries, a process."""
    from tests.sandbox.entra import ManagedIdentity
    from tests.sandbox.sandbox import CLOUD_SHELL_PORT
    from tests.sandbox.server import Listener

    try:
        listener = Listener(sandbox.log.watch(ManagedIdentity()), port=CLOUD_SHELL_PORT)
    except OSError:
        pytest.skip(f"port {CLOUD_SHELL_PORT}, which Cloud Shell has fixed, is taken on this machine")
    shell = {"ACC_CLOUD": "PROD", "AZUREPS_HOST_ENVIRONMENT": "cloud-shell/1.0"}
    with listener:
        az = signed_in(sandbox)
        assert az("login", "--identity", **shell).code == 0
        mark = sandbox.log.mark()
        words = ("--source", f"mysourceregistry.azurecr.io/{WEB}", "-t", "shell:1", "--jobs", "4")
        assert az("acr", "import", "-n", "myregistry", *words, **shell).code == 0
        fetched = sandbox.log.find(
            since=mark, method="POST", path="/oauth2/token", host=f"localhost:{CLOUD_SHELL_PORT}"
        )
    assert len(fetched) == 2


@pytest.mark.parametrize("policy", [True, False], ids=["allowed", "forbidden"])
def test_token_for_arm_is_tried_only_where_the_registry_allows_it(sandbox, az, policy):
    """In a cloud that does not know registries as an audience of their own."""
    name = f"armtokens{policy}".lower()
    sandbox.add_registry(AzureRegistry(name, acr_tokens=False, arm_tokens=policy))
    mark = sandbox.log.mark()
    result = az("acr", "import", "-n", name, "--source", "mcr.microsoft.com/hello-world")
    exchanges = sandbox.log.find(since=mark, host=f"{name}.azurecr.io", path="/oauth2/exchange")
    assert [entry["status"] for entry in exchanges] == ([401, 200] if policy else [401])
    assert result.code == (0 if policy else 1), result.stderr
    if not policy:
        assert result.json["error"]["code"] == "target-unauthorized"


def test_audience_can_be_configured(sandbox, az):
    """As for core's commands."""
    sandbox.add_registry(dataclasses.replace(AzureRegistry("armonly"), acr_tokens=False))
    az("config", "set", f"acr.audience_resource={ARM_AUDIENCE.rstrip('/')}")
    mark = sandbox.log.mark()
    assert az("acr", "import", "-n", "armonly", "--source", "mcr.microsoft.com/hello-world").code == 0
    statuses = [e["status"] for e in sandbox.log.find(since=mark, host="armonly.azurecr.io", path="/oauth2/exchange")]
    assert statuses == [200]


@pytest.mark.parametrize("command", ["import", "import-batch"])
def test_az_leaves_to_the_next_where_tokens_and_blobs_are_fetched(sandbox, az, command):
    """Hosts and addresses, no more; not with one job, which asks the same each time."""
    memory = az.config / "acrimport-registries.json"

    def imported(number: int, *options: str) -> None:
        words = ("--source", "docker.io/library/hello-world:latest", *options)
        name = ("-t", f"left/{number}:1") if command == "import" else ("--prefix", f"left/{number}/")
        result = az("acr", command, "-n", "myregistry", *words, *name)
        assert result.code == 0, result.stderr

    imported(1, "--jobs", "1")
    assert not memory.exists()
    for number in (2, 3):
        imported(number)
        assert json.loads(memory.read_text()) == {
            TARGET: f"https://{TARGET}/oauth2/token {TARGET}",
            "registry-1.docker.io": "https://auth.docker.io/token registry.docker.io",
            "registry-1.docker.io blobs": "https://production.cloudflare.docker.com",
        }


def test_memory_that_is_poisoned_gets_no_secret(sandbox, az):
    """Another host's address is written where the registries' own stood: nothing is sent there, and it is mended.

    That of blobs is mended when one is read, and here all are at the target.
    """
    private = "--source docker.io/sandboxuser/private:1.0 -u sandboxuser -p hub-secret --force".split()
    assert az("acr", "import", "-n", "myregistry", *private, "-t", "poisoned:1").code == 0
    memory = az.config / "acrimport-registries.json"
    learned = memory.read_text()
    evil = "https://registry.contoso.com"
    blobs = {name: evil for name in json.loads(learned) if name.endswith(" blobs")}
    assert blobs
    memory.write_text(json.dumps(dict.fromkeys(json.loads(learned), f"{evil}/oauth2/token x") | blobs))
    mark = sandbox.log.mark()
    result = az("acr", "import", "-n", "myregistry", *private, "-t", "poisoned:2")
    assert result.code == 0, result.stderr
    assert sandbox.log.find(since=mark, host="auth.docker.io")
    assert not sandbox.log.find(since=mark, host="registry.contoso.com")
    assert json.loads(memory.read_text()) == json.loads(learned) | blobs
    for secret in ("hub-secret", "eyJ"):
        assert secret not in learned
