# SPDX-License-Identifier: MIT
"""The main road: every documented way to name a source, with the real az, read back at the target."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import subprocess

import pytest

from tests.sandbox import images, profile
from tests.support.az import program
from tests.support.content import tag_digest, tree

TARGET = "myregistry.azurecr.io"
OTHER = (
    "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/elsewhere"
    "/providers/Microsoft.ContainerRegistry/registries/otherregistry"
)
numbers = itertools.count()


@pytest.fixture
def repository() -> str:
    """A repository that no other test writes to."""
    return f"test/number-{next(numbers)}"


@pytest.mark.parametrize(
    ("options", "host", "source_repository", "source_tag"),
    [
        ("--source docker.io/library/hello-world:latest", "docker.io", "library/hello-world", "latest"),
        ("--source docker.io/hello-world", "docker.io", "library/hello-world", "latest"),
        ("--source docker.io/sandboxuser/public:1.0", "docker.io", "sandboxuser/public", "1.0"),
        ("--source mcr.microsoft.com/hello-world:latest", "mcr.microsoft.com", "hello-world", "latest"),
        ("--source mysourceregistry.azurecr.io/app/web:v1", "mysourceregistry.azurecr.io", "app/web", "v1"),
        ("--source app/web:v1 --registry mysourceregistry", "mysourceregistry.azurecr.io", "app/web", "v1"),
        (f"--source app/web:v1 --registry {OTHER}", "otherregistry.azurecr.io", "app/web", "v1"),
        (
            "--source registry.contoso.com:5000/team/app:1.0 --username robot --password robot-secret",
            "registry.contoso.com:5000",
            "team/app",
            "1.0",
        ),
        (
            "--source docker.io/sandboxuser/private:1.0 --username sandboxuser --password hub-secret",
            "docker.io",
            "sandboxuser/private",
            "1.0",
        ),
    ],
)
def test_import_copies_everything_byte_for_byte(
    any_sandbox, signed_in, repository, options, host, source_repository, source_tag
):
    """Every manifest and blob has at the target the digest that it had at the source."""
    az = signed_in(any_sandbox)
    result = az("acr", "import", "--name", "myregistry", *options.split(), "--image", f"{repository}:new")
    assert result.code == 0, result.stderr
    source = tree(any_sandbox.content(host.removesuffix(":5000")), source_repository, source_tag)
    assert tree(any_sandbox.content(TARGET), repository, "new") == source
    assert result.json["digest"] == next(iter(source))
    assert (result.json["status"], result.json["engine"], result.json["error"]) == ("copied", "embedded", None)
    assert result.json["targets"] == [f"{repository}:new"]


def test_import_by_digest_is_tagged_latest_and_says_so(sandbox, az, repository):
    """As core does; and the way to avoid it is named."""
    digest = images.image(repository).push(sandbox.content("mcr.microsoft.com"), repository).digest
    result = az("acr", "import", "--name", "myregistry", "--source", f"mcr.microsoft.com/{repository}@{digest}")
    assert result.json["targets"] == [f"{repository}:latest"]
    assert tag_digest(sandbox.content(TARGET), repository, "latest") == digest
    assert f"--repository {repository}" in result.stderr


def test_import_without_a_tag_makes_none(sandbox, az, repository):
    """--repository is a manifest-only copy."""
    result = az(
        "acr", "import", "-n", "myregistry", "--source", "mcr.microsoft.com/hello-world", "--repository", repository
    )
    assert result.json["targets"] == [repository]
    assert tree(sandbox.content(TARGET), repository, result.json["digest"])
    assert tag_digest(sandbox.content(TARGET), repository, "latest") is None


def test_import_under_several_names_moves_each_blob_once(sandbox, az, repository):
    """Two tags, and a second repository that gets its blobs by mount."""
    image = images.image(repository).push(sandbox.content("mcr.microsoft.com"), repository, "1")
    names = [f"{repository}:1", f"{repository}:stable", f"{repository}-copy:1"]
    mark = sandbox.log.mark()
    result = az(
        "acr", "import", "-n", "myregistry", "--source", f"mcr.microsoft.com/{repository}:1",
        *(word for name in names for word in ("-t", name)),
    )  # fmt: skip
    assert result.json["targets"] == names
    assert result.json["blobs"] == {"copied": 3, "mounted": 3, "existing": 0}
    assert len(sandbox.log.find(since=mark, host=TARGET, method="PUT", path="/v2/.*/blobs/")) == 3
    for name in names:
        assert tag_digest(sandbox.content(TARGET), *name.split(":")) == image.digest


def test_tag_is_written_last(sandbox, az, repository):
    """Nothing is written after the tag, and everything that it names is there before."""
    mark = sandbox.log.mark()
    az("acr", "import", "-n", "myregistry", "--source", "mcr.microsoft.com/hello-world", "-t", f"{repository}:1")
    written = [e for e in sandbox.log.find(since=mark, host=TARGET) if e["method"] in ("PUT", "POST", "PATCH")]
    assert written[-1]["path"] == f"/v2/{repository}/manifests/1"
    assert sum(entry["path"].endswith("/manifests/1") for entry in written) == 1


def test_second_import_asks_three_questions_and_moves_nothing(sandbox, az, repository):
    """One HEAD on each side, and whether the image has gained a signature; no manifest read, no pull counted."""
    words = ("acr", "import", "-n", "myregistry", "--source", "docker.io/library/hello-world", "-t", f"{repository}:1")
    assert az(*words).json["status"] == "copied"
    mark = sandbox.log.mark()
    second = az(*words)
    assert second.json["status"] == "unchanged"
    asked = [(e["method"], e["path"].split("/")[4]) for e in sandbox.log.find(since=mark, path="/v2/.+", status=200)]
    assert sorted(asked) == [("GET", "referrers"), ("HEAD", "manifests"), ("HEAD", "manifests")]
    mark = sandbox.log.mark()
    assert az(*words, "--referrers", "none").json["status"] == "unchanged"
    assert [e["method"] for e in sandbox.log.find(since=mark, path="/v2/.+", status=200)] == ["HEAD", "HEAD"]


def test_conflict_names_both_digests_and_force_moves_the_tag(sandbox, az, repository):
    """An error before any byte moves; with --force the status says that the tag moved."""
    words = ("acr", "import", "-n", "myregistry", "-t", f"{repository}:1", "--source")
    old = az(*words, "mcr.microsoft.com/hello-world").json["digest"]
    mark = sandbox.log.mark()
    refused = az(*words, "mysourceregistry.azurecr.io/app/web:v1")
    new = tag_digest(sandbox.content("mysourceregistry.azurecr.io"), "app/web", "v1")
    assert refused.code == 1
    assert old in refused.stderr and new in refused.stderr and "--force" in refused.stderr
    assert not [e for e in sandbox.log.find(since=mark, host=TARGET, path="/v2/") if e["method"] != "HEAD"]
    assert tag_digest(sandbox.content(TARGET), repository, "1") == old
    assert az(*words, "mysourceregistry.azurecr.io/app/web:v1", "--force").json["status"] == "updated"
    assert tag_digest(sandbox.content(TARGET), repository, "1") == new


def test_promotion_inside_a_registry_moves_no_bytes(sandbox, az, repository):
    """Mounts and manifests only."""
    images.image(repository).push(sandbox.content(TARGET), f"{repository}-dev", "1")
    mark = sandbox.log.mark()
    words = ("--source", f"{TARGET}/{repository}-dev:1", "--image", f"{repository}:1")
    result = az("acr", "import", "--name", "myregistry", *words)
    assert result.json["blobs"] == {"copied": 0, "mounted": 3, "existing": 0}
    assert not sandbox.log.find(since=mark, method="GET", path="/v2/.*/blobs/")


def test_promotion_of_a_gigabyte_moves_no_byte(sandbox, az, repository):
    """Nor does the sandbox hold so many: the blob is a hole in a file."""
    from tests.sandbox.storage import digest_of

    registry = sandbox.content(TARGET)
    size, zeros, hasher = 1 << 30, bytes(1 << 20), hashlib.sha256()
    for _ in range(size // len(zeros)):
        hasher.update(zeros)
    layer = {"mediaType": images.OCI_LAYER, "digest": f"sha256:{hasher.hexdigest()}", "size": size}
    image = images.manifest(b"{}", [], config_type=images.EMPTY, layer_type=images.OCI_LAYER, foreign=layer)
    storage = sandbox.storage(TARGET)
    with storage.blob_path(layer["digest"]).open("wb") as hole:
        hole.truncate(size)
    storage.repository(f"{repository}-dev").blobs.add(layer["digest"])
    image.push(registry, f"{repository}-dev", "1")
    mark = sandbox.log.mark()
    words = ("--source", f"{TARGET}/{repository}-dev:1", "--image", f"{repository}:1")
    result = az("acr", "import", "--name", "myregistry", *words)
    assert result.code == 0, result.stderr
    assert result.json["bytes"] == {"copied": 0, "mounted": size + 2, "existing": 0}
    asked = sandbox.log.find(since=mark, host=TARGET, path="/v2/.*/blobs/.*")
    assert {entry["method"] for entry in asked} == {"POST"}
    assert sum(entry["requestBytes"] for entry in asked) == 0
    assert tag_digest(registry, repository, "1") == digest_of(image.raw)


def test_layer_of_an_earlier_import_is_mounted(sandbox, az, repository):
    """Another az, another image and repository: what they share does not move. A memory that is wrong is no harm."""
    base = images.layer(repository, 1_500_000)
    source, target = sandbox.content("mcr.microsoft.com"), sandbox.content("myregistry.azurecr.io")
    for number in range(4):
        images.image(f"{repository} {number}", (300,), shared=[base]).push(source, repository, str(number))

    def imported(number: int, name: str) -> dict:
        words = ("-n", "myregistry", "--source", f"mcr.microsoft.com/{repository}:{number}", "-t", f"{name}:1")
        result = az("acr", "import", *words, "--engine", "embedded")
        assert result.code == 0, result.stderr
        assert tree(target, name, "1") == tree(source, repository, str(number))
        return result.json

    assert imported(0, repository)["blobs"]["mounted"] == 0
    second = imported(1, f"{repository}-b")
    assert second["blobs"]["mounted"] == 1
    assert second["bytes"]["mounted"] >= 1_500_000 > 10_000 > second["bytes"]["copied"]
    remembered = az.config / "acrimport-blobs.json"
    remembered.write_text(remembered.read_text().replace(f"{repository}-b", "no/longer"))
    assert imported(2, f"{repository}-c")["blobs"]["mounted"] == 0
    assert imported(3, f"{repository}-d")["blobs"]["mounted"] == 1


def test_dry_run_tells_and_changes_nothing(sandbox, az, repository):
    """The numbers of the real run, and no request that writes."""
    words = ("acr", "import", "-n", "myregistry", "--source", "docker.io/library/web:1.0", "-t", f"{repository}:1")
    mark = sandbox.log.mark()
    planned = az(*words, "--dry-run")
    assert not [e for e in sandbox.log.find(since=mark, host=TARGET, path="/v2/") if e["method"] != "HEAD"]
    done = az(*words).json
    assert planned.json["status"] == "planned"
    assert {name: planned.json[name] for name in ("blobs", "bytes", "changes", "digest", "manifests")} == {
        name: done[name] for name in ("blobs", "bytes", "changes", "digest", "manifests")
    }
    assert done["changes"] == [{"target": f"{repository}:1", "action": "create", "before": None}]


def test_table_has_one_row(sandbox, az, repository):
    """For people."""
    words = ("--source", "mcr.microsoft.com/hello-world", "-t", f"{repository}:1")
    lines = az("acr", "import", "-n", "myregistry", *words, "--output", "table").stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["TARGET", "STATUS", "DIGEST", "MOVED", "SECONDS"]
    assert f"{TARGET}/{repository}:1" in lines[2]


def test_two_plain_registries_without_azure(sandbox, extensions, tmp_path):
    """Nobody has signed in, nothing is asked of ARM; loopback is tried with https, then http."""
    from tests.sandbox.registry import Registry
    from tests.sandbox.server import Listener
    from tests.sandbox.storage import Storage
    from tests.support.az import Az

    az = Az(tmp_path, {"AZURE_CORE_COLLECT_TELEMETRY": "false"}, extensions=extensions)
    profile.quiet(az.config)
    content = Registry(Storage(tmp_path / "content"))
    with Listener(content) as target:
        source = f"{sandbox.plain.address}/app/web:v1"
        result = az("acr", "import", "-n", target.address, "--source", source)
    assert result.code == 0, result.stderr
    assert tree(content, "app/web", "v1") == tree(sandbox.content("plain"), "app/web", "v1")


def test_login_server_in_front_of_a_target_is_cut(sandbox, az, repository):
    """As core's own documentation writes targets of other commands; other names with a dot are repositories."""
    source = ("acr", "import", "-n", "myregistry", "--source", "mcr.microsoft.com/hello-world")
    result = az(*source, "-t", f"myregistry.azurecr.io/{repository}:1", "-t", f"docker.io/{repository}:2")
    assert (result.code, result.json["targets"]) == (0, [f"{repository}:1", f"docker.io/{repository}:2"]), result.stderr
    assert "The login server myregistry.azurecr.io in --image is ignored" in result.stderr


