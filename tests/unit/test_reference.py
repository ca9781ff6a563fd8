# SPDX-License-Identifier: MIT
"""How people name images, and how they get it wrong."""

from __future__ import annotations

import re

import pytest

from azext_acrimport.engine import InvalidReference, Reference, is_registry_host, parse_repository_tag

DIGEST = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("docker.io/library/nginx:1", "docker.io/library/nginx:1"),
        ("docker.io/user/app", "docker.io/user/app:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
        ("registry-1.docker.io/user/app:2", "docker.io/user/app:2"),
        ("mcr.microsoft.com/windows/servercore:ltsc2022", "mcr.microsoft.com/windows/servercore:ltsc2022"),
        ("MyRegistry.azurecr.io/app:V1", "myregistry.azurecr.io/app:V1"),
        ("myregistry.azurecr.io:443/app:1", "myregistry.azurecr.io/app:1"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("127.0.0.1:5000/a/b/c:x", "127.0.0.1:5000/a/b/c:x"),
        ("[::1]:5000/app:1", "[::1]:5000/app:1"),
        (f"ghcr.io/a/b@{DIGEST}", f"ghcr.io/a/b@{DIGEST}"),
        (f"ghcr.io/a/b:1.0@{DIGEST}", f"ghcr.io/a/b:1.0@{DIGEST}"),
        (f"ghcr.io/a/b@sha512:{'ab' * 64}", f"ghcr.io/a/b@sha512:{'ab' * 64}"),
        ("registry.io/a__b/c--d.e:x_y-z.1", "registry.io/a__b/c--d.e:x_y-z.1"),
    ],
)
def test_reference_is_read_and_written(text, written):
    """Normalised once; what is written is read back to the same."""
    reference = Reference.parse(text)
    assert str(reference) == written
    assert Reference.parse(written) == reference


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "registry is missing"),
        ("nginx", "docker.io/nginx"),
        ("nginx:latest", "docker.io/nginx:latest"),
        ("library/nginx", "'library' is not a registry host"),
        ("docker.io", "repository is missing"),
        ("docker.io/", "repository is missing"),
        ("https://docker.io/nginx", "scheme"),
        ("docker.io/Nginx", "lower-case"),
        ("docker.io/a//b", "not a repository name"),
        ("docker.io/../etc", "not a repository name"),
        ("docker.io/nginx:", "not a tag"),
        ("docker.io/nginx:-x", "not a tag"),
        (f"docker.io/nginx:{'x' * 129}", "not a tag"),
        ("docker.io/nginx@sha256:12", "64 lower-case"),
        (f"docker.io/nginx@sha256:{'A' * 64}", "64 lower-case"),
        (f"docker.io/nginx@md5:{'a' * 32}", "known algorithm"),
        (f"docker.io/nginx@{DIGEST}@{DIGEST}", "64 lower-case"),
        ("registry.io:99999/app", "not a registry host"),
        ("[::g]:5000/app", "not a registry host"),
        ("user@host.io/app", "not a registry host"),
        ("host.io/" + "a" * 250, "longer than 255"),
        ("docker.io/nginx:1 ", "not a tag"),
    ],
)
def test_reference_is_refused_with_the_reason(text, reason):
    """The reason names what is wrong, in words."""
    with pytest.raises(InvalidReference, match="is not an image reference") as caught:
        Reference.parse(text)
    assert reason in caught.value.message
    assert caught.value.code == "invalid-reference"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("robot:canary@registry.io/team/app:1", "REDACTED@registry.io/team/app:1"),
        ("robot:canary@registry.io", "REDACTED@registry.io"),
        ("robot:canary@localhost:5000/app", "REDACTED@localhost:5000/app"),
        ("robot:can/ary@registry.io/app", "REDACTED@registry.io/app"),
        ("robot:can@ary@registry.io/app", "REDACTED@registry.io/app"),
        ("canary@registry.io/app", "REDACTED@registry.io/app"),
        ("https://robot:canary@registry.io/app", "REDACTED@registry.io/app"),
        (f"robot:canary@registry.io/app@{DIGEST}", f"REDACTED@registry.io/app@{DIGEST}"),
        ("registry.io/robot:canary@other.io/app", "REDACTED@other.io/app"),
    ],
)
def test_password_in_a_reference_is_not_repeated(text, shown):
    """It goes to terminals and logs."""
    for read in (Reference.parse, parse_repository_tag):
        with pytest.raises(InvalidReference, match=re.escape(f"'{shown}' is not an image reference")) as caught:
            read(text)
        assert caught.value.text == caught.value.subject == shown
        assert "canary" not in f"{caught.value!r} {vars(caught.value)}"
        assert "ary" not in caught.value.message


@pytest.mark.parametrize("text", ["registry.io:5000/app@1.0", "registry.io/app:1@sha25:12", "registry.io/@team/app:1"])
def test_mistake_after_an_at_sign_is_shown(text):
    """It is no secret, and whoever made it wants to see it."""
    with pytest.raises(InvalidReference, match=re.escape(f"'{text}' is not")):
        Reference.parse(text)


def test_docker_hub_is_served_by_another_host():
    """People write docker.io; the API is elsewhere."""
    assert Reference.parse("docker.io/nginx").host == "registry-1.docker.io"
    assert Reference.parse("ghcr.io/a/b").host == "ghcr.io"


def test_identifier_prefers_the_digest():
    """With tag and digest, the digest says what is fetched."""
    assert Reference.parse(f"ghcr.io/a/b:1@{DIGEST}").identifier == DIGEST
    assert Reference.parse("ghcr.io/a/b").identifier == "latest"


@pytest.mark.parametrize(
    ("text", "parts"), [("app", ("app", None)), ("team/app:1.0", ("team/app", "1.0")), ("a:b-C", ("a", "b-C"))]
)
def test_target_is_read(text, parts):
    """A target has no host."""
    assert parse_repository_tag(text)[:2] == parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("myregistry", False),
        ("a.b", True),
        ("a:5000", True),
        ("localhost", True),
        ("[::1]:5000", True),
        ("a b.c", False),
    ],
)
def test_registry_host_is_told_from_a_name(text, expected):
    """A dot, a port, or localhost."""
    assert is_registry_host(text) is expected
