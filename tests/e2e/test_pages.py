# SPDX-License-Identifier: MIT
"""The README and the pages of docs: every command line runs, every link leads somewhere, every key is there.

A block that is marked sh is a script, and so are the scripts in YAML files of pipelines; files that a page shows (a
first line ``# NAME``) are written beside them. The world is the sandbox.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from azext_acrimport.batch.report import STATES
from azext_acrimport.engine import ItemResult
from azext_acrimport.output.result import to_result
from docs import speed
from tests.conftest import ROOT
from tests.sandbox import entra, images
from tests.sandbox.sandbox import Sandbox
from tests.sandbox.server import Listener
from tests.sandbox.world import FOREIGN_TENANT, FOREIGNER, OWNER, AzureRegistry
from tests.support import forked_az
from tests.support.az import program
from tests.support.layouts import docker_files, layout_files, write_folder, write_tar

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What is not run, and why. The first words of a command line.
NOT_RUN = {
    "scripts/demo": "below",
    "scripts/test": "runs this",
    "scripts/wheel": "tests/e2e/test_release.py",
    "scripts/index-entry": "tests/e2e/test_release.py",
    ".venv/bin/python": "records from the real Azure",
    "docker": "no Docker in tests",
    "helm": "no Helm in tests",
    "skopeo": "what it would have written is here",
    "az login": "somebody has signed in",
    "az extension": "tests/e2e/test_release.py",
    "az group": "the sandbox has no resource groups",
    "az role": "the sandbox has no role assignments",
    "az acr create": "the sandbox makes no registries",
    "az account get-access-token": "needs a person who is known in two tenants",
}

# who and what the pages name; the rest is in the sandbox's own seed
REPOSITORIES = {
    "docker.io": {
        "library/alpine": ["3.18.9", "3.19", "3.20", "3.20.1-rc1", "3.21"],
        "library/redis": ["7.2", "7.4"],
        "grafana/grafana": ["11.0.0"],
        "contoso/app": ["1.0"],
    },
    "mcr.microsoft.com": {"dotnet/runtime": ["9.0"]},
    "ghcr.io": {"contoso/app": ["1.0"], "contoso/charts/app": ["1.2.3"]},
    "registry.corp:5000": {"team/tool": ["2.0"]},
    "plain": {"team/app": ["1.0"]},
    "closedregistry.azurecr.io": {"app/web": ["v1"]},
    "oldregistry.azurecr.io": {"team/one": ["1"], "team/two": ["1", "2"]},
}
FILES = {
    "token.txt": "hub-secret",
    "password.txt": "robot-secret\n",
    "secret.txt": OWNER.secret,
    "puller.txt": "puller-secret",
}
SHOWN_DIGEST = "sha256:" + "0123456789abcdef" * 4


def blocks(page: Path, *languages: str) -> list[str]:
    """The texts of a page that are marked with one of these."""
    return [text for language, text in BLOCK.findall(page.read_text("utf-8")) if language in languages]


def shown_files(page: Path) -> dict[str, str]:
    """By the name on the first line."""
    texts = (text.partition("\n") for text in blocks(page, "yaml", "text"))
    return {head[2:]: text for head, _, text in texts if re.fullmatch(r"# [\w./-]+\.\w+", head)}


def scripts(page: Path) -> str:
    """All that a reader would type, and what a pipeline's steps would run."""
    found = blocks(page, "sh", "bash", "console")
    for text in shown_files(page).values():
        if re.search(r"^\s+steps:|^steps:", text, re.MULTILINE):
            found += steps(yaml.safe_load(text))
    return "\n".join(found)


def steps(node: object) -> list[str]:
    """The scripts of a pipeline, wherever in it they are, with what the pipeline puts in."""
    if isinstance(node, list):
        return [script for part in node for script in steps(part)]
    if not isinstance(node, dict):
        return []
    here = [node[key] for key in ("inlineScript", "run") if isinstance(node.get(key), str)]
    filled = [re.sub(r"\$\(System\.\w+\)|\$\{\{ matrix\.part \}\}", "1", script) for script in here]
    return [*filled, *(script for part in node.values() for script in steps(part))]


