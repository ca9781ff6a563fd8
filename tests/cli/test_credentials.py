# SPDX-License-Identifier: MIT
"""Who we are at a registry: which tokens are asked of az, how often, and in which order who is tried."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest
from azure.cli.core import _profile, azclierror
from msal.exceptions import MsalServiceError
from requests.exceptions import ConnectionError as NoConnection
from urllib3.exceptions import LocationParseError

from azext_acrimport._options import SignIn
from azext_acrimport.engine import Credential, CredentialError, EngineError, TimedOut
from azext_acrimport.job.clients import secret_of
from azext_acrimport.registries import credentials
from azext_acrimport.registries.credentials import MARGIN, Identity, provider
from azext_acrimport.registries.deadline import Deadline
from azext_acrimport.registries.directory import Registry

ACR = Registry("a.azurecr.io", is_acr=True, subscription="known")
ARM_TOO = Registry("b.azurecr.io", is_acr=True, subscription="known", arm_tokens=True)
OUTSIDE = Registry("registry.contoso.com")
DOCKER = Credential("docker", username="d", password="d")


class Profile:
    """Of az. ``script``: what each request for a token gives (seconds until its end) or raises."""

    asked: list[tuple[str, str | None]]
    script: list

    def __init__(self, cli_ctx) -> None:
        pass

    def load_cached_subscriptions(self):
        return [{"id": "known"}, {"id": "active"}]

    def get_subscription(self, subscription):
        return {"user": {"name": "me"}}

    def get_raw_token(self, audience, subscription):
        Profile.asked.append((audience, subscription))
        given = Profile.script.pop(0) if Profile.script else 3600.0
        if isinstance(given, Exception):
            raise given
        if callable(given):
            given()
        tenant = "tenant-of-known" if subscription == "known" else "tenant"
        return ("Bearer", f"token-{len(Profile.asked)}", {"expires_on": str(time.time() + given)}), subscription, tenant


@pytest.fixture
def asked(monkeypatch):
    """A function from a script to an identity; the profile's log is at ``Profile.asked``."""
    monkeypatch.setattr(_profile, "Profile", Profile)
    Profile.asked = []

    def made(*script, deadline: float | None = None, audience: str = "") -> Identity:
        Profile.script = list(script)
        endpoints = SimpleNamespace(active_directory_resource_id="https://arm.example/")
        context = SimpleNamespace(
            data={"subscription_id": "active"},
            cloud=SimpleNamespace(endpoints=endpoints),
            config=SimpleNamespace(get=lambda *_, **__: audience),
        )
        return Identity(context, Deadline(deadline))

    return made


def chain(credential: Credential | None) -> list[str]:
    """Modes, from the first to the last."""
    found = []
    while credential is not None:
        found.append(credential.mode)
        credential = credential.otherwise() if credential.otherwise else None
    return found


ME = "the az login identity me of tenant tenant-of-known"


@pytest.mark.parametrize(
    ("registry", "side", "docker", "modes"),
    [
        (ACR, "source", DOCKER, [ME, "docker", "anonymous"]),
        (ACR, "source", None, [ME, "anonymous"]),
        (ARM_TOO, "source", DOCKER, [ME, ME, "docker", "anonymous"]),
        (ACR, "target", DOCKER, [ME]),
        (ARM_TOO, "target", DOCKER, [ME, ME]),
        (OUTSIDE, "source", DOCKER, ["docker", "anonymous"]),
        (OUTSIDE, "source", None, ["anonymous"]),
        (OUTSIDE, "target", DOCKER, ["docker", "anonymous"]),
    ],
)
def test_order(asked, monkeypatch, registry, side, docker, modes):
    """Of the source everything, of a container registry that is the target only the identity."""
    monkeypatch.setattr(credentials, "find_credential", lambda *_: docker)
    assert chain(provider(asked(), registry, "app", side)()) == modes


@pytest.mark.parametrize("registry", [ACR, OUTSIDE])
def test_what_was_given_has_nobody_behind_it(asked, registry):
    """A wrong password is a wrong password."""
    given = provider(asked(), registry, "app", "source", "bob", "secret")()
    assert chain(given) == ["user name and password of bob"]
    assert not Profile.asked


