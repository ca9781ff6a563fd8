# SPDX-License-Identifier: MIT
"""A sandbox, an az, and the extension installed from a wheel, as a user would have them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox import distribution, profile
from tests.sandbox.world import Principal
from tests.support import forked_az
from tests.support.az import Az, program


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here runs the real az."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.az)


@pytest.fixture(
    scope="session",
    params=[
        "embedded",
        pytest.param("docker-registry", marks=pytest.mark.registry),
    ],
)
def any_sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A seeded sandbox on each kind of registry; for tests of the main road."""
    from tests.sandbox.sandbox import Sandbox

    if request.param == distribution.PROGRAM and not distribution.available():
        pytest.skip("docker-registry is not installed (Debian package docker-registry)")
    with Sandbox(tmp_path_factory.mktemp(request.param), registry=request.param) as sandbox:
        sandbox.seed()
        yield sandbox


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A seeded sandbox on the embedded registry."""
    from tests.sandbox.sandbox import Sandbox

    with Sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        sandbox.seed()
        yield sandbox


@pytest.fixture(scope="session", autouse=True)
def forked(tmp_path_factory: pytest.TempPathFactory, extensions: Path) -> Iterator[None]:
    """Calls of az fork, but where another az is wanted, or where there is no fork. What gets a signal never does."""
    if os.name == "nt" or "ACRIMPORT_AZ" in os.environ:
        yield
        return
    az = Az(tmp_path_factory.mktemp("forked"), {}, extensions=extensions)
    with forked_az.for_all_calls(az.folder, az.environment):
        yield


@pytest.fixture(autouse=True)
def fair_weather(request: pytest.FixtureRequest) -> Iterator[None]:
    """No fault outlives its test, nor what it has pulled at Docker Hub: the next one has the whole of its quota."""
    yield
    if "sandbox" in request.fixturenames:
        sandbox = request.getfixturevalue("sandbox")
        sandbox.faults.clear()
        sandbox.refused_here.clear()
        sandbox.hub.pulls = 0


@pytest.fixture
def signed_in(tmp_path: Path, extensions: Path):
    """A function from a sandbox (and a principal) to an az with the extension, signed in there."""

    def signed_in(sandbox, principal: Principal | None = None) -> Az:
        az = Az(tmp_path, sandbox.environment(), extensions=extensions)
        sandbox.sign_in(az.config, *([principal] if principal else []))
        return az

    return signed_in


@pytest.fixture
def az(sandbox, signed_in) -> Az:
    """az with the extension, signed in to the embedded sandbox as the owner of everything."""
    return signed_in(sandbox)


@pytest.fixture
def core_az(sandbox, tmp_path: Path) -> Az:
    """az without any extension, and nobody signed in."""
    pytest.importorskip("azure.cli.core", reason="azure-cli is not installed for this Python")
    assert Path(program()).exists()
    az = Az(tmp_path, sandbox.environment())
    profile.quiet(az.config)
    return az
