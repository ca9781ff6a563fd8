# SPDX-License-Identifier: MIT
"""Content in files as a source: what is good arrives, what is made to do harm is refused."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tarfile

import pytest

from azext_acrimport.engine import (
    Cancellation,
    Cancelled,
    Digest,
    EngineError,
    LayoutError,
    open_location,
    parse_location,
)
from tests.sandbox import images
from tests.support.layouts import docker_files, layout_files, link, write_folder, write_tar
from tests.support.stores import MemoryStore, complete, copy

IMAGE = images.image("layout", (70_000, 300))
INDEX = images.index([(p, images.image(f"layout-{p}")) for p in ("linux/amd64", "linux/arm64/v8")])
OTHER = images.image("other")


def brought(location: str, name: str = "") -> tuple[MemoryStore, object]:
    """A copy of what is there into memory."""
    target = MemoryStore("target.test")
    with contextlib.closing(open_location(parse_location(location))) as source:
        return target, copy(source, target, tag=name, tags=["1"])


@pytest.mark.parametrize("image", [IMAGE, INDEX], ids=["image", "index"])
@pytest.mark.parametrize("how", ["folder", "archive", "archive with ./", "gzipped archive"])
@pytest.mark.parametrize("name", ["", "1.0", "digest"])
def test_oci_layout_is_read(tmp_path, image, how, name):
    """Byte for byte, with the digest that it has there."""
    files = layout_files((image, "1.0"))
    name = image.digest if name == "digest" else name
    if how == "folder":
        location = f"oci:{write_folder(tmp_path / 'app', files)}"
    else:
        dot = "./" if how.endswith("./") else ""
        location = f"oci-archive:{write_tar(tmp_path / 'app.tar', files, zipped='gzip' in how, dot=dot)}"
    target, result = brought(location, name)
    assert result.error is None
    assert str(result.digest) == image.digest
    assert complete(target, image.digest)


def test_names_in_a_layout_are_chosen_as_they_are_offered(tmp_path):
    """Tags, and the whole names that containerd writes; what has no name by its digest."""
    names = ["1.0", "docker.io/library/app:2", ""]
    files = layout_files((IMAGE, names[0]), (INDEX, "x"), (OTHER, ""))
    index = json.loads(files["index.json"])
    index["manifests"][1]["annotations"] = {"io.containerd.image.name": names[1]}
    folder = write_folder(tmp_path / "app", files | {"index.json": json.dumps(index).encode()})
    said = str(brought(f"oci:{folder}")[1].error)
    offered = said.partition("it has ")[2].rstrip(".").split(", ")
    assert sorted(offered) == sorted([names[0], names[1], f"@{OTHER.digest}"])
    found = []
    for offer in offered:
        location = parse_location(f"oci:{folder}:{offer}")
        assert str(parse_location(str(location))) == str(location)
        with contextlib.closing(open_location(location)) as source:
            result = copy(source, MemoryStore("target.test"), tag=location.name, tags=["1"])
        found.append(str(result.digest))
    assert sorted(found) == sorted([IMAGE.digest, INDEX.digest, OTHER.digest])


@pytest.mark.parametrize("new", [False, True], ids=["old form", "new form"])
@pytest.mark.parametrize("zipped", [False, True], ids=["tar", "tar.gz"])
@pytest.mark.parametrize("name", ["", "team/app:1.0"])
def test_docker_archive_is_read(tmp_path, new, zipped, name):
    """Its layers and its configuration arrive as they are; the manifest is the same each time."""
    files = docker_files(IMAGE, "team/app:1.0", "team/app:latest", new=new)
    path = write_tar(tmp_path / "app.tar", files, zipped=zipped)
    target, result = brought(f"docker-archive:{path}", name)
    assert result.error is None
    body = json.loads(target.manifests[str(result.digest)][0])
    described = json.loads(target.blobs[body["config"]["digest"]])
    assert [layer["digest"] for layer in body["layers"]] == described["rootfs"]["diff_ids"]
    assert complete(target, str(result.digest))
    assert brought(f"docker-archive:{path}", name)[1].digest == result.digest


def test_docker_archive_with_compressed_layers(tmp_path):
    """As podman can write it."""
    path = write_tar(tmp_path / "app.tar", docker_files(IMAGE, "app:1", unzip=False))
    target, result = brought(f"docker-archive:{path}")
    layers = json.loads(target.manifests[str(result.digest)][0])["layers"]
    assert {layer["digest"] for layer in layers} == {d["digest"] for d in json.loads(IMAGE.raw)["layers"]}
    assert all(layer["mediaType"].endswith("+gzip") for layer in layers)


def test_docker_archive_with_a_layer_twice(tmp_path):
    """Older Dockers write a link to the first for the second."""
    files = docker_files(IMAGE, "app:1")
    entry = json.loads(files["manifest.json"])[0]
    first = entry["Layers"][0]
    entry["Layers"].insert(0, "again/layer.tar")
    config = json.loads(files[entry["Config"]])
    config["rootfs"]["diff_ids"].insert(0, config["rootfs"]["diff_ids"][0])
    files |= {"manifest.json": json.dumps([entry]).encode(), entry["Config"]: json.dumps(config).encode()}
    path = write_tar(tmp_path / "app.tar", files, link("again/layer.tar", f"../{first}"))
    target, result = brought(f"docker-archive:{path}")
    assert result.error is None and complete(target, str(result.digest))


@pytest.mark.parametrize("unzip", [True, False])
def test_layer_that_is_named_three_hundred_times_is_read_once(tmp_path, unzip):
    """To find out what it is; a stack of layers that nobody makes is refused."""
    for count, refused in ((300, False), (501, True)):
        files = docker_files(IMAGE, "app:1", unzip=unzip)
        entry = json.loads(files["manifest.json"])[0]
        config = json.loads(files[entry["Config"]])
        config["rootfs"]["diff_ids"] = config["rootfs"]["diff_ids"][:1] * count
        entry["Layers"] = entry["Layers"][:1] * count
        files |= {"manifest.json": json.dumps([entry]).encode(), entry["Config"]: json.dumps(config).encode()}
        path = write_tar(tmp_path / "app.tar.gz", files, zipped=True)
        with contextlib.closing(open_location(parse_location(f"docker-archive:{path}"))) as source:
            opened, way = [], source._files.open
            source._files.open = lambda name, opened=opened, way=way: (opened.append(name), way(name))[1]
            if refused:
                with pytest.raises(LayoutError, match="501 layers"):
                    source.resolve("")
                continue
            source.resolve("")
            assert opened.count(entry["Layers"][0]) == (1 if unzip else 2)


def test_docker_archive_keeps_the_digest_where_it_can(tmp_path):
    """Docker 25 and later write a layout as well; an index in it may name platforms that were not pulled."""
    pulled, other = images.image("pulled"), images.image("not pulled", platform="linux/arm64")
    index = images.index([("linux/arm64", other), ("linux/amd64", pulled)])
    files = layout_files((pulled, ""), (images.Artifact(index.manifests[-1:]), "1.0"))
    files["index.json"] = layout_files((images.Artifact(index.manifests[-1:]), "1.0"))["index.json"]
    files |= docker_files(pulled, "app:1.0", new=True, unzip=False)
    for change, kept in (({}, True), ({f"blobs/{pulled.digest.replace(':', '/')}": None}, False)):
        left = {name: raw for name, raw in files.items() if change.get(name, raw) is not None}
        target, result = brought(f"docker-archive:{write_tar(tmp_path / 'app.tar', left)}", "app:1.0")
        assert result.error is None
        assert (str(result.digest) == pulled.digest) == kept
        assert complete(target, str(result.digest))


@pytest.mark.parametrize("how", ["by entry", "by tag"])
def test_referrers_of_a_layout_come_along(tmp_path, how):
    """As ORAS and as regclient write them; without a name the image is meant, not what vouches for it."""
    sbom = images.artifact("layout", subject=INDEX.descriptor())
    cosign_tag, cosigned = images.cosign(INDEX, ".sig", b"payload")
    entry = (sbom, "")
    if how == "by tag":
        body = {"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": [sbom.descriptor()]}
        raw = json.dumps(body).encode()
        listed = images.Artifact([*sbom.manifests, (images.OCI_INDEX, raw)], sbom.blobs)
        entry = (listed, INDEX.digest.replace(":", "-"))
    folder = write_folder(tmp_path / "app", layout_files((INDEX, "1.0"), entry, (cosigned, cosign_tag)))
    target = MemoryStore("target.test")
    with contextlib.closing(open_location(parse_location(f"oci:{folder}"))) as source:
        result = copy(source, target, tag="", tags=["1"], referrers=True)
    assert (result.error, result.referrers) == (None, 2)
    assert target.tags == {"1": INDEX.digest, cosign_tag: cosigned.digest}
    assert sbom.digest in target.manifests


def test_several_images_need_a_choice(tmp_path):
    """The error lists them."""
    folder = write_folder(tmp_path / "both", layout_files((IMAGE, "1.0"), (OTHER, "2.0")))
    for name, said in (("", "must be named"), ("3.0", "no image has the name '3.0'")):
        _, result = brought(f"oci:{folder}", name)
        assert result.error.code == "source-layout"
        assert said in str(result.error) and "1.0, 2.0" in str(result.error)
    assert brought(f"oci:{folder}", "2.0")[1].digest == Digest.parse(OTHER.digest)
    files = docker_files(IMAGE, "app:1")
    more = docker_files(OTHER, "other:2")
    entries = json.loads(files["manifest.json"]) + json.loads(more["manifest.json"])
    path = write_tar(tmp_path / "both.tar", {**files, **more, "manifest.json": json.dumps(entries).encode()})
    for name in ("", "app:3"):
        assert "app:1, other:2" in str(brought(f"docker-archive:{path}", name)[1].error)
    assert brought(f"docker-archive:{path}", "other:2")[1].error is None


def test_damaged_content_is_refused(tmp_path):
    """A blob that is another one, one that is missing, and a manifest with another digest."""
    for number, change in enumerate((lambda raw: raw[:-1] + b"x", lambda raw: raw + b"x", lambda raw: None)):
        for victim in (list(IMAGE.blobs)[1], IMAGE.digest):
            files = layout_files((IMAGE, "1.0"))
            name = f"blobs/{victim.replace(':', '/')}"
            changed = change(files.pop(name))
            files |= {name: changed} if changed else {}
            target, result = brought(f"oci:{write_folder(tmp_path / f'{number}-{victim[7:15]}', files)}")
            assert result.error.origin == "source"
            assert result.error.code in ("source-digest-mismatch", "source-truncated", "source-layout")
            assert target.tags == {}


def sparse(name: str) -> tarfile.TarInfo:
    """A member that claims to be much larger than the archive."""
    entry = tarfile.TarInfo(name)
    entry.size = 1 << 40
    return entry


HOSTILE = {
    "climbs out": (layout_files((IMAGE, "1")), [link("../../etc/cron.d/x", "x", type=tarfile.REGTYPE)], "leads out"),
    "absolute": (layout_files((IMAGE, "1")), [link("/etc/passwd", "x", type=tarfile.REGTYPE)], "leads out"),
    "index is a link": (
        {k: v for k, v in layout_files((IMAGE, "1")).items() if k != "index.json"},
        [link("index.json", "/etc/passwd")],
        "index.json is missing",
    ),
    "layout is a link that climbs": (
        {k: v for k, v in layout_files((IMAGE, "1")).items() if k != "oci-layout"},
        [link("oci-layout", "../../../../etc/passwd")],
        "oci-layout is missing",
    ),
    "links to itself": (
        {k: v for k, v in layout_files((IMAGE, "1")).items() if k != "oci-layout"},
        [link("oci-layout", "oci-layout")],
        "oci-layout is missing",
    ),
    "lies about a size": ({}, [sparse("oci-layout")], "breaks off"),
    "is empty": ({}, [], "oci-layout is missing"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archive_is_refused(tmp_path, kind):
    """Nothing outside of it is read; the error names it."""
    files, members, said = HOSTILE[kind]
    path = write_tar(tmp_path / "evil.tar", files, *members)
    with pytest.raises(LayoutError, match=said):
        open_location(parse_location(f"oci-archive:{path}"))


def test_bomb_is_not_unpacked(tmp_path, monkeypatch):
    """A gigabyte of nothing in a megabyte; the limits are smaller here to keep the test short."""
    monkeypatch.setattr("azext_acrimport.engine.files.tar.ALWAYS_ALLOWED", 1_000_000)
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(gzip.compress(bytes(50_000_000)))
    with pytest.raises(LayoutError, match="times its size"):
        open_location(parse_location(f"oci-archive:{path}"))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not a tar archive"),
        (b"not a tar" * 1000, "not a tar archive"),
        (gzip.compress(b"not a tar" * 1000), "not a tar archive"),
        (gzip.compress(bytes(20_000))[:-9], "not a tar archive"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\x28\xb5\x2f\xfd\x00\x00", "zstd"),
    ],
    ids=["empty", "text", "zipped text", "cut", "bzip2", "zstd"],
)
def test_file_that_is_no_archive_is_refused(tmp_path, raw, said):
    """With its name, and why."""
    path = tmp_path / "app.tar"
    path.write_bytes(raw)
    with pytest.raises(LayoutError, match=said):
        open_location(parse_location(f"oci-archive:{path}"))


class Patience(Cancellation):
    """Over after so many looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def check(self) -> None:
        """As ``Cancellation.check``."""
        self.looks -= 1
        if self.looks < 0:
            raise Cancelled


