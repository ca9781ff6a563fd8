# SPDX-License-Identifier: MIT
"""Only some platforms, with the real az: the index at the target is a smaller one, and valid."""

from __future__ import annotations

import json

from tests.sandbox import images
from tests.sandbox.server import call
from tests.support.content import tag_digest, tree

TARGET = "myregistry.azurecr.io"
WORDS = ("acr", "import", "-n", "myregistry", "--source", "docker.io/library/hello-world")


def test_platforms_are_kept_with_their_attestations(any_sandbox, signed_in):
    """Everything that the smaller index names is there; a second run changes nothing."""
    az = signed_in(any_sandbox)
    words = (*WORDS, "-t", "platforms/two:1", "--platform", "linux/arm64", "--platform", "linux/arm/v7")
    first = az(*words)
    assert first.code == 0, first.stderr
    found = call(any_sandbox.content(TARGET), "GET", "/v2/platforms/two/manifests/1", headers=images.ACCEPT).body
    entries = json.loads(found)["manifests"]
    assert [entry["platform"]["architecture"] for entry in entries] == ["arm", "unknown", "arm64", "unknown"]
    assert (
        len(tree(any_sandbox.content(TARGET), "platforms/two", "1"))
        == first.json["manifests"] + first.json["blobs"]["copied"]
    )
    assert first.json["digest"] == tag_digest(any_sandbox.content(TARGET), "platforms/two", "1")
    assert first.json["sourceDigest"] == tag_digest(any_sandbox.content("docker.io"), "library/hello-world", "latest")
    assert first.json["digest"] in first.stderr and first.json["sourceDigest"] in first.stderr
    assert az(*words).json["status"] == "unchanged"


def test_platform_that_is_not_there_is_an_error_that_lists_what_is(sandbox, az):
    """Before anything is written."""
    mark = sandbox.log.mark()
    result = az(*WORDS, "-t", "platforms/none:1", "--platform", "windows/amd64")
    assert (result.code, result.json["error"]["code"]) == (1, "source-no-matching-platform")
    assert "linux/arm/v7" in result.stderr and "--platform" in result.stderr
    assert not [e for e in sandbox.log.find(since=mark, host=TARGET, path="/v2/") if e["method"] != "HEAD"]


def test_text_that_is_no_platform_is_wrong_usage(az):
    """Nothing is asked of anybody."""
    result = az(*WORDS, "--platform", "arm64")
    assert (result.code, result.stdout) == (2, "")
    assert "linux/arm/v7" in result.stderr
