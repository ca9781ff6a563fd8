# SPDX-License-Identifier: MIT
"""Doors that are closed, and what is said before them: side, registry, repository, who we were, and what to type."""

from __future__ import annotations

import json
import os
import stat
import sys

import pytest

from tests.sandbox import entra, images
from tests.sandbox.world import FOREIGNER, OWNER, READER, STRANGER, TENANT
from tests.support.content import tag_digest

TARGET = "myregistry.azurecr.io"
WEB = "app/web:v1"
AS_OWNER = f"the az login identity {OWNER.id} of tenant {TENANT}"


@pytest.fixture
def refused(sandbox, signed_in):
    """Run an import that must fail, and give its result when no traceback and no write came of it."""

    def refused(options: str, principal=OWNER, **environment: str):
        az = signed_in(sandbox, principal)
        mark = sandbox.log.mark()
        words = options.split() if "-n " in options else ["-n", "myregistry", *options.split()]
        result = az("acr", "import", *words, **environment)
        assert result.code == 1, result.stderr
        assert "Traceback" not in result.stderr
        assert result.stderr.count("ERROR:") == 1
        assert not [e for e in sandbox.log.find(since=mark, path="/v2/.*") if e["method"] not in ("GET", "HEAD")]
        return result

    return refused


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (
            "--source registry.contoso.com/team/app:1.0 -u robot -p wrong",
            "source-unauthorized",
            ["registry.contoso.com (source)", "repository team/app", "user name and password of robot", "--password"],
        ),
        (
            f"--source foreignregistry.azurecr.io/{WEB}",
            "source-unauthorized",
            ["foreignregistry.azurecr.io (source)", "repository app/web", AS_OWNER, "--password @token.txt"],
        ),
        (
            "--source foreignregistry.azurecr.io/other:1 -u puller -p puller-secret",
            "source-denied",
            ["foreignregistry.azurecr.io (source)", "repository other", "of puller", "AcrPull"],
        ),
        (
            f"--source closedregistry.azurecr.io/{WEB} --engine embedded",
            "source-firewall",
            [
                "closedregistry.azurecr.io (source)",
                "repository app/web",
                "without a sign-in",
                "az acr show --name closedregistry",
            ],
        ),
        (
            "-n closedregistry --source mcr.microsoft.com/hello-world --engine embedded",
            "target-firewall",
            ["closedregistry.azurecr.io (target)", "repository hello-world", "without a sign-in", "az acr show"],
        ),
        (
            "--source quay.io/team/app:1.0",
            "source-unreachable",
            ["quay.io (source)", "repository team/app", "proxy", "NO_PROXY"],
        ),
    ],
    ids=["wrong password", "wrong tenant", "no pull right", "source firewall", "target firewall", "proxy refuses"],
)
def test_refusal_is_explained(refused, options, code, said):
    """In the words of the one error on stderr, and in the result."""
    result = refused(options)
    assert result.json["error"]["code"] == code
    for words in said:
        assert words in result.stderr


@pytest.mark.parametrize(
    ("registry", "principal", "role"),
    [
        ("abacregistry", READER, '--role "Container Registry Repository Writer"'),
        ("abacregistry.azurecr.io", STRANGER, '--role "Container Registry Repository Writer"'),
        ("myregistry", READER, '--role "AcrPush"'),
    ],
    ids=["ABAC, told by ARM", "ABAC, told by the token", "classic"],
)
def test_role_that_counts_is_named(refused, registry, principal, role):
    """A registry that grants rights by repository does not heed AcrPush."""
    result = refused(f"-n {registry} --source mcr.microsoft.com/hello-world -t closed:1", principal)
    assert result.json["error"]["code"] == "target-denied"
    assert role in result.stderr
    assert "repository closed" in result.stderr and principal.id in result.stderr


def test_abac_source_names_the_readers_role(refused):
    """And that the registry said so in its token: this person may not ask ARM."""
    result = refused(f"-n {TARGET} --source abacregistry.azurecr.io/{WEB}", STRANGER)
    assert result.json["error"]["code"] == "source-denied"
    assert '--role "Container Registry Repository Reader"' in result.stderr


@pytest.mark.parametrize("token", ["ended", "not a token"])
def test_entra_token_that_is_worth_nothing(refused, monkeypatch, token):
    """Where to get a new one."""
    monkeypatch.setattr(entra, "LIFETIME", -60.0)
    value = entra.access_token(FOREIGNER, "https://containerregistry.azure.net") if token == "ended" else "abc"
    monkeypatch.undo()
    result = refused(f"--source foreignregistry.azurecr.io/{WEB} -p {value}")
    assert result.json["error"]["code"] == "source-unauthorized"
    assert "the Entra token given with --password" in result.stderr
    assert "az account get-access-token" in result.stderr
    assert value not in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="the helper is a script with a first line of POSIX")