@pytest.mark.parametrize("zipped", [False, True], ids=["tar", "tar.gz"])
@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_archive_is_looked_through_only_while_it_is_wanted(tmp_path, kind, zipped):
    """Each member, what lies between them, and all of a layer whose digest nobody states, is a step that can end it."""
    files = docker_files(IMAGE, unzip=False) if kind == "docker-archive" else layout_files((IMAGE, ""))
    steps = 2 if zipped else len(files)
    files["large"] = bytes(10 * 1024 * 1024)  # of which zipped nothing is left
    steps += len(files["large"]) // (1024 * 1024) if zipped else 1
    location = parse_location(f"{kind}:{write_tar(tmp_path / 'app', files, zipped=zipped)}")

    def looked_through(patience: Patience) -> None:
        with contextlib.closing(open_location(location, patience)) as source:
            source.resolve("")

    unlimited = Patience(1000)
    looked_through(unlimited)
    needed = 1000 - unlimited.looks
    assert needed > steps
    for looks in range(needed):
        with pytest.raises(Cancelled):
            looked_through(Patience(looks))


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
def test_place_that_does_not_exist(tmp_path, kind):
    """Told apart from one that is broken."""
    with pytest.raises(LayoutError) as caught:
        open_location(parse_location(f"{kind}:{tmp_path / 'nothing'}"))
    assert caught.value.missing


