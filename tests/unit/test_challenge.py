# SPDX-License-Identifier: MIT
"""WWW-Authenticate as registries send it, and as they should not."""

from __future__ import annotations

import pytest

from azext_acrimport.engine.auth.challenge import Challenge
from azext_acrimport.engine.auth.scope import Scope

HUB = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull"'
ACR = 'Bearer realm="https://myregistry.azurecr.io/oauth2/token",service="myregistry.azurecr.io"'


@pytest.mark.parametrize(
    ("header", "schemes", "parameters"),
    [
        (HUB, ["bearer"], {"realm": "https://auth.docker.io/token", "scope": "repository:library/nginx:pull"}),
        (ACR, ["bearer"], {"service": "myregistry.azurecr.io"}),
        ('Basic realm="GitHub Package Registry"', ["basic"], {"realm": "GitHub Package Registry"}),
        ('BASIC REALM="x"', ["basic"], {"realm": "x"}),
        ('Bearer realm="a", scope="repository:x:pull,push"', ["bearer"], {"scope": "repository:x:pull,push"}),
        (r'Bearer realm="a \"quoted\" b"', ["bearer"], {"realm": 'a "quoted" b'}),
        ("Bearer realm=bare,service=also-bare", ["bearer"], {"realm": "bare", "service": "also-bare"}),
        ('Basic realm="x", Bearer realm="y"', ["basic", "bearer"], {"realm": "x"}),
        ('Negotiate, Basic realm="x"', ["negotiate", "basic"], {}),
        ("Negotiate YII=, Bearer realm=y", ["negotiate", "bearer"], {}),
        ('Bearer realm = "x" , error = "insufficient_scope"', ["bearer"], {"error": "insufficient_scope"}),
        ("", [], {}),
        ("=,=,=", [], {}),
        ('Bearer realm="never closed', ["bearer"], {}),
    ],
)
def test_challenges_are_read(header, schemes, parameters):
    """Names in lower case, values as they are; what is malformed is left out, never raised."""
    found = Challenge.parse_all(header)
    assert [challenge.scheme for challenge in found][: len(schemes)] == schemes
    assert not found or parameters.items() <= found[0].parameters.items()


def test_long_header_ends_in_time():
    """A megabyte of commas, quotes or words is cut."""
    for filler in (",", '"', "a ", 'a="', 'Bearer a="b",'):
        Challenge.parse_all(filler * 500_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("repository:a/b:pull", [Scope("a/b", ("pull",))]),
        ("repository:a:push,pull registry:catalog:*", [Scope("a", ("pull", "push"))]),
        ("repository:host:5000/a:pull", [Scope("host:5000/a", ("pull",))]),
        ("nonsense repository: repository:a:", []),
    ],
)
def test_scopes_are_read(text, expected):
    """Only those of repositories; actions sorted."""
    assert list(Scope.parse_all(text)) == expected


def test_scopes_are_merged_by_repository():
    """One scope a repository, the first mentioned first."""
    merged = Scope.merged([Scope.pull("b"), Scope.pull("a"), Scope.push("b")])
    assert [str(scope) for scope in merged] == ["repository:b:pull,push", "repository:a:pull"]