def shape(text: str) -> str:
    """What az said, or is said to say, without digests, numbers and widths."""
    text = re.sub(r"sha256:[0-9a-f]+", "DIGEST", text)
    return re.sub(r" {2,}", "  ", re.sub(r"-{2,}", "--", re.sub(r"\d+(\.\d+)?", "NUMBER", text)))


def skipped(line: str) -> bool:
    """Whether it begins with what is not run."""
    return any(line.strip().startswith((f"{words} ", f"{words}\n")) or line.strip() == words for words in NOT_RUN)


def test_what_is_not_run_is_on_a_page():
    """The list does not outlive its reasons."""
    lines = [line for page in PAGES for line in scripts(page).replace("\\\n", " ").splitlines()]
    for words in NOT_RUN:
        assert any(words in line for line in lines), words


@pytest.fixture
def world(tmp_path):
    """All that the pages name."""
    sandbox = Sandbox(tmp_path / "sandbox", elsewhere=("ghcr.io", "registry.corp:5000"))
    sandbox.world.registries |= {name: AzureRegistry(name) for name in ("oldregistry", "newregistry")}
    sandbox.world.service_pause = 0.1
    with sandbox:
        sandbox.seed()
        sandbox.hub.USER, sandbox.hub.SECRET = "contoso", "hub-secret"
        sandbox.hub.limit = 10_000
        platforms = ("linux/amd64", "linux/arm64")
        for host, repositories in REPOSITORIES.items():
            for repository, tags in repositories.items():
                for tag in tags:
                    parts = [(p, images.image(f"{repository}:{tag} {p}", platform=p)) for p in platforms]
                    images.index(parts).push(sandbox.content(host), repository, tag)
        other = Listener(sandbox.content("plain"))
        yield sandbox, {"localhost:5000": sandbox.plain.address, "localhost:5001": other.address}
        other.stop()


@pytest.fixture
def shell(world, extensions, tmp_path):
    """A function that runs a script where the pages' files lie, and an ``az`` that is signed in."""
    sandbox, places = world
    place = tmp_path / "here"
    place.mkdir()
    for name, text in FILES.items():
        (place / name).write_text(text)
    (place / "access.txt").write_text(entra.access_token(FOREIGNER, "https://containerregistry.azure.net"))
    image = images.image("from a file")
    write_tar(place / "app.tar", docker_files(image, "app:v1"))
    write_tar(place / "images.tar", layout_files((image, "v1")))
    write_folder(place / "layout-folder", layout_files((image, "v1")))
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "az").write_text(f'#!/bin/sh\nexec {shlex.join(forked_az.command() or [program()])} "$@"\n')
    (bin / "az").chmod(0o755)
    config = tmp_path / "azure"
    config.mkdir()
    sandbox.sign_in(config)
    environment = {
        **sandbox.environment(),
        "PATH": f"{bin}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "AZURE_CONFIG_DIR": str(config),
        "AZURE_EXTENSION_DIR": str(extensions),
        "APPLICATION": OWNER.id,
        "TENANT": FOREIGN_TENANT,
        "TRIAL": "myregistry",
        "ROBOT_PASSWORD": "robot-secret",
        "GHCR_TOKEN": "anything",
        "SOURCE": "docker.io/library/hello-world:latest",
    }

    def run(script: str) -> subprocess.CompletedProcess[str]:
        for shown, real in places.items():
            script = script.replace(shown, real)
        return subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", script],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            timeout=380,
        )

    yield place, run


@pytest.mark.timeout(400)  # thirty calls of az, beside everything else
@pytest.mark.parametrize("page", [page for page in PAGES if scripts(page)], ids=lambda page: page.stem)
def test_command_lines_of_a_page(page, shell):
    """All of them, one after the other; each has to succeed."""
    place, run = shell
    for name, text in (shown_files(ROOT / "docs/batch.md") | shown_files(page)).items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    web = images.index([(p, images.image(f"app-{p}", platform=p)) for p in ("linux/amd64", "linux/arm64/v8")])
    lines = scripts(page).replace("\\\n", " ").replace(SHOWN_DIGEST, web.digest).splitlines()
    script = "\n".join(line for line in lines if not skipped(line))
    done = run(script)
    assert done.returncode == 0, f"{done.stderr[-3000:]}"
    said = shape(done.stderr + done.stdout).splitlines()
    for block in blocks(page, "text"):
        lines = [] if block.startswith("# ") else shape(block).splitlines()
        assert all(line in said for line in lines), block