@pytest.mark.parametrize(
    "change",
    [
        {"oci-layout": b"[]"},
        {"oci-layout": b'{"imageLayoutVersion": "2.0.0"}'},
        {"oci-layout": b"{"},
        {"index.json": b"null"},
        {"index.json": b'{"manifests": 5}'},
        {"index.json": b'{"manifests": [{"digest": "sha256:1"}]}'},
        {"index.json": b" " * 5_000_000},
        {"index.json": b'{"manifests": []}'},
        {"index.json": b"[" * 100_000},
        {"index.json": b'{"manifests": [' + b"[]," * 300_000 + b"1]}"},
    ],
    ids=range(10),
)
def test_layout_that_is_none_is_refused(tmp_path, change):
    """Whatever stands in its files."""
    folder = write_folder(tmp_path / "app", {**layout_files((IMAGE, "1")), **change})
    with pytest.raises(EngineError), contextlib.closing(open_location(parse_location(f"oci:{folder}"))) as source:
        source.resolve("")


@pytest.mark.parametrize(
    "change",
    [
        {"manifest.json": b"{}"},
        {"manifest.json": b"[5]"},
        {"manifest.json": b"[]"},
        {"manifest.json": b'[{"Config": 5, "Layers": []}]'},
        {"manifest.json": b'[{"Config": "nowhere.json", "Layers": []}]'},
        {"manifest.json": b'[{"Config": "../../etc/passwd", "Layers": []}]'},
        {"manifest.json": b'[{"Config": "manifest.json", "Layers": []}]'},
        {"c": b'{"rootfs": {"diff_ids": ["x"]}}', "manifest.json": b'[{"Config": "c", "Layers": ["c"]}]'},
        {"c": b'{"rootfs": {"diff_ids": [5]}}', "manifest.json": b'[{"Config": "c", "Layers": ["c"], "RepoTags": 5}]'},
        {"c": b'{"rootfs": {"diff_ids": ["x", "y"]}}', "manifest.json": b'[{"Config": "c", "Layers": ["c"]}]'},
    ],
    ids=range(10),
)
def test_docker_archive_that_is_none_is_refused(tmp_path, change):
    """Whatever stands in its files."""
    path = write_tar(tmp_path / "app.tar", {**docker_files(IMAGE, "app:1"), **change})
    with (
        pytest.raises(LayoutError),
        contextlib.closing(open_location(parse_location(f"docker-archive:{path}"))) as source,
    ):
        source.resolve("")


def test_archive_is_read_by_several_at_once(tmp_path):
    """Members share one open file."""
    path = write_tar(tmp_path / "app.tar", layout_files((INDEX, "1.0")))
    target = MemoryStore("target.test")
    with contextlib.closing(open_location(parse_location(f"oci-archive:{path}"))) as source:
        assert copy(source, target, tag="", tags=["1"], jobs=8).error is None
    assert complete(target, INDEX.digest)


def test_large_member_names_are_no_trouble(tmp_path):
    """Long names are written with members of their own by tar."""
    files = layout_files((IMAGE, "1.0"))
    files["x" * 300] = b"x"
    path = write_tar(tmp_path / "app.tar", files)
    assert brought(f"oci-archive:{path}")[1].error is None
    assert io.BytesIO(path.read_bytes()).read(1)
