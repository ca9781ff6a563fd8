# SPDX-License-Identifier: MIT
"""No test sees the user's proxies, authorities or registry credentials; and the extension, as it would be published."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.az import Az
from tests.support.leftovers import Leftovers
from tests.support.once import once

# The same examples each time: a change is judged by what it changed. New ones: pytest --hypothesis-profile=search. Few,
# a tenth, are for another Python. A test that wants more or less than a hundred says how many times.
PATIENT = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
STEADY = hypothesis.settings(PATIENT, derandomize=True, database=None)
hypothesis.settings.register_profile("steady", STEADY)
hypothesis.settings.register_profile("few", STEADY, max_examples=10)
hypothesis.settings.register_profile("search", PATIENT, print_blob=True)
hypothesis.settings.load_profile("steady")

ROOT = Path(__file__).parent.parent

OUTSIDE = ("PROXY", "CA_BUNDLE", "SSL_CERT", "AZURE_", "ACRIMPORT_SOURCE", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine has set for itself is not part of a test."""
    for name in os.environ:
        if any(part in name.upper() for part in OUTSIDE):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def leftovers(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """No thread, socket, temporary file or upload session of ours is left after any test."""
    watch = Leftovers(monkeypatch, tmp_path_factory.mktemp("temporary"))
    yield
    watch.check(sessions=request.node.get_closest_marker("leaves_uploads") is None)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that would be published; the same for all workers."""
    return once(tmp_path_factory.getbasetemp(), "wheel", lambda: build_wheel(tmp_path_factory.mktemp("wheel")))


def build_wheel(folder: Path, umask: int = 0o022) -> Path:
    """As scripts/wheel builds it, in the environment of the tests, which has all that it needs."""
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run([ROOT / "scripts/wheel", folder], check=True, capture_output=True, env=environment, umask=umask)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def extensions(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An extension folder in which ``az extension add`` has been, without a network; the same for all workers."""
    pytest.importorskip("azure.cli.core", reason="azure-cli is not installed for this Python")
    return once(tmp_path_factory.getbasetemp(), "extensions", lambda: add_extension(wheel, tmp_path_factory))


def add_extension(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which it is."""
    folder = tmp_path_factory.mktemp("extensions")
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "PIP_NO_INDEX": "1"}
    az = Az(tmp_path_factory.mktemp("add"), nowhere, extensions=folder)
    added = az("extension", "add", "--source", str(wheel), "--yes")
    assert added.code == 0, added.stderr
    return folder
