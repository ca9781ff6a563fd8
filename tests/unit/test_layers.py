# SPDX-License-Identifier: MIT
"""The dependency rule: one list, and a module may import only what stands before it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "azext_acrimport"

ENGINE = """
    errors cancellation ahead descriptor reference manifest stream report store platforms redaction retry challenge
    credential error_response network adapter transport bearer auth client acr download ranges upload referrers registry
    location gzipped files layout archive
    pool question places plan attachments walk planning carrier run __init__
""".split()
AZ_SIDE = """
    _arm_errors _advice _errors _output _registries _docker_config _connections _credentials _validators _options
    _job _blob_places _embedded _operation _import_request _service_referrers _service_targets _service
    _service_wait _engines _naming _sides _import _import_wait
    custom _help _params commands __init__
""".split()

# what plans and runs know of the world is Source and Target
BLIND = {"platforms", "question", "plan", "attachments", "walk", "planning", "carrier", "run"}
WIRE = {
    "adapter",
    "transport",
    "bearer",
    "auth",
    "client",
    "acr",
    "download",
    "ranges",
    "upload",
    "referrers",
    "registry",
}
WIRE |= {"gzipped", "files", "layout", "archive"}

# loaded for every `az acr …`: the engine, and what it needs, only when a command runs
LIGHT = {"_help", "_params", "_validators", "_output", "custom", "commands", "__init__"}


def imports(path: Path, *, deferred: bool) -> set[tuple[int, str]]:
    """(level, module) of the imports of a file; those inside functions, and for types only, where deferred."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = ast.walk(tree) if deferred else tree.body
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {(0, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add((node.level, node.module))
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.level, alias.name) for alias in node.names}
    return found


def test_every_engine_module_is_in_the_list():
    """A new module has to find its place."""
    assert {path.stem for path in (PACKAGE / "engine").glob("*.py")} == set(ENGINE)


@pytest.mark.parametrize("module", ENGINE)
def test_engine_module_imports_only_what_stands_before_it(module):
    """The standard library, earlier modules, and requests in two places."""
    for level, name in imports(PACKAGE / "engine" / f"{module}.py", deferred=True):
        top = name.partition(".")[0]
        if level == 1:
            assert top in ENGINE[: ENGINE.index(module)], f"{module} imports {name}"
            assert not (module in BLIND and top in WIRE), f"{module} must not know {name}"
        else:
            assert level == 0, f"{module} imports from outside the engine"
            allowed = top in sys.stdlib_module_names or (top == "requests" and module in ("adapter", "transport"))
            assert allowed, f"{module} imports {name}"


@pytest.mark.parametrize("module", AZ_SIDE)
def test_az_side_module_imports_only_what_stands_before_it(module):
    """And the engine's face, never a module inside it."""
    path = PACKAGE / f"{module}.py"
    own = [name for level, name in imports(path, deferred=True) if level == 1]
    known = {"engine", *AZ_SIDE[: AZ_SIDE.index(module)]}
    assert set(own) <= known, f"{module} imports {set(own) - known}"


@pytest.mark.parametrize("module", sorted(LIGHT))
def test_module_that_is_always_loaded_is_light(module):
    """Neither the engine nor requests nor an SDK at module level."""
    heavy = {"engine", "requests", "azure.mgmt", "msrest", "_errors"}
    names = {name for _, name in imports(PACKAGE / f"{module}.py", deferred=False)}
    assert not {name for name in names if any(name == h or name.startswith(f"{h}.") for h in heavy)}


def test_only_one_module_touches_each_thing_of_az():
    """Errors, the profile, the management SDK: one place each."""
    where = {
        "azure.cli.core.azclierror": {"_advice", "_errors"},
        "azure.cli.core._profile": {"_credentials", "_errors"},
        "azure.cli.core.commands.client_factory": {"_registries"},
    }
    for path in PACKAGE.glob("*.py"):
        for _, name in imports(path, deferred=True):
            assert path.stem in where.get(name, {path.stem}), f"{path.stem} imports {name}"


def test_readme_names_every_module():
    """The tour of the folders is complete."""
    tour = (PACKAGE.parent / "README.md").read_text("utf-8").partition("## How it is made")[2]
    named = set(tour.replace(",", " ").split())
    assert {*ENGINE, *AZ_SIDE} <= named
