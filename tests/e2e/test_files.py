# SPDX-License-Identifier: MIT
"""Air gap: images that come as files, with the real az."""

from __future__ import annotations

import os
import subprocess
from shutil import which

import pytest

from tests.sandbox import images
from tests.support.az import program
from tests.support.content import tag_digest, tree
from tests.support.layouts import docker_files, layout_files, write_folder, write_tar
from tests.support.rights import as_user, run_line, shut, without_rights

TARGET = "myregistry.azurecr.io"
INDEX = images.index([(p, images.image(f"files-{p}")) for p in ("linux/amd64", "linux/arm64/v8")])
IMAGE = images.image("files", (40_000,))


def test_oci_layout_and_archive(any_sandbox, signed_in, tmp_path):
    """By folder, by archive, by gzipped archive; the digest is kept, and the second finds it there."""
    az, files = signed_in(any_sandbox), layout_files((INDEX, "v1"))
    write_folder(tmp_path / "layout", files)
    write_tar(tmp_path / "app.tar", files)
    write_tar(tmp_path / "app.tar.gz", files, zipped=True)
    statuses = []
    for source in (
        f"oci:{tmp_path}/layout:v1",
        f"oci-archive:{tmp_path}/app.tar",
        f"oci-archive:{tmp_path}/app.tar.gz:v1",
    ):
        result = az("acr", "import", "-n", "myregistry", "--source", source, "--image", "files/oci:1")
        assert result.code == 0, result.stderr
        assert (result.json["source"], result.json["digest"]) == (source, INDEX.digest)
        assert result.json["engineReason"] == "the source is on this machine"
        statuses.append(result.json["status"])
    assert statuses == ["copied", "unchanged", "unchanged"]
    assert set(tree(any_sandbox.content(TARGET), "files/oci", "1")) >= set(INDEX.blobs)


def test_docker_archive_keeps_its_name(sandbox, az, tmp_path):
    """Where --source names an image in it; and --image goes before that."""
    path = write_tar(tmp_path / "saved.tar", docker_files(IMAGE, "registry.corp/files/app:2.0", new=True))
    result = az("acr", "import", "-n", "myregistry", "--source", f"docker-archive:{path}:registry.corp/files/app:2.0")
    assert result.code == 0, result.stderr
    assert result.json["targets"] == ["files/app:2.0"]
    assert tag_digest(sandbox.content(TARGET), "files/app", "2.0") == result.json["digest"]
    again = az("acr", "import", "-n", "myregistry", "--source", f"docker-archive:{path}", "-t", "files/app:2.0")
    assert again.json["status"] == "unchanged"


@pytest.mark.parametrize(
    ("source", "options", "code", "said"),
    [
        ("oci:{}/nowhere", "-t app:1", 3, "there is no such folder. [source-layout]\nCheck the path."),
        (
            "oci-archive:nowhere.tar",
            "-t app:1",
            3,
            "there is no such file. [source-layout]\nCheck the path; it begins in /",
        ),
        ("oci-archive:{}/two.tar", "-t app:1", 1, "it has one, two"),
        ("oci-archive:{}/two.tar:three", "-t app:1", 3, "it has one, two"),
        ("oci-archive:{}/text", "-t app:1", 1, "not a tar archive"),
        ("docker-archive:{}/two.tar", "-t app:1", 1, "manifest.json is missing"),
        ("oci:{}", "-t app:1", 1, "oci-layout is missing"),
        ("oci:{}", "", 2, "--image"),
        ("oci:{}", "-t app:1 -u me -p secret", 2, "--username"),
    ],
)
def test_files_that_cannot_be_imported(az, tmp_path, source, options, code, said):
    """One error that says what is there."""
    write_tar(tmp_path / "two.tar", layout_files((IMAGE, "one"), (INDEX, "two")))
    (tmp_path / "text").write_text("no archive" * 1000)
    result = az("acr", "import", "-n", "myregistry", "--source", source.format(tmp_path), *options.split())
    assert result.code == code, result.stderr
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@without_rights
def test_layout_in_a_folder_that_is_shut(az, tmp_path):
    """Somebody else's: what is wrong is the permission, not the path."""
    write_folder(tmp_path / "outer" / "layout", layout_files((IMAGE, "one")))
    with shut(tmp_path / "outer"):
        result = as_user(az, "acr", "import", "-n", "myregistry", "--source", "oci:outer/layout", "-t", "app:1")
    assert "Traceback" not in result.stderr
    assert (result.code, result.json["error"]["code"]) == (1, "source-layout")
    assert "cannot be read (Permission denied). [source-layout]\nHave it made readable" in result.stderr


@without_rights
@pytest.mark.parametrize(
    ("closed", "named"), [(".", "oci-layout"), ("blobs", "blobs/sha256/"), ("index.json", "index.json")]
)
def test_layout_that_is_shut_is_not_called_incomplete(az, tmp_path, closed, named):
    """All of it is there."""
    folder = write_folder(tmp_path / "layout", layout_files((IMAGE, "one")))
    with shut(folder / closed):
        result = as_user(az, "acr", "import", "-n", "myregistry", "--source", "oci:layout", "-t", "app:1")
    assert result.code == 1
    assert f"layout (source): {named}" in result.stderr
    assert "cannot be read (Permission denied). [source-layout]\nHave it made readable" in result.stderr


def test_layout_with_a_name_that_is_too_long(az):
    """As one that a script has put together wrongly."""
    result = az("acr", "import", "-n", "myregistry", "--source", f"oci:{'x' * 5000}", "-t", "app:1")
    assert result.json["error"]["code"] == "source-layout"  # to Windows it is only missing
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="nobody can remove a folder there in which a process is")
@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_folder_that_is_removed_under_the_shell(az, kind):
    """Nothing begins there any longer."""
    command = f"{program()} acr import -n myregistry -t app:1 --source {kind}:a"
    line = f"mkdir gone && cd gone && rmdir ../gone && exec {command}"
    result = run_line(az, ["sh", "-c", line], az.environment)
    assert "Traceback" not in result.stderr, result.stderr
    assert (result.code, result.json["error"]["code"]) == (3, "source-layout")
    assert "a folder that has been removed" in result.stderr


@pytest.mark.skipif(not which("skopeo"), reason="skopeo is not installed (Debian package skopeo)")
@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
def test_what_skopeo_writes_is_read(sandbox, az, tmp_path, kind):
    """A program that is not ours as the writer."""
    plain = f"docker://{sandbox.plain.address}/app/web:v1"
    place = f"{kind}:{tmp_path / 'written'}:{'app:v1' if kind == 'docker-archive' else 'v1'}"
    words = ["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "--override-arch", "amd64", plain, place]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    result = az("acr", "import", "-n", "myregistry", "--source", place, "-t", f"from-skopeo/{kind}:1")
    assert result.code == 0, result.stderr
    assert tree(sandbox.content(TARGET), f"from-skopeo/{kind}", "1")
