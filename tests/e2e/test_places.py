# SPDX-License-Identifier: MIT
"""Where registries can be: in other subscriptions, regions and clouds, behind private authorities, without TLS."""

from __future__ import annotations

import ssl

import pytest
import trustme

from tests.sandbox import images, profile
from tests.sandbox.registry import Registry
from tests.sandbox.sandbox import CUSTOM_CLOUD
from tests.sandbox.server import Listener
from tests.sandbox.storage import Storage
from tests.sandbox.world import OWNER, TENANT, AzureRegistry
from tests.support.az import Az
from tests.support.content import tag_digest, tree
from tests.support.rights import as_user, shut, without_rights

TARGET = "myregistry.azurecr.io"


def test_regional_endpoints_on_both_sides(sandbox, az):
    """Bytes go by the region; the sign-in is exchanged at the home of the registry."""
    mark = sandbox.log.mark()
    source = "mysourceregistry.eastus.geo.azurecr.io/app/web:v1"
    result = az("acr", "import", "-n", "myregistry.eastus.geo.azurecr.io", "--source", source, "-t", "regional:1")
    assert result.code == 0, result.stderr
    assert tag_digest(sandbox.content(TARGET), "regional", "1") == result.json["digest"]
    assert sandbox.log.find(since=mark, host="myregistry.eastus.geo.azurecr.io", method="PUT", status=201)
    exchanged = {entry["host"] for entry in sandbox.log.find(since=mark, path="/oauth2/exchange")}
    assert exchanged == {"myregistry.azurecr.io", "mysourceregistry.azurecr.io"}


def test_login_server_with_a_domain_label(sandbox, az):
    """Its name is not the first part of its host; both lead there."""
    host = "labelregistry-a1b2c3d4.azurecr.io"
    sandbox.add_registry(AzureRegistry("labelregistry", login_server=host))
    for name in ("labelregistry", host):
        words = ("--source", "mcr.microsoft.com/hello-world", "-t", "label:1", "--force")
        result = az("acr", "import", "-n", name, *words)
        assert result.code == 0, result.stderr
        assert result.json["registry"] == host
    assert az("acr", "import", "-n", "myregistry", "--source", f"{host}/label:1").code == 0


def test_source_in_another_subscription_by_login_server_alone(sandbox, az):
    """Nobody has to know where it is."""
    words = ("--source", "otherregistry.azurecr.io/app/web:v1", "-t", "other-subscription:1")
    assert az("acr", "import", "-n", "myregistry", *words).code == 0


def test_target_in_another_subscription(sandbox, az):
    """By resource ID, and with az's own option."""
    identifier = sandbox.world.registries["otherregistry"].id
    words = ("--source", "mcr.microsoft.com/hello-world", "-t")
    assert az("acr", "import", "-n", identifier, *words, "by-id:1").code == 0
    named = ("-n", "otherregistry", "--subscription", "Other subscription")
    assert az("acr", "import", *named, *words, "by-subscription:1").code == 0
    assert az("acr", "import", "-n", "myregistry", "-g", "sandbox", *words, "by-group:1").code == 0
    assert az("acr", "import", "-n", "myregistry", "-g", "nowhere", *words, "by-group:2").code == 3


def test_custom_cloud(sandbox, extensions, tmp_path):
    """Made with az cloud register: other names for Entra ID and ARM, another suffix for registries."""
    az = Az(tmp_path, sandbox.environment(), extensions=extensions)
    profile.quiet(az.config)
    registered = az(
        "cloud", "register", "-n", "Sandbox", "--skip-endpoint-discovery",
        "--endpoint-resource-manager", f"https://management.{CUSTOM_CLOUD}",
        "--endpoint-active-directory", f"https://login.{CUSTOM_CLOUD}",
        "--endpoint-active-directory-resource-id", f"https://management.{CUSTOM_CLOUD}/",
        "--suffix-acr-login-server-endpoint", f".azurecr.{CUSTOM_CLOUD}",
    )  # fmt: skip
    assert registered.code == 0, registered.stderr
    assert az("cloud", "set", "-n", "Sandbox").code == 0
    assert az("config", "set", "core.instance_discovery=false").code == 0
    login = az("login", "--service-principal", "-u", OWNER.id, "-p", OWNER.secret, "--tenant", TENANT)
    assert login.code == 0, login.stderr
    result = az("acr", "import", "-n", "cloudregistry", "--source", "mcr.microsoft.com/hello-world", "-t", "hello:1")
    assert result.code == 0, result.stderr
    assert result.json["registry"] == f"cloudregistry.azurecr.{CUSTOM_CLOUD}"
    # a registry of the public cloud is nobody's here: no token of ours goes there
    mark = sandbox.log.mark()
    foreign = az("acr", "import", "-n", "cloudregistry", "--source", "mysourceregistry.azurecr.io/app/web:v1")
    assert foreign.json["error"]["code"] in ("source-unauthorized", "source-denied")
    assert not sandbox.log.find(since=mark, host="mysourceregistry.azurecr.io", path="/oauth2/exchange")


