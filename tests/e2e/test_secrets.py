# SPDX-License-Identifier: MIT
"""Secrets stay where they belong: not in output, not at another host, and no longer valid ones are renewed."""

from __future__ import annotations

import base64
import dataclasses
import json
import threading

import pytest

from tests.sandbox import images, tokens
from tests.sandbox.server import Response
from tests.sandbox.world import OWNER, AzureRegistry
from tests.support.content import tree
from tests.support.rights import as_user, shut, without_rights

TARGET = "myregistry.azurecr.io"


def test_debug_output_shows_no_secret(sandbox, az, monkeypatch, tmp_path):
    """Passwords, Entra and registry tokens, and storage signatures: all are caught at the sandbox and looked for."""
    issued: list[str] = []
    original = tokens.issue

    def issue(*arguments, **claims):
        issued.append(original(*arguments, **claims))
        return issued[-1]

    monkeypatch.setattr(tokens, "issue", issue)
    secret = tmp_path / "password"
    secret.write_text("robot-secret\n")
    for source in (
        ("mysourceregistry.azurecr.io/app/web:v1",),
        ("registry.contoso.com/team/app:1.0", "-u", "robot", "-p", f"@{secret}"),
        ("docker.io/library/hello-world:latest",),
    ):
        words = ("--source", *source, "-t", "secrets:1", "--force", "--debug")
        result = az("acr", "import", "-n", "myregistry", *words)
        assert result.code == 0, result.stderr[-2000:]
        shown = result.stdout + result.stderr
        assert "robot-secret" not in shown
        assert "azext_acrimport.engine" in shown  # --debug did show what the engine does
        for token in issued:
            assert token not in shown and token.rpartition(".")[2] not in shown
    assert any(tokens.claims_of(token)["kind"] == "storage" for token in issued)


def test_debug_output_shows_a_password_only_where_az_shows_the_command_line(az):
    """az writes its words down before any extension is loaded; that is why there is @FILE."""
    words = ("--source", "registry.contoso.com/team/app:1.0", "-u", "robot", "-p", "robot-secret", "-t", "argv:1")
    result = az("acr", "import", "-n", "myregistry", *words, "--debug")
    assert result.code == 0
    shown = [line for line in result.stderr.splitlines() if "robot-secret" in line]
    assert all("Command arguments:" in line for line in shown)


def test_no_log_has_what_the_service_is_asked(az, tmp_path):
    """Its body has the source's password: neither --debug nor az's log file shows it, nor the body around it."""
    secret = tmp_path / "password"
    secret.write_text("robot-secret\n")
    az("config", "set", "logging.enable_log_file=true", f"logging.log_dir={tmp_path / 'logs'}")
    words = ("--source", "registry.contoso.com/team/app:1.0", "-u", "robot", "-p", f"@{secret}", "-t", "logged:1")
    for options in ((), ("--debug",)):
        result = az("acr", "import", "-n", "myregistry", *words, "--engine", "service", "--force", *options)
        assert result.code == 0, result.stderr[-2000:]
        assert "robot-secret" not in result.stderr and "sourceImage" not in result.stderr
    logs = [path.read_text() for path in (tmp_path / "logs").rglob("*") if path.is_file()]
    assert any("acr import" in log for log in logs)
    assert not [log for log in logs if "robot-secret" in log or "sourceImage" in log]


@pytest.mark.parametrize("how", ["file", "stdin", "environment"])
def test_password_need_not_be_on_the_command_line(sandbox, az, tmp_path, how):
    """@FILE, @- and the environment."""
    secret = tmp_path / "password"
    secret.write_text("robot-secret\n")
    words, stdin, environment = {
        "file": (["-u", "robot", "-p", f"@{secret}"], "", {}),
        "stdin": (["-u", "robot", "-p", "@-"], "robot-secret\n", {}),
        "environment": (
            [], "", {"ACRIMPORT_SOURCE_USERNAME": "robot", "ACRIMPORT_SOURCE_PASSWORD": "robot-secret"}
        ),
    }[how]  # fmt: skip
    source = ("--source", "registry.contoso.com/team/app:1.0", "-t", f"from-{how}:1")
    result = az("acr", "import", "-n", "myregistry", *source, *words, stdin=stdin, **environment)
    assert result.code == 0, result.stderr


@pytest.mark.parametrize(
    "words",
    [
        "import --source robot:canary@registry.contoso.com/team/app:1.0",
        "import --source robot:canary@registry.contoso.com",
        "import --source robot:canary@registry.contoso.com/team/app:1.0 -r mysourceregistry",
        "import --source team/app:1.0 -r robot:canary@registry.contoso.com",
        "import --source docker.io/library/alpine -t robot:canary@registry.contoso.com/team/app",
        "import-batch --source robot:canary@registry.contoso.com/team/app",
        "import-batch --source robot:canary@registry.contoso.com",
        "import-batch --file list.txt",
        "import-batch --file batch.yaml",
    ],
)
def test_password_in_a_source_is_not_repeated(az, tmp_path, words):
    """As it stands in a URL: it is wrong usage, which goes to stderr and to the log that az keeps of commands."""
    (tmp_path / "list.txt").write_text(
        "robot:canary@registry.contoso.com/team/app\ndocker.io/a/b:1 robot:canary@c.io/d\n"
    )
    (tmp_path / "batch.yaml").write_text(
        "version: 1\nimports:\n  - source: robot:canary@registry.contoso.com/team/app\n"
        "  - {source: docker.io/a/b, target: 'robot:canary@registry.contoso.com/a'}\n"
    )
    result = az("acr", *words.split(), "-n", "myregistry")
    assert result.code == 2, result.stderr
    assert "REDACTED@" in result.stderr
    logs = [path.read_text() for path in (az.config / "commands").glob("*.log")]
    assert "canary" not in result.stderr + "".join(logs)