def test_platforms_by_commas(sandbox, az, repository):
    """The same as repeated."""
    source = ("acr", "import", "-n", "myregistry", "--source", "docker.io/library/web:1.0", "--force")
    digests = [
        az(*source, "-t", f"{repository}:1", *platforms).json["digest"]
        for platforms in (
            ("--platform", "linux/amd64,linux/arm64"),
            ("--platform", "linux/amd64", "--platform", "linux/arm64"),
        )
    ]
    assert digests[0] == digests[1] is not None


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv"
)
@pytest.mark.parametrize("most", [3, 10])
def test_few_threads_are_allowed(az, repository, most):
    """``ulimit -u``, or the limit of a container: with those that there are, or none."""
    for folder in (az.folder, *az.folder.parents):
        if "pytest-" in str(folder):
            folder.chmod(0o755)
    # nobody else is this user, so there are no other threads to be counted; the files are root's
    limited = ["setpriv", f"--reuid={61000 + most}", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    limited += ["bash", "-c", f'ulimit -u {most}; exec "$0" "$@"', program(), "acr", "import", "-n", "myregistry"]
    done = subprocess.run(
        [*limited, "--source", "mcr.microsoft.com/hello-world", "-t", f"{repository}:1"],
        env={**az.environment, "HOME": str(az.folder)},
        cwd=az.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert json.loads(done.stdout)["status"] == "copied"
