# SPDX-License-Identifier: MIT
"""What docker login and podman login leave behind, in all its forms, and what is broken about it."""

from __future__ import annotations

import base64
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from azext_acrimport.engine import CredentialError
from azext_acrimport.registries import connections, docker_config

AUTH = base64.b64encode(b"bob:pass:word").decode()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home, without anything in the environment."""
    for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


@pytest.fixture
def configured(home):
    """A function that writes ~/.docker/config.json."""

    def configured(config: object) -> Path:
        path = home / ".docker" / "config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(config if isinstance(config, str) else json.dumps(config))
        return path

    return configured


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """A function that puts docker-credential-NAME on PATH: a Python program that reads the server from stdin."""

    def helper(name: str, body: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / f"docker-credential-{name}"
        program.write_text(f"#!{sys.executable}\nimport sys\nserver = sys.stdin.read()\n{body}\n")
        program.chmod(program.stat().st_mode | stat.S_IEXEC)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    if os.name == "nt":
        pytest.skip("the helper is a script with a first line of POSIX")
    return helper


def facts(registry: str = "ghcr.io", repository: str = "team/app") -> tuple[str, str, str] | None:
    """User name, password and refresh token."""
    found = docker_config.find_credential(registry, repository, "source")
    return (found.username, found.password, found.refresh_token) if found else None


@pytest.mark.parametrize(
    ("config", "registry", "expected"),
    [
        ({"auths": {"ghcr.io": {"auth": AUTH}}}, "ghcr.io", ("bob", "pass:word", "")),
        ({"auths": {"https://ghcr.io": {"auth": AUTH}}}, "ghcr.io", ("bob", "pass:word", "")),
        ({"auths": {"https://ghcr.io/v1/": {"auth": AUTH}}}, "ghcr.io", ("bob", "pass:word", "")),
        ({"auths": {"http://registry.io:5000/v2/": {"auth": AUTH}}}, "registry.io:5000", ("bob", "pass:word", "")),
        ({"auths": {"https://index.docker.io/v1": {"auth": AUTH}}}, "docker.io", ("bob", "pass:word", "")),
        ({"auths": {"ghcr.io": {"username": "bob", "password": "p"}}}, "ghcr.io", ("bob", "p", "")),
        ({"auths": {"ghcr.io": {"identitytoken": "t", "auth": AUTH}}}, "ghcr.io", ("", "", "t")),
        ({"auths": {"https://index.docker.io/v1/": {"auth": AUTH}}}, "docker.io", ("bob", "pass:word", "")),
        ({"auths": {"registry.io:5000": {"auth": AUTH}}}, "registry.io:5000", ("bob", "pass:word", "")),
        ({"auths": {"registry.io:5000": {"auth": AUTH}}}, "registry.io", None),
        ({"auths": {"ghcr.io/team": {"auth": AUTH}}}, "ghcr.io", ("bob", "pass:word", "")),
        (
            {"auths": {"ghcr.io": {"auth": "%"}, "ghcr.io/team/app": {"auth": AUTH}}},
            "ghcr.io",
            ("bob", "pass:word", ""),
        ),
        ({"auths": {"ghcr.io/teams": {"auth": AUTH}}}, "ghcr.io", None),
        ({"auths": {"docker.io/team": {"auth": AUTH}}}, "docker.io", ("bob", "pass:word", "")),
        ({"auths": {"ghcr.io": {}}}, "ghcr.io", None),
        ({"auths": None, "credHelpers": [], "credsStore": 1}, "ghcr.io", None),
        ({}, "ghcr.io", None),
    ],
    ids=range(17),
)
def test_file_is_read(configured, config, registry, expected):
    """By the registry's name, Docker Hub's by its old one; podman's also for a part of a registry."""
    configured(config)
    assert facts(registry) == expected


@pytest.mark.parametrize("config", ["not JSON", "[]", "[" * 100_000, {"auths": {"ghcr.io": {"auth": "%%%"}}}])
def test_broken_file_is_said(configured, config):
    """With its path."""
    path = configured(config)
    with pytest.raises(CredentialError, match=str(path)) as caught:
        facts()
    assert caught.value.code == "source-credential"


def test_environment_names_the_file(configured, home, monkeypatch):
    """DOCKER_CONFIG and REGISTRY_AUTH_FILE come before the default places, and rule them out."""
    configured({"auths": {"ghcr.io": {"auth": AUTH}}})
    other = home / "other"
    other.mkdir()
    (other / "config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(other))
    assert facts() is None
    (other / "auth.json").write_text(json.dumps({"auths": {"ghcr.io": {"username": "pod", "password": "man"}}}))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(other / "auth.json"))
    assert facts() == ("pod", "man", "")
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(other / "missing.json"))
    with pytest.raises(CredentialError, match=r"missing\.json"):
        facts()