def test_next_step_for_a_password_in_a_source(az):
    """It can be typed."""
    result = az("acr", "import", "-n", "myregistry", "--source", "robot:canary@registry.contoso.com/team/app:1.0")
    assert "Write --source registry.contoso.com/team/app:1.0, and beside it --username NAME" in result.stderr


def test_authorization_never_follows_a_redirect(sandbox, az):
    """The storage hosts refuse any Authorization, so a success alone proves it; the log says it as well."""
    mark = sandbox.log.mark()
    source = "mysourceregistry.azurecr.io/app/web:v1"
    assert az("acr", "import", "-n", "myregistry", "--source", source, "-t", "redirected:1").code == 0
    followed = sandbox.log.find(since=mark, host="mysourceregistrysandbox.blob.core.windows.net")
    assert followed
    assert {entry["authorization"] for entry in followed} == {"none"}


def test_entra_token_goes_to_azure_registries_only(sandbox, az):
    """A registry that asks for the exchange, but is none of Azure's, gets nothing."""
    mark = sandbox.log.mark()
    challenge = {"WWW-Authenticate": 'Bearer realm="https://registry.contoso.com/oauth2/token",service="x"'}
    sandbox.faults.add(host="registry.contoso.com", path="/v2/.*", times=9, answer=Response(401, challenge))
    result = az("acr", "import", "-n", "myregistry", "--source", "registry.contoso.com/team/app:1.0")
    assert result.code == 1
    assert not sandbox.log.find(since=mark, host="registry.contoso.com", path="/oauth2/exchange")
    assert not sandbox.log.find(since=mark, host="registry.contoso.com", authorization="bearer:entra")


def test_one_import_fetches_no_token_twice(sandbox, az):
    """One Entra token for both registries, one exchange and one access token for each."""
    mark = sandbox.log.mark()
    source = "mysourceregistry.azurecr.io/app/web:v1"
    assert az("acr", "import", "-n", "myregistry", "--source", source, "-t", "counted:1", "--jobs", "8").code == 0
    asked = [
        (e["host"].partition(".")[0], e["path"])
        for e in sandbox.log.find(since=mark, method="POST", path=".*(token|exchange)$")
    ]
    registry_tokens = [entry for entry in asked if entry[0] != "login"]
    assert len(registry_tokens) == len(set(registry_tokens)) == 4
    assert len(asked) - len(registry_tokens) <= 2  # one for ARM, one for registries


def test_token_that_ends_in_the_middle_is_renewed(sandbox, az):
    """A registry whose tokens live for less than the copy takes."""
    short = AzureRegistry("shortlived", token_lifetime=0.4)
    sandbox.add_registry(dataclasses.replace(short, rights={OWNER.id: frozenset({"pull", "push", "delete"})}))
    web = images.web_app(60_000).push(sandbox.content("mcr.microsoft.com"), "short/web", "1")
    mark = sandbox.log.mark()
    slow = {"host": "shortlived.azurecr.io", "method": "PUT", "path": "/v2/.*/blobs/.*", "times": 99}
    sandbox.faults.add(**slow, before=lambda _: threading.Event().wait(0.1))
    words = ("--source", "mcr.microsoft.com/short/web:1", "--jobs", "2")
    result = az("acr", "import", "-n", "shortlived", *words)
    assert result.code == 0, result.stderr
    fetched = sandbox.log.find(since=mark, host="shortlived.azurecr.io", path="/oauth2/token", status=200)
    assert len(fetched) > 1
    assert tree(sandbox.content("shortlived.azurecr.io"), "short/web", "1").keys() >= web.blobs.keys()


def test_docker_login_counts(sandbox, az, tmp_path):
    """What docker login left is used for a registry outside Azure, and --verbose says so."""
    auth = base64.b64encode(b"robot:robot-secret").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"registry.contoso.com": {"auth": auth}}}))
    words = ("--source", "registry.contoso.com/team/app:1.0", "-t", "docker-login:1", "--verbose")
    result = az("acr", "import", "-n", "myregistry", *words, DOCKER_CONFIG=str(tmp_path))
    assert result.code == 0, result.stderr
    assert f"registry.contoso.com (source): signing in with the credential in {tmp_path}" in result.stderr
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "nowhere"}))
    result = az("acr", "import", "-n", "myregistry", *words, DOCKER_CONFIG=str(tmp_path))
    assert result.json["error"]["code"] == "source-credential"
    assert "docker-credential-nowhere is not on PATH" in result.stderr


@without_rights
@pytest.mark.parametrize("folder", [".docker", ".config", "run"])
def test_credentials_in_a_folder_that_is_shut_are_not_there(az, tmp_path, folder):
    """``sudo docker login`` leaves ~/.docker to root; after ``su`` XDG_RUNTIME_DIR is that of somebody else."""
    (tmp_path / folder).mkdir()
    words = ("--source", "registry.contoso.com/team/app:1.0", "-t", f"shut{folder.replace('.', '-')}:1")
    with shut(tmp_path / folder):
        result = as_user(az, "acr", "import", "-n", "myregistry", *words, XDG_RUNTIME_DIR=str(tmp_path / "run"))
    assert "Traceback" not in result.stderr
    assert result.json["error"]["code"] == "source-unauthorized"
