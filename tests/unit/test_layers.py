# SPDX-License-Identifier: MIT
"""The dependency rule: one list, and a module may import only what stands before it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "azext_acrimport"

# every package and module of the engine; within a package a module imports only those that stand before it
ENGINE = {
    "": "foreign errors cancellation waiting __init__",
    "content": "digest document platform descriptor reference manifest stream store",
    "transport": """redaction addresses failures retry options head exchange response refusal tls
        connection pools adapter adapters transport""",
    "auth": "challenge scope credential token cache realm remembered service chain renewal provider foresight",
    "registry": "quota early meeting client pages listing acr download ranges upload manifests referrers repository",
    "files": "location folder gzipped headers tar layout archive",
    "copy": """request measure report places progress limits queues workers driver once readings standing
        blobs platforms tags referrers resolution narrowing tree missing puts bringing writing image run images""",
}
# and only these packages besides
MAY_KNOW = {
    "content": {""},
    "transport": {"", "content"},
    "auth": {"", "transport"},
    "registry": {"", "content", "transport", "auth"},
    "files": {"", "content"},
    "copy": {"", "content"},
}
MODULES = [(package, module) for package, modules in ENGINE.items() for module in modules.split()]

# the az side in the same way: a module knows what stands before it in its package, and the packages before its own
AZ_SIDE = {
    "progress": "amounts pipeline speed drawing screen plan lastword view batch",
    "output": "catalogue service_error problem az_errors wording refusals advice signals errors logs result tables",
    "registries": """deadline hosts typed arm directory docker_config connections credentials naming memory
        blob_places hints""",
    "job": "job embedded sides parallel clients",
    "service": "operation request targets referrers image wait",
    "batch": "versions regexes selection wanted marked schema targets lists foreign document shards report",
    "imports": "choice image wait expansion jobs many batch",
}
# what az looks for, by az's names, and the values that all of them may know
TOP = "_options _validators _batch_validator custom _help _params commands __init__".split()
AZ_MODULES = [(package, module) for package, modules in AZ_SIDE.items() for module in modules.split()]

# loaded for every `az acr …`: the engine, and what it needs, only when a command runs
LIGHT = {*TOP, *(f"output/{name}" for name in ("__init__", "logs", "tables"))}
LIGHT |= {f"progress/{name}" for name in ("__init__", "amounts", "pipeline", "plan")}


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


def test_every_module_of_the_engine_has_its_place():
    """A new one has to find it."""
    found = {path.relative_to(PACKAGE / "engine").with_suffix("") for path in (PACKAGE / "engine").rglob("*.py")}
    packages = {Path(package, "__init__") for package in ENGINE}
    assert found == packages | {Path(package, module) for package, module in MODULES}


@pytest.mark.parametrize(("package", "module"), MODULES, ids=["/".join(entry).strip("/") for entry in MODULES])
def test_engine_module_imports_only_what_stands_before_it(package, module):
    """The standard library; its own package's earlier modules; the packages that its own may know."""
    own = ENGINE[package].split()
    for level, name in imports(PACKAGE / "engine" / package / f"{module}.py", deferred=True):
        top = name.partition(".")[0]
        if level == 1 and package:
            assert top in own[: own.index(module)], f"{module} imports {name}"
        elif level == 1 and module == "__init__":
            assert top in {*ENGINE, *own[:-1]}, f"{module} imports {name}"
        elif level == 1:
            assert top in own[: own.index(module)], f"{module} imports {name}"
        elif level == 2:
            from_package = top if top in ENGINE else ""
            assert from_package in MAY_KNOW[package], f"{package} must not know {name}"
        else:
            assert level == 0, f"{module} imports from outside the engine"
            ours = top in ("requests", "urllib3") and package == "transport"  # requests brings urllib3 along
            assert top in sys.stdlib_module_names or ours, f"{module} imports {name}"


def test_every_module_of_the_az_side_has_its_place():
    """Beside az's own names there are only packages."""
    found = {path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py")}
    packages = {f"{package}/__init__" for package in AZ_SIDE}
    modules = {f"{package}/{module}" for package, module in AZ_MODULES}
    assert {name for name in found if not name.startswith("engine/")} == {*TOP, *packages, *modules}


@pytest.mark.parametrize(("package", "module"), AZ_MODULES, ids=["/".join(entry) for entry in AZ_MODULES])
def test_az_side_module_imports_only_what_stands_before_it(package, module):
    """And the engine's face, never a module inside it."""
    order, own = list(AZ_SIDE), AZ_SIDE[package].split()
    before = {"engine", "_options", *order[: order.index(package)]}
    for level, name in imports(PACKAGE / package / f"{module}.py", deferred=True):
        top, _, inside = name.partition(".")
        if level == 1:
            assert top in own[: own.index(module)], f"{module} imports {name}"
        elif level == 2:
            assert top in before and not (top == "engine" and inside), f"{package} must not know {name}"
        else:
            assert not name.startswith("azext_acrimport"), f"{module} imports {name}"


@pytest.mark.parametrize("module", TOP)
def test_only_the_handlers_know_the_commands(module):
    """What az loads for every command may use all rooms late, and starts an import in ``custom`` alone."""
    names = {name.partition(".")[0] for level, name in imports(PACKAGE / f"{module}.py", deferred=True) if level == 1}
    assert names <= {"engine", *AZ_SIDE, *TOP}
    assert module == "custom" or "imports" not in names


@pytest.mark.parametrize("package", [*(f"engine/{package}" for package in MAY_KNOW), *AZ_SIDE])
def test_package_says_what_is_in_it(package):
    """One paragraph, and nothing that runs."""
    tree = ast.parse((PACKAGE / package / "__init__.py").read_text("utf-8"))
    assert len(ast.get_docstring(tree) or "") > 100
    assert len(tree.body) == 1


@pytest.mark.parametrize("module", sorted(LIGHT))
def test_module_that_is_always_loaded_is_light(module):
    """Neither the engine nor requests nor an SDK at module level."""
    heavy = {"engine", "requests", "azure.mgmt", "msrest", "errors", *AZ_SIDE} - {"output", "progress", "_options"}
    names = {name for _, name in imports(PACKAGE / f"{module}.py", deferred=False)}
    assert not {name for name in names if any(name == h or name.startswith(f"{h}.") for h in heavy)}


def test_only_one_package_touches_each_thing_of_az():
    """Errors, the profile, the management SDK: one room each."""
    where = {
        "azure.cli.core.azclierror": {"output"},
        "azure.cli.core._profile": {"registries"},
        "azure.cli.core.commands.client_factory": {"registries"},
        "azure.mgmt": {"registries", "service"},
        "azure.core": {"registries", "service"},
    }
    for path in PACKAGE.rglob("*.py"):
        for _, name in imports(path, deferred=True):
            for thing, rooms in where.items():
                inside = name == thing or name.startswith(f"{thing}.")
                assert not inside or path.parent.name in rooms, f"{path.name} imports {name}"


def test_tour_names_every_module():
    """The tour of the folders is complete."""
    tour = (PACKAGE.parent / "docs/how-it-works.md").read_text("utf-8").partition("## A tour of the modules")[2]
    named = set(tour.replace(",", " ").replace("`", " ").split())
    modules = {module for _, module in (*MODULES, *AZ_MODULES)}
    assert modules | {*TOP} | {f"{package}/" for package in (*MAY_KNOW, *AZ_SIDE)} <= named