def test_podmans_file_is_found(home):
    """Where there is no docker."""
    path = home / ".config" / "containers" / "auth.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"auths": {"ghcr.io": {"auth": AUTH}}}))
    assert facts() == ("bob", "pass:word", "")


def test_helper_is_asked(configured, helper):
    """The one of the registry before the one of all; a token is told by its user name."""
    helper("one", 'print(f\'{{"ServerURL": "{server}", "Username": "bob", "Secret": "for {server}"}}\')')
    helper("all", 'print(\'{"Username": "<token>", "Secret": "identity"}\')')
    configured({"credHelpers": {"ghcr.io": "one"}, "credsStore": "all"})
    assert facts() == ("bob", "for ghcr.io", "")
    assert facts("docker.io") == ("", "", "identity")


def test_helper_that_knows_nothing(configured, helper):
    """Then the file itself may."""
    helper("all", "print('credentials not found in native keychain'); sys.exit(1)")
    configured({"credsStore": "all", "auths": {"ghcr.io": {"auth": AUTH}}})
    assert facts() == ("bob", "pass:word", "")
    assert facts("quay.io") is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit(3)", "exit code 3"),
        ("print('secret stuff'); sys.exit(1)", "exit code 1"),
        ("print('not JSON')", "no credential"),
        ("print('{}')", "no credential"),
        ("import time; time.sleep(60)", "no answer within"),
        ("print(end='', flush=True); import os, time; os.close(1); time.sleep(60)", "no answer within"),
        ("import os, time; os.fork() or time.sleep(60)", "no answer within"),
        ("while True: print('x' * 65536)", "more than 131072 bytes"),
        ("print('[' * 100_000)", "no credential"),
    ],
)
def test_broken_helper_is_said(configured, helper, monkeypatch, body, said):
    """Which one, and how; never what it printed."""
    if said == "no answer within":  # else a machine that is busy would be told so, too
        monkeypatch.setattr(docker_config, "HELPER_TIMEOUT", 0.5)
    helper("all", body)
    configured({"credsStore": "all"})
    with pytest.raises(CredentialError, match="docker-credential-all") as caught:
        facts()
    assert said in str(caught.value)
    assert "secret stuff" not in str(caught.value)


def test_helper_gets_no_secret_of_ours(configured, helper, monkeypatch):
    """What a user gave to this extension is for the source; what the helper may need besides is there."""
    monkeypatch.setenv("ACRIMPORT_SOURCE_PASSWORD", "canary")
    monkeypatch.setenv("AWS_PROFILE", "theirs")
    helper("all", "import json, os; print(json.dumps({'Username': 'u', 'Secret': ' '.join(os.environ.values())}))")
    configured({"credsStore": "all"})
    _, secret, _ = facts()
    assert "canary" not in secret and "theirs" in secret


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a b", "a;b", "$(x)", "a\n", "\u202eevil", "..\\evil"])
def test_name_of_a_helper_is_a_plain_name(configured, name):
    """It is looked for on PATH, and nowhere else."""
    configured({"credsStore": name})
    with pytest.raises(CredentialError, match="not called as a program can be"):
        facts()


def test_missing_helper_is_said(configured):
    """As docker does."""
    configured({"credsStore": "nowhere"})
    with pytest.raises(CredentialError, match="docker-credential-nowhere is not on PATH"):
        facts()


def test_place_that_cannot_be_looked_into_is_not_there(home, configured, monkeypatch):
    """The others are read as ever."""
    configured({"auths": {"ghcr.io": {"auth": AUTH}}})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ("long" * 2000)))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / ("long" * 2000)))
    assert facts() == ("bob", "pass:word", "")
    monkeypatch.setenv("DOCKER_CONFIG", str(home / ("long" * 2000)))
    assert facts() is None


@pytest.mark.skipif(os.name == "nt", reason="users have numbers on POSIX")
def test_nobody_without_a_home(home, monkeypatch):
    """A container may run with any user's number; credentials that the environment names count there, too."""
    import pwd

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(home)
    assert docker_config.config_files() == []
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    (home / "containers").mkdir()
    (home / "containers" / "auth.json").write_text(json.dumps({"auths": {"ghcr.io": {"auth": AUTH}}}))
    assert facts() == ("bob", "pass:word", "")
    assert connections._certificates("ghcr.io", "source") == ([], None)
