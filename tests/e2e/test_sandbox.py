# SPDX-License-Identifier: MIT
"""The sandbox is believed because core's own az, without any extension, takes it for Azure."""

from __future__ import annotations

import pytest

from tests.sandbox.world import IDENTITY, OWNER, TENANT, USER
from tests.support.content import tag_digest, tree

SECRET = ("--service-principal", "-u", OWNER.id, "-p", OWNER.secret, "--tenant", TENANT)
FEDERATED = ("--service-principal", "-u", OWNER.id, "--tenant", TENANT, "--federated-token", "e30.e30.e30")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (SECRET, OWNER.id),
        (FEDERATED, OWNER.id),
        (("--use-device-code",), USER.name),
        (("-u", USER.name, "-p", USER.secret), USER.name),
        (("--identity",), "systemAssignedIdentity"),
    ],
    ids=["secret", "federated token", "device code", "password", "App Service identity"],
)
def test_az_signs_in(sandbox, core_az, words, name):
    """And then gets a token of a registry, which takes Entra ID, ARM and the exchange."""
    environment = sandbox.identity_environment() if "--identity" in words else {}
    login = core_az("login", *words, **environment)
    assert login.code == 0, login.stderr
    assert [account["user"]["name"] for account in login.json] == [name] * 2
    token = core_az("acr", "login", "--name", "myregistry", "--expose-token", **environment)
    assert token.code == 0, token.stderr
    assert token.json["loginServer"] == "myregistry.azurecr.io"


def test_az_signs_in_in_cloud_shell(core_az, sandbox, tmp_path):
    """Cloud Shell's endpoint has a port that cannot be chosen."""
    from tests.sandbox.entra import ManagedIdentity
    from tests.sandbox.sandbox import CLOUD_SHELL_PORT
    from tests.sandbox.server import Listener

    try:
        listener = Listener(sandbox.log.watch(ManagedIdentity()), port=CLOUD_SHELL_PORT)
    except OSError:
        pytest.skip(f"port {CLOUD_SHELL_PORT}, which Cloud Shell has fixed, is taken on this machine")
    with listener:
        shell = {"ACC_CLOUD": "PROD", "AZUREPS_HOST_ENVIRONMENT": "cloud-shell/1.0"}
        login = core_az("login", "--identity", **shell)
        assert login.code == 0, login.stderr
        assert core_az("acr", "login", "-n", "myregistry", "--expose-token", **shell).code == 0


def test_wrong_secret_is_refused(sandbox, core_az):
    """As Entra ID does."""
    login = core_az("login", "--service-principal", "-u", OWNER.id, "-p", "wrong", "--tenant", TENANT)
    assert login.code == 1
    assert "AADSTS7000215" in login.stderr


def test_core_commands_read_what_is_there(sandbox, core_az):
    """The commands with which people look at a registry."""
    sandbox.sign_in(core_az.config)
    registry = ("--name", "mysourceregistry")
    assert "mysourceregistry" in {entry["name"] for entry in core_az("acr", "list").json}
    assert core_az("acr", "show", *registry).json["loginServer"] == "mysourceregistry.azurecr.io"
    assert "app/web" in core_az("acr", "repository", "list", *registry).json
    tags = core_az("acr", "repository", "show-tags", *registry, "--repository", "app/web").json
    assert tags == ["v1"]
    digest = tag_digest(sandbox.content("mysourceregistry.azurecr.io"), "app/web", "v1")
    manifests = core_az("acr", "repository", "show-manifests", *registry, "--repository", "app/web").json
    assert [entry["digest"] for entry in manifests if entry["tags"] == ["v1"]] == [digest]
    listed = core_az("acr", "manifest", "list-metadata", "mysourceregistry.azurecr.io/app/web").json
    assert {entry["digest"] for entry in listed} == {entry["digest"] for entry in manifests}
    shown = core_az("acr", "manifest", "show", "mysourceregistry.azurecr.io/app/web:v1").json
    assert len(shown["manifests"]) == 2


def test_admin_user_and_its_password(sandbox, core_az):
    """listCredentials, and Basic at the registry."""
    sandbox.sign_in(core_az.config)
    shown = core_az("acr", "credential", "show", "--name", "adminregistry").json
    words = ("-u", shown["username"], "-p", shown["passwords"][0]["value"])
    assert core_az("acr", "repository", "list", "-n", "adminregistry", *words).code == 0


def test_repository_can_be_locked(sandbox, core_az):
    """The attributes that az sets are those that the data plane obeys."""
    sandbox.sign_in(core_az.config)
    words = ("--name", "otherregistry", "--repository", "app/web", "--write-enabled", "false")
    updated = core_az("acr", "repository", "update", *words, "--subscription", "Other subscription")
    assert updated.code == 0, updated.stderr
    assert not sandbox.world.registries["otherregistry"].is_writable("app/web")
    sandbox.world.registries["otherregistry"].attributes.clear()


def test_core_imports_and_refuses_a_conflict(sandbox, core_az):
    """importImage as a long-running operation, with core's own command."""
    sandbox.sign_in(core_az.config)
    words = ("acr", "import", "-n", "myregistry", "--source", "mcr.microsoft.com/hello-world:latest", "-t", "core:1")
    assert core_az(*words).code == 0
    imported = tree(sandbox.content("myregistry.azurecr.io"), "core", "1")
    assert imported == tree(sandbox.content("mcr.microsoft.com"), "hello-world", "latest")
    again = core_az(*words)
    assert again.code == 1
    assert "already exists in target registry" in again.stderr
    assert core_az(*words, "--force").code == 0


def test_managed_identity_imports(sandbox, signed_in, tmp_path):
    """The extension's own way through Entra, ARM and the exchange with another kind of identity."""
    az = signed_in(sandbox)
    environment = sandbox.identity_environment()
    assert az("login", "--identity", **environment).code == 0
    words = ("--source", "mysourceregistry.azurecr.io/app/web:v1", "-t", "by-identity:1")
    mark = sandbox.log.mark()
    assert az("acr", "import", "-n", "myregistry", *words, **environment).code == 0
    assert sandbox.log.find(since=mark, path="/oauth2/exchange", subject=IDENTITY.name)


def test_what_az_writes_is_in_its_own_folder(az):
    """A forked one, too: it was loaded with another folder."""
    made = az("cloud", "update", "--name", "AzureChinaCloud", "--endpoint-gallery", "https://own.test")
    assert made.code == 0, made.stderr
    assert "own.test" in (az.config / "clouds.config").read_text("utf-8")
