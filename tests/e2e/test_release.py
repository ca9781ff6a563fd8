# SPDX-License-Identifier: MIT
"""The wheel, as it would be published: what is in it, and its life with az, without a terminal or a network."""

from __future__ import annotations

import ast
import functools
import http.server
import io
import json
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, build_wheel
from tests.support.az import Az

# everybody who adds the extension downloads it; a budget, so that it is noticed when that grows
MOST_BYTES = 260_000
VERSION = re.search('^VERSION = "(.+)"$', (ROOT / "setup.py").read_text(), re.MULTILINE)[1]
LATER = "999.0"


def test_same_bytes_whoever_builds_it(wheel, tmp_path):
    """Rights and times of the checkout leave no trace."""
    assert build_wheel(tmp_path, umask=0o077).read_bytes() == wheel.read_bytes()


def test_what_is_in_the_wheel(wheel):
    """The package, its two JSON files, its types and its license; a description that fits on a screen."""
    assert wheel.stat().st_size < MOST_BYTES
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        about = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(about).decode()
    files = {name for name in names if ".dist-info/" not in name}
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "azext_acrimport").rglob("*.py")}
    data = {"azext_metadata.json", "py.typed", "batch/schema.json"}
    assert files == package | {f"azext_acrimport/{name}" for name in data}
    assert f"{Path(about).parent}/licenses/LICENSE" in names
    head, _, description = metadata.partition("\n\n")
    assert re.search("^Home-page: https://", head, re.MULTILINE) and "Typing :: Typed" in head
    assert head.count("Classifier: Programming Language :: Python :: 3.") == 4
    assert "Requires-Dist" not in head
    assert 5 <= len(description.splitlines()) <= 20 and wheel.name in description


def without_words(text: bytes, typed: bool) -> tuple[str, list[tuple[str, int]]]:
    """A module's tree without docstrings, the dots that stand for one, ``__all__``, and the types of its functions.

    And the line of each part that is left. ``typed``: with the types of public functions.
    """
    tree = ast.parse(text)
    tree.body = [node for node in tree.body if "__all__" not in ast.unparse(node).split(" = ")[0]]
    for node in ast.walk(tree):
        first = node.body[0] if isinstance(getattr(node, "body", None), list) and node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            del node.body[0]
        is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if is_function and not (typed and not re.fullmatch("_.*[^_]", node.name)):
            node.returns = None
            for argument in [part for part in ast.walk(node.args) if isinstance(part, ast.arg)]:
                argument.annotation = None
    return ast.dump(tree), [(type(node).__name__, node.lineno) for node in ast.walk(tree) if hasattr(node, "lineno")]


def test_modules_are_those_of_the_repository_without_words(wheel):
    """Each statement is on its line, so that a traceback names lines of the repository."""
    with zipfile.ZipFile(wheel) as archive:
        for name in [name for name in archive.namelist() if name.endswith(".py")]:
            ours, shipped, typed = (ROOT / name).read_bytes(), archive.read(name), "/engine/" in name
            assert without_words(shipped, typed) == without_words(ours, typed), name
            assert typed or not any(getattr(node, "returns", None) for node in ast.walk(ast.parse(shipped))), name
            assert not re.search(rb"^ *#.*$", shipped, re.MULTILINE), name


def test_engine_explains_itself_where_it_is_installed(wheel):
    """Who uses it as a library reads in an editor, or by help(), what each class and function is for."""
    code = """if True:
        import inspect, json, sys
        sys.path.insert(0, sys.argv[1])
        from azext_acrimport import engine
        words = {"": inspect.getdoc(engine)}
        for name in engine.__all__:
            thing = getattr(engine, name)
            if inspect.isfunction(thing) or inspect.isclass(thing) and not issubclass(thing, Exception):
                words[name] = inspect.getdoc(thing)
        print(json.dumps({"from": engine.__file__, "words": words}))
    """
    ours, shipped = (
        json.loads(subprocess.run([sys.executable, "-c", code, place], check=True, capture_output=True).stdout)
        for place in (ROOT, wheel)
    )
    assert shipped["from"].startswith(str(wheel)) and len(shipped["words"]) > 30
    assert shipped["words"] == ours["words"]


def test_words_of_the_readme_name_this_wheel(wheel):
    """What scripts/wheel makes is what az is told to add."""
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "\nscripts/wheel" in readme and f"az extension add --source dist/{wheel.name} --yes\n" in readme


