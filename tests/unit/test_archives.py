# SPDX-License-Identifier: MIT
"""Archives with bad intent, and gzip files that are read from the middle."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import random
import struct
import tarfile
import threading
import tracemalloc

import pytest

from azext_acrimport.engine import LayoutError
from azext_acrimport.engine.files import gzipped
from azext_acrimport.engine.files import tar as files_module
from azext_acrimport.engine.files.folder import Folder
from azext_acrimport.engine.files.tar import TarArchive
from tests.sandbox import images
from tests.support import layouts

FILES = {"a": b"first", "folder/b": images.noise("b", 300_000), "empty": b""}


def content(archive: TarArchive | Folder, name: str) -> bytes:
    """A file, whole."""
    stream = archive.open(name)
    try:
        return b"".join(iter(lambda: stream.read(7000), b""))
    finally:
        stream.close()


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_members_are_read_where_they_lie(tmp_path, name, prefix):
    """In any order."""
    archive = TarArchive(str(layouts.write_tar(tmp_path / name, FILES, zipped=name.endswith("gz"), dot=prefix)))
    for member in ("folder/b", "a", "empty", "folder/b"):
        assert content(archive, member) == FILES[member]
        assert archive.size(member) == len(FILES[member])
    assert archive.size("c") is None
    archive.close()


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """512 bytes that say so."""
    member = tarfile.TarInfo(name)
    member.type = kind
    raw = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    raw[124:136] = b"\x80" + size.to_bytes(11, "big") if size >= 0 else b"\xff" + (256**11 + size).to_bytes(11, "big")
    raw[148:156] = b"        "
    raw[148:156] = f"{sum(raw):06o}\0 ".encode()
    return bytes(raw)


@pytest.mark.parametrize(
    "raw",
    [
        header("a", 1 << 40) + b"x" * 512,
        header("a", -512) + b"x" * 512,
        header("a", -(1 << 40)) + b"x" * 512,
        header("a", 1 << 40, tarfile.XHDTYPE) + b"x" * 512,
        header("a", 1 << 40, tarfile.GNUTYPE_LONGNAME) + b"x" * 512,
        header("a", -1024, tarfile.XHDTYPE) + b"x" * 2048,
        header("a", 0, tarfile.XHDTYPE) * 5000,
        b"",
        b"nonsense" * 1000,
        b"\x1f\x8bnonsense",
        gzip.compress(b"nonsense" * 1000),
        gzip.compress(images.noise("x", 100_000))[:-50_000],
    ],
    ids=range(12),
)
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_archive_that_lies_is_refused(tmp_path, raw, name):
    """About sizes, in every kind of header; in bounded memory, and without end only for a moment."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    tracemalloc.start()
    try:
        with pytest.raises(LayoutError), contextlib.closing(TarArchive(str(path))) as archive:
            content(archive, "a")
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


def test_sparse_member_is_no_file(tmp_path):
    """It would claim to be larger than what is there."""
    sparse = tarfile.TarInfo("a")
    sparse.type = tarfile.GNUTYPE_SPARSE
    raw = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
    raw[483:495] = b"77777777777\0"
    raw[148:156] = b"        "
    raw[148:156] = f"{sum(raw):06o}\0 ".encode()
    (tmp_path / "a.tar").write_bytes(bytes(raw) + b"\0" * 1024)
    with contextlib.closing(TarArchive(str(tmp_path / "a.tar"))) as archive:
        assert archive.size("a") is None


def test_bomb_is_refused(tmp_path, monkeypatch):
    """What expands beyond all reason is given up on the way."""
    monkeypatch.setattr(files_module, "ALWAYS_ALLOWED", 1 << 20)
    (tmp_path / "bomb.tar.gz").write_bytes(gzip.compress(header("a", 64 << 20) + b"\0" * (64 << 20)))
    with pytest.raises(LayoutError, match="its size|breaks off"):
        TarArchive(str(tmp_path / "bomb.tar.gz"))


def test_members_without_end(tmp_path, monkeypatch):
    """More than any archive of images has."""
    monkeypatch.setattr(files_module, "MAX_MEMBERS", 2)
    with pytest.raises(LayoutError, match="members"):
        TarArchive(str(layouts.write_tar(tmp_path / "a.tar", {str(number): b"" for number in range(5)})))


def test_archive_that_goes_away(tmp_path):
    """Between the list and the reading: emptied by whoever wrote it."""
    archive = TarArchive(str(layouts.write_tar(tmp_path / "a.tar", FILES, zipped=True)))
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(LayoutError, match="any further"):
        content(archive, "folder/b")
    archive.close()


def test_folder_keeps_within_its_walls(tmp_path):
    """A link may lead to another place in the folder, as some build tools make them; never out."""
    (tmp_path / "secret").write_bytes(b"secret")
    folder = layouts.write_folder(tmp_path / "layout", {"a": b"first"})
    (folder / "inside").symlink_to("a")
    (folder / "outside").symlink_to("../secret")
    (folder / "up").symlink_to("..")
    os.mkfifo(folder / "pipe")
    opened = Folder(str(folder))
    assert content(opened, "inside") == b"first"
    for name in ("outside", "up/secret"):
        with pytest.raises(LayoutError, match="leads out"):
            opened.size(name)
    for name in ("pipe", "."):
        with pytest.raises(LayoutError, match="no file"):
            opened.open(name)


def test_gzip_is_read_from_any_place(tmp_path, monkeypatch):
    """Several members one after the other, places at random, several threads; few states are kept."""
    monkeypatch.setattr(gzipped, "FIRST_DISTANCE", 20_000)
    monkeypatch.setattr(gzipped, "MAX_STATES", 8)
    raw = images.noise("gz", 1_500_000) + b"\0" * 2_000_000 + images.noise("gz2", 900_000)
    third = len(raw) // 3
    parts = [raw[:third], raw[third : 2 * third], raw[2 * third :]]
    (tmp_path / "a.gz").write_bytes(b"".join(map(gzip.compress, parts)) + b"\0" * 100)
    file = gzipped.GzipFile(str(tmp_path / "a.gz"), 1 << 30)
    wrong = []

    def read(seed: int) -> None:
        chance, reader = random.Random(seed), file.reader()
        for _ in range(20):
            place, size = chance.randrange(len(raw) + 10), chance.randrange(200_000)
            reader.seek(place)
            wrong.extend([place] * (reader.read(size) != raw[place : place + size]))
        reader.close()

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert 2 <= len(file._states) <= 9


def test_large_members_of_a_gzip_do_not_cost_memory(tmp_path):
    """Sixteen megabytes, one block at a time."""
    raw = images.noise("large", 1 << 20) * 16
    path = layouts.write_tar(tmp_path / "a.tar.gz", {"a": raw}, zipped=True)
    archive = TarArchive(str(path))
    tracemalloc.start()
    stream = archive.open("a")
    count = 0
    while block := stream.read(1 << 20):
        count += len(block)
    stream.close()
    archive.close()
    assert count == len(raw)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_structures_of_this_page_are_tars():
    """The headers made here are read by tarfile, when they say the truth."""
    raw = header("a", 3) + b"abc".ljust(512, b"\0")
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        assert tar.getmember("a").size == 3
    assert struct.calcsize("512s") == len(header("a", 0))