@pytest.fixture
def private(tmp_path):
    """A registry on loopback whose authority nobody knows, and that wants a client certificate."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    content = Registry(Storage(tmp_path / "private"))
    images.image("private place").push(content, "team/app", "1")
    with Listener(content, tls=context) as listener:
        yield listener, authority, content


def test_private_authority_and_client_certificate(sandbox, az, private, tmp_path):
    """Where docker and podman look for them; without them, an error that says what is missing."""
    listener, authority, content = private
    words = ("acr", "import", "-n", "myregistry", "--source", f"{listener.address}/team/app:1", "-t", "private-place:1")
    refused = az(*words)
    assert refused.json["error"]["code"] == "source-tls"
    for said in ("REQUESTS_CA_BUNDLE", f"{listener.address} (source)", "repository team/app"):
        assert said in refused.stderr
    folder = tmp_path / ".config" / "containers" / "certs.d" / listener.address
    folder.mkdir(parents=True)
    # two: the one that counts is not the first
    trustme.CA().cert_pem.write_to_path(str(folder / "another.crt"))
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    client = authority.issue_cert("client.test")
    client.cert_chain_pems[0].write_to_path(str(folder / "client.cert"))
    keyless = az(*words)
    assert keyless.code == 1
    assert "client.key" in keyless.stderr and "Traceback" not in keyless.stderr
    client.private_key_pem.write_to_path(str(folder / "client.key"))
    result = az(*words)
    assert result.code == 0, result.stderr
    assert tree(sandbox.content(TARGET), "private-place", "1") == tree(content, "team/app", "1")


@without_rights
@pytest.mark.parametrize("closed", ["ca.crt", "client.cert", "client.key"])
def test_certificate_that_cannot_be_read_is_named_at_once(sandbox, az, tmp_path, closed):
    """Nobody is asked, and no network is blamed."""
    folder = tmp_path / ".docker" / "certs.d" / "mcr.microsoft.com"
    folder.mkdir(parents=True)
    for name in ("ca.crt", "client.cert", "client.key"):
        (folder / name).write_text("x")
    words = (
        "acr",
        "import",
        "-n",
        "myregistry",
        "--source",
        "mcr.microsoft.com/hello-world:latest",
        "-t",
        "shut-cert:1",
    )
    mark = sandbox.log.mark()
    with shut(folder / closed):
        result = as_user(az, *words)
    assert (result.code, result.json["error"]["code"]) == (1, "source-credential")
    assert f"{folder / closed} cannot be read (Permission denied)" in result.stderr
    assert not sandbox.log.find(since=mark, host="mcr.microsoft.com")


def test_verification_can_be_switched_off_as_for_az(sandbox, az, tmp_path):
    """AZURE_CLI_DISABLE_CONNECTION_VERIFICATION, for a registry whose authority nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    content = Registry(Storage(tmp_path / "unknown"))
    images.image("unknown").push(content, "team/app", "1")
    with Listener(content, tls=context) as listener:
        words = ("acr", "import", "-n", sandbox.plain.address, "--source", f"{listener.address}/team/app:1")
        assert az(*words).json["error"]["code"] == "source-tls"
        result = az(*words, AZURE_CLI_DISABLE_CONNECTION_VERIFICATION="1")
    assert result.code == 0, result.stderr


def test_azure_that_cannot_be_reached_is_no_traceback(sandbox, az):
    """Entra ID behind a proxy that is not there: said in one line, for Azure's side."""
    words = ("--source", "mcr.microsoft.com/hello-world", "-t", "unreachable:1")
    result = az("acr", "import", "-n", "myregistry", *words, HTTPS_PROXY="http://127.0.0.1:1")
    assert result.code == 1
    assert "[arm-unreachable]" in result.stderr
    assert "Traceback" not in result.stderr