@pytest.mark.parametrize(
    ("docker", "modes"),
    [(DOCKER, ["docker", "anonymous"]), (None, ["anonymous"]), (CredentialError("broken"), ["anonymous"])],
)
def test_who_is_not_signed_in_may_be_somebody_else(asked, monkeypatch, docker, modes):
    """az without a sign-in; and a broken file does not hide what is open to all."""

    def find(*_):
        if isinstance(docker, Exception):
            raise docker
        return docker

    monkeypatch.setattr(credentials, "find_credential", find)
    signed_out = azclierror.AuthenticationError("Please run 'az login'.")
    assert chain(provider(asked(signed_out), ACR, "app", "source")()) == modes


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (azclierror.AuthenticationError("Please run 'az login'."), "arm-sign-in"),
        (NoConnection("('Connection aborted.', 1)"), "arm-unreachable"),
        (ValueError("an aborted page"), "arm-unreachable"),
        (MsalServiceError(error="aborted", error_description="aborted"), "arm-unreachable"),
        (LocationParseError("http://me:aborted@proxy:99999"), "arm-unreachable"),
        (OSError("aborted"), "arm-unreachable"),
        (PermissionError(13, "Permission denied", "msal_token_cache.json"), "arm-sign-in"),
    ],
)
def test_target_without_a_token(asked, failure, code):
    """az's own errors, and those of its libraries, have our codes; theirs may hold a secret, so they are not quoted."""
    with pytest.raises(EngineError) as caught:
        provider(asked(failure), ACR, "app", "target")()
    assert caught.value.code == code
    assert "aborted" not in str(caught.value)


def test_broken_file_is_an_error_where_it_is_asked_first(asked, monkeypatch):
    """Who has written credentials for a registry wants them used."""

    def broken(*_):
        raise CredentialError("broken")

    monkeypatch.setattr(credentials, "find_credential", broken)
    with pytest.raises(CredentialError):
        provider(asked(), OUTSIDE, "app", "source")()


@pytest.mark.parametrize(("left", "times"), [(3600.0, 1), (MARGIN + 60, 1), (MARGIN - 60, 2), (-1.0, 2)])
def test_token_is_asked_for_once_while_it_is_worth_exchanging(asked, left, times):
    """One that ends before the exchange is of no use."""
    identity = asked(left, left)
    for registry in (ACR, Registry("c.azurecr.io", is_acr=True, subscription="known")):
        provider(identity, registry, "app", "target")()
    assert len(Profile.asked) == times


@pytest.mark.parametrize(
    ("registry", "subscription"),
    [(ACR, "known"), (Registry("x.azurecr.io", is_acr=True, subscription="elsewhere"), "active"),
     (Registry("x.azurecr.io", is_acr=True), "active")],
)  # fmt: skip
def test_token_is_of_the_tenant_that_the_registry_is_in(asked, registry, subscription):
    """As far as az knows its subscription."""
    identity = asked()
    provider(identity, registry, "app", "target")()
    assert [asked[1] for asked in Profile.asked] == [subscription]
    assert identity.tenant(registry) == ("tenant-of-known" if subscription == "known" else "tenant")


@pytest.mark.parametrize(
    ("configured", "audience"),
    [("", "https://containerregistry.azure.net"), ("acr", "https://acr.azure.net"), ("https://own.example", None)],
)
def test_audience(asked, configured, audience):
    """As core: a URL, or a short name."""
    provider(asked(audience=configured), ACR, "app", "target")()
    assert Profile.asked[0][0] == (audience or configured)


def test_entra_id_that_does_not_answer_ends_with_the_deadline(asked):
    """az would wait for it as long as it takes."""
    answered = threading.Event()
    identity = asked(lambda: answered.wait(30), deadline=0.2)
    with pytest.raises(TimedOut):
        provider(identity, ACR, "app", "target")()
    with pytest.raises(TimedOut):
        provider(identity, ACR, "app", "target")()
    answered.set()
    assert len(Profile.asked) == 1


def test_password_is_never_nothing(tmp_path, monkeypatch):
    """A file that is empty by now, or a pipe that ends at once, is no reason to go on without signing in."""
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(CredentialError, match="secret is empty"):
        secret_of(SignIn("bob", file=str(tmp_path / "secret")), "r.test")
    (tmp_path / "secret").write_text("word\r\n")
    monkeypatch.setenv("SECRET", "word\n")
    for where in ({"file": str(tmp_path / "secret")}, {"variable": "SECRET"}):
        assert secret_of(SignIn("bob", **where), "r.test") == "word"