@pytest.mark.timeout(400)
def test_demo():
    """A line for each step with its time, commands that can be pasted, and nothing is left."""
    environment = {**os.environ, "ACRIMPORT_VENV": str(Path(sys.executable).parent.parent)}
    cache = ROOT / ".cache"
    before = set(cache.glob("demo.*"))
    done = subprocess.run([ROOT / "scripts/demo"], env=environment, capture_output=True, text=True, timeout=380)
    assert done.returncode == 0, done.stderr[-3000:]
    numbers = re.findall(r"^(\d)/4 .+ \.\.\. \d+ s$", done.stdout, re.MULTILINE)
    assert numbers == ["1", "2", "3", "4"]
    commands = [line for line in done.stdout.replace("\\\n", " ").splitlines() if line.startswith("az ")]
    assert len(commands) == 6 and all(shlex.split(command) for command in commands)
    assert "[target-tag-conflict]" in done.stderr
    for status in ("copied", "unchanged", "updated", "skipped"):
        assert re.search(rf"\b{status}\b", done.stdout), status
    assert set(cache.glob("demo.*")) == before


LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", [*PAGES, ROOT / "benchmarks/README.md"], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """To files that are there, and to headings in them."""
    for link in LINK.findall(page.read_text("utf-8")):
        if re.match("[a-z]+:", link):
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file() and target.is_relative_to(ROOT), link
        titles = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE) if heading else []
        assert not heading or heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_index_of_pages_names_each():
    """A page that nobody finds is none."""
    linked = set(LINK.findall((ROOT / "docs/README.md").read_text("utf-8")))
    assert {page.name for page in PAGES} - {"README.md"} <= linked


def test_every_picture_is_on_a_page():
    """What nobody shows, nobody keeps up to date."""
    shown = {Path(link).name for page in PAGES for link in LINK.findall(page.read_text("utf-8"))}
    assert {path.name for path in (ROOT / "docs").glob("*.svg")} <= shown


def test_every_key_of_the_batch_file_is_explained():
    """By the schema that the program uses."""
    schema = json.loads((ROOT / "azext_acrimport/batch/schema.json").read_text("utf-8"))
    members = schema["properties"]
    keys = {
        *members,
        *members["defaults"]["properties"],
        *members["imports"]["items"]["properties"],
        *members["registries"]["additionalProperties"]["properties"],
    }
    table = re.findall(r"^\| `(.+?)` \|", (ROOT / "docs/batch.md").read_text("utf-8"), re.MULTILINE)
    assert keys <= {key.rpartition(".")[2] for key in table}


def test_every_member_and_status_of_a_result_is_explained():
    """By what the program makes."""
    item = ItemResult("source", ("target",))
    made = to_result(item, source=None, registry=None, engine="", engine_reason="", operation="URL")
    rows = re.findall(r"^\| (`.+?`) \|", (ROOT / "docs/results.md").read_text("utf-8"), re.MULTILINE)
    assert {*made, "hub", *STATES, "accepted"} == {name for row in rows for name in re.findall("`(.+?)`", row)}


def test_chart_shows_what_was_measured():
    """`python -m docs.speed` makes it of the table."""
    assert speed.PICTURE.read_text("utf-8") == speed.picture()


def test_engine_as_a_library(world, tmp_path):
    """Twenty lines that copy an image, without az."""
    places = world[1]
    (program,) = blocks(ROOT / "docs/engine.md", "python")
    assert len([line for line in program.splitlines() if line.strip()]) <= 20
    (tmp_path / "copy_image.py").write_text(program)
    words = [
        sys.executable,
        "copy_image.py",
        f"{places['localhost:5001']}/team/app:1.0",
        f"{places['localhost:5000']}/a/b:1",
    ]
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("copied sha256:"), done.stderr