def test_pip_builds_the_same_files(wheel, tmp_path):
    """Who has no bash says so, as the README does. pip would fetch the setuptools that the script pins; here it is."""
    words = "python -m pip wheel . --no-deps --wheel-dir dist"
    assert f"`{words}`" in (ROOT / "README.md").read_text("utf-8")
    pinned = re.search("^setuptools==.+$", (ROOT / "requirements-wheel.txt").read_text(), re.MULTILINE)
    assert pinned and f'requires = ["{pinned[0]}"]' in (ROOT / "pyproject.toml").read_text()
    shutil.copytree(ROOT / "azext_acrimport", tmp_path / "azext_acrimport")
    for name in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    command = [sys.executable, *words.split()[1:], "--no-build-isolation", "--no-index"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    with zipfile.ZipFile(wheel) as ours, zipfile.ZipFile(next((tmp_path / "dist").glob("*.whl"))) as pips:
        assert {i.filename: i.CRC for i in ours.infolist()} == {i.filename: i.CRC for i in pips.infolist()}


@pytest.fixture
def index(wheel, tmp_path):
    """A folder that is served on loopback, and a function that writes the index of it; its az finds only that."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"

    def publish(content: bytes, version: str) -> dict:
        file = folder / wheel.name.replace(VERSION, version)
        file.write_bytes(content)
        made = subprocess.run(
            [sys.executable, ROOT / "scripts/index-entry", file, f"{address}/{file.name}"],
            check=True,
            capture_output=True,
        )
        (folder / "index.json").write_bytes(made.stdout)
        return json.loads(made.stdout)["extensions"]["acrimport"][0]

    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1", "PIP_NO_INDEX": "1"}
    az = Az(tmp_path, {**nowhere, "AZURE_EXTENSION_INDEX_URL": f"{address}/index.json"})
    yield az, publish, folder
    server.shutdown()
    thread.join()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def later_version(wheel: Path) -> bytes:
    """The same wheel under a later number."""
    made = io.BytesIO()
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            of_it = ".dist-info/" in name
            new.writestr(
                name.replace(VERSION, LATER), text.replace(VERSION.encode(), LATER.encode()) if of_it else text
            )
    return made.getvalue()


def test_added_updated_and_removed_by_name(index, wheel):
    """As from Azure's own index: the digest is compared, what is newer is found, and core has its command back."""
    az, publish, folder = index
    publish(wheel.read_bytes(), VERSION)
    (folder / wheel.name).write_bytes(wheel.read_bytes() + b"\0")
    damaged = az("extension", "add", "--name", "acrimport", "--yes")
    assert damaged.code != 0 and "checksum" in damaged.stderr

    entry = publish(wheel.read_bytes(), VERSION)
    assert (entry["filename"], entry["metadata"]["azext.minCliCoreVersion"]) == (wheel.name, "2.70.0")
    added = az("extension", "add", "--name", "acrimport", "--yes")
    assert added.code == 0, added.stderr
    publish(later_version(wheel), LATER)
    updated = az("extension", "update", "--name", "acrimport")
    assert updated.code == 0, updated.stderr
    listed = az("extension", "list").json
    assert [(one["name"], one["version"]) for one in listed] == [("acrimport", LATER)]
    assert "--referrers" in az("acr", "import", "--help").stdout
    removed = az("extension", "remove", "--name", "acrimport")
    assert removed.code == 0, removed.stderr
    again = az("acr", "import", "--help")
    assert again.code == 0 and "--referrers" not in again.stdout


def test_later_wheel_takes_the_place_of_the_first(wheel, tmp_path):
    """With the word that the README names; az keeps what it has without it, and says that all is well."""
    assert "`--upgrade`" in (ROOT / "README.md").read_text("utf-8")
    az = Az(tmp_path / "home", {"AZURE_CORE_COLLECT_TELEMETRY": "false"})
    later = tmp_path / wheel.name.replace(VERSION, LATER)
    later.write_bytes(later_version(wheel))
    for path, words in ((wheel, ()), (later, ()), (later, ("--upgrade",))):
        added = az("extension", "add", "--source", str(path), "--yes", *words)
        assert added.code == 0, added.stderr
        (listed,) = az("extension", "list").json
        assert listed["version"] == (LATER if words else VERSION)


@pytest.mark.parametrize("workflow", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.name)
def test_workflows_call_what_is_there(workflow):
    """Scripts and other workflows; and nothing may write but the job that makes the release."""
    text = workflow.read_text("utf-8")
    found = yaml.safe_load(text)
    assert found["permissions"] == {"contents": "read"}
    for path in re.findall(r"(?<![\w/])(?:\.\./|\./)?((?:scripts|\.github)/[\w./-]+)", text):
        assert (ROOT / path).is_file(), path