@pytest.mark.parametrize(("body", "said"), [("sys.exit(3)", "exit code 3"), ("print('secret')", "no credential")])
def test_helper_that_fails(refused, tmp_path, body, said):
    """Which one, for whom, and how to do without it."""
    helper = tmp_path / "docker-credential-broken"
    helper.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    helper.chmod(helper.stat().st_mode | stat.S_IEXEC)
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "broken"}))
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    result = refused("--source registry.contoso.com/team/app:1.0", PATH=path, DOCKER_CONFIG=str(tmp_path))
    assert result.json["error"]["code"] == "source-credential"
    for words in ("registry.contoso.com (source)", "docker-credential-broken", said, "team/app", "--password"):
        assert words in result.stderr


@pytest.mark.parametrize("options", ["", "--dry-run"], ids=["import", "dry run"])
@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ("closed/app", "az acr repository update --name myregistry --repository closed/app --write-enabled true"),
        ("closed/app:1", "az acr repository update --name myregistry --image closed/app:1 --write-enabled true"),
    ],
    ids=["repository", "tag"],
)
def test_lock_is_found_before_anything_moves(sandbox, refused, attributes, said, options):
    """Also by a dry run."""
    images.image("closed").push(sandbox.content(TARGET), "closed/app", "1")
    before = tag_digest(sandbox.content(TARGET), "closed/app", "1")
    registry = sandbox.world.registries["myregistry"]
    registry.attributes[attributes] = {"writeEnabled": False}
    result = refused(f"--source mcr.microsoft.com/hello-world -t closed/app:1 --force {options}")
    del registry.attributes[attributes]
    assert result.json["error"]["code"] == "target-disallowed"
    assert said in result.stderr
    assert tag_digest(sandbox.content(TARGET), "closed/app", "1") == before


def test_locked_tag_does_not_lock_the_others(sandbox, az):
    """Nor does it keep an unchanged image from being unchanged."""
    words = ("acr", "import", "-n", "myregistry", "--source", "mcr.microsoft.com/hello-world", "-t")
    assert az(*words, "ajar:1").code == 0
    registry = sandbox.world.registries["myregistry"]
    registry.attributes["ajar:1"] = {"writeEnabled": False}
    assert az(*words, "ajar:1").json["status"] == "unchanged"
    assert az(*words, "ajar:2").json["status"] == "copied"
    del registry.attributes["ajar:1"]


def test_deleted_manifest_is_found_before_anything_moves(sandbox, refused):
    """Where soft delete keeps it, its digest cannot be pushed."""
    registry = sandbox.world.registries["myregistry"]
    digest = tag_digest(sandbox.content("mcr.microsoft.com"), "hello-world", "latest")
    registry.soft_delete, registry.deleted = True, {f"gone@{digest}"}
    result = refused("--source mcr.microsoft.com/hello-world -t gone:1")
    registry.soft_delete, registry.deleted = False, set()
    assert result.json["error"]["code"] == "target-disallowed"
    assert "az acr manifest restore" in result.stderr


def test_quarantine_is_said(sandbox, az):
    """It does not stop the import; it keeps others from seeing it."""
    sandbox.world.registries["myregistry"].quarantine = True
    result = az("acr", "import", "-n", "myregistry", "--source", "mcr.microsoft.com/hello-world", "-t", "waits:1")
    sandbox.world.registries["myregistry"].quarantine = False
    assert result.code == 0
    assert "quarantine" in result.stderr


def test_host_that_only_looks_like_a_registry_gets_no_token(sandbox, az):
    """An imitation that asks for the exchange at itself, and one that sends us to the real one."""
    from tests.sandbox.server import Response

    for realm in ("https://registry.contoso.com/oauth2/token", "https://myregistry.azurecr.io/oauth2/token"):
        challenge = {"WWW-Authenticate": f'Bearer realm="{realm}",service="myregistry.azurecr.io"'}
        planned = sandbox.faults.add(
            host="registry.contoso.com", path="/v2/.*", times=9, answer=Response(401, challenge)
        )
        mark = sandbox.log.mark()
        result = az("acr", "import", "-n", "127.0.0.1:1", "--source", "registry.contoso.com/team/app:1.0")
        assert result.code == 1
        assert planned.seen
        assert not sandbox.log.find(since=mark, path="/oauth2/exchange")
        sandbox.faults.clear()
