# SPDX-License-Identifier: MIT
"""Each kind of content, through the real az: the same at both sides, and readable for another program."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.sandbox.registry import Registry
from tests.sandbox.server import Listener
from tests.support.content import everything
from tests.support.zoo import ZOO

SOURCE, TARGET = "mcr.microsoft.com", "myregistry.azurecr.io"
# What Debian's docker-registry does not take, the last one because nobody has told it to trust that address.
NOT_DEBIANS = {"sha512", "oci-artifact-manifest", "oras-artifact-manifest", "foreign-layers"}
# skopeo copies what it takes for images; it knows no index in an index, and would fetch foreign layers where they are.
NO_IMAGES = NOT_DEBIANS | {"build-cache", "nested-index"}


@pytest.mark.parametrize("name", ZOO)
def test_content_is_the_same_at_both_sides(any_sandbox, signed_in, tmp_path, name):
    """Every manifest and every blob, byte for byte; skopeo reads it from there without complaint."""
    source, target = any_sandbox.content(SOURCE), any_sandbox.content(TARGET)
    if name in NOT_DEBIANS and not isinstance(source, Registry):
        pytest.skip("Debian's docker-registry does not hold this")
    artifact, repository = ZOO[name], f"zoo/{name}"
    artifact.push(source, repository, "1")
    result = signed_in(any_sandbox)("acr", "import", "-n", "myregistry", "--source", f"{SOURCE}/{repository}:1")
    assert result.code == 0, result.stderr
    assert (result.json["status"], result.json["digest"]) == ("copied", artifact.digest)
    assert everything(target, repository, "1") == everything(source, repository, "1")
    if shutil.which("skopeo"):
        with Listener(target) as listener:
            location = f"docker://{listener.address}/{repository}:1"
            assert skopeo(tmp_path, "inspect", "--raw", "--tls-verify=false", location) == artifact.raw
            if name not in NO_IMAGES:
                folder = f"dir:{tmp_path / 'copy'}"
                skopeo(tmp_path, "copy", "--all", "--preserve-digests", "--src-tls-verify=false", location, folder)


def skopeo(folder: Path, *words: str) -> bytes:
    """Its standard output; fails when it does."""
    program = ["skopeo", "--insecure-policy", "--tmpdir", str(folder), *words]
    done = subprocess.run(program, capture_output=True, timeout=60, env={"HOME": str(folder), "PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
