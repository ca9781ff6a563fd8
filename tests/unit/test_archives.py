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
from pathlib import PurePosixPath

import pytest

from azext_acrimport.engine import LayoutError
from azext_acrimport.engine.files import gzipped, headers
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


def pax(*records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """A header with these records, each of which states its length truly."""
    raw = b"".join(b"%d %s\n" % (length(record), record) for record in records)
    return header("pax", len(raw), kind) + raw.ljust(-(-len(raw) // 512) * 512, b"\0")


def length(record: bytes) -> int:
    """Of a record: of its digits, too."""
    whole = len(record) + 2
    while whole < len(record) + 2 + len(str(whole)):
        whole += 1
    return whole


def long(kind: bytes, text: bytes) -> bytes:
    """GNU's way to say what is longer than its field."""
    return header("././@LongLink", len(text), kind) + text.ljust(-(-len(text) // 512) * 512, b"\0")


def with_sum(raw: bytes) -> bytes:
    """The header with a check sum that is right."""
    raw = raw[:148] + b" " * 8 + raw[156:]
    return raw[:148] + f"{sum(raw):06o}\0 ".encode() + raw[156:]


A = header("a", 3) + b"abc".ljust(512, b"\0")
POSIX = with_sum(A[:257] + b"ustar\00000".ljust(88, b"\0") + b"..".ljust(155, b"\0") + A[500:512]) + A[512:]
HARD = with_sum(header("l", 0, tarfile.LNKTYPE)[:157] + b"a".ljust(100, b"\0") + header("l", 0)[257:])


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_all_forms_are_read_as_python_reads_them(tmp_path, form):
    """Long names and links, other scripts, folders, devices: name, place and size of every file."""
    names = ["a", "folder/b", "x" * 90 + "/" + "y" * 60, "grün"]
    names += ["z/" * 300 + "end", "q" * 1000] if form != tarfile.USTAR_FORMAT else []
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(name)
            entry.mtime = 1234567890.5 if form == tarfile.PAX_FORMAT else 1  # type: ignore[assignment]
            archive.addfile(entry, io.BytesIO(name.encode().ljust(entry.size)[: entry.size]))
            link = tarfile.TarInfo(f"l-{name}"[:90])
            link.type, link.linkname = tarfile.SYMTYPE, name[:100] if form == tarfile.USTAR_FORMAT else name
            archive.addfile(link)
        for kind in (tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            entry = tarfile.TarInfo(f"other-{kind!r}")
            entry.type = kind
            archive.addfile(entry)
    with tarfile.open(tmp_path / "a.tar") as archive, contextlib.closing(TarArchive(str(tmp_path / "a.tar"))) as ours:
        for entry in archive:
            expected = (entry.offset_data, entry.size) if entry.isreg() else None
            if entry.issym():
                expected = str(PurePosixPath(entry.name).parent / entry.linkname)
            assert ours._members.get(entry.name.removesuffix("/")) == expected


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (with_sum(header("a", 0, tarfile.GNUTYPE_SPARSE)), "sparse"),
        (pax(b"GNU.sparse.major=1", b"GNU.sparse.minor=0") + A, "sparse"),
        (pax(b"GNU.sparse.map=0,1") + A, "sparse"),
        (pax(b"GNU.sparse.size=9", kind=tarfile.XGLTYPE) + A, "sparse"),
        (pax(b"path=../a") + A, "leads out"),
        (pax(b"path=/etc/passwd") + A, "leads out"),
        (pax(b"path=C:/x") + A, "leads out"),
        (pax(b"path=a\\..\\..\\b") + A, "leads out"),
        (long(tarfile.GNUTYPE_LONGNAME, b"x/../../y\0") + A, "leads out"),
        (POSIX, "leads out"),
        (long(tarfile.GNUTYPE_LONGNAME, b"x" * 70_000) + A, "which is not read"),
        (
            long(tarfile.GNUTYPE_LONGNAME, b"x" * 40_000) + long(tarfile.GNUTYPE_LONGLINK, b"y" * 40_000) + A,
            "is not read",
        ),
        (pax(b"path=" + b"x" * 70_000) + A, "which is not read"),
        (long(tarfile.GNUTYPE_LONGNAME, b"x") * 5 + A, "without end"),
        (pax(b"a=b") * 1000, "without end"),
        (pax(b"size=-1") + A, "breaks off"),
        (pax(b"size=99999999999999999999999") + A, "breaks off"),
        (pax(b"size=1x") + A, "breaks off"),
        (pax(b"size=1000000") + A, "breaks off"),
        (header("pax", 512, tarfile.XHDTYPE) + b"9 path=a\n".ljust(512, b"x") + A, "pax record"),
        (header("pax", 512, tarfile.XHDTYPE) + b"99999 path=a\n".ljust(512, b"\0") + A, "pax record"),
        (header("pax", 512, tarfile.XHDTYPE) + b"0 path=a\n".ljust(512, b"\0") + A, "pax record"),
        (header("pax", 512, tarfile.XHDTYPE) + b"-9 path=a\n".ljust(512, b"\0") + A, "pax record"),
        (header("pax", 512, tarfile.XHDTYPE) + b"1" * 512 + A, "pax record"),
        (header("pax", 512, tarfile.XHDTYPE) + b"8 path\n".ljust(512, b"\0") + A, "pax record"),
        (header("pax", 4096, tarfile.XHDTYPE) + b"x" * 512, "in a header"),
        (header("a", -1) + A, "breaks off"),
        (header("a", 1 << 87) + A, "breaks off"),
        (A + header("b", 4096) + b"x" * 512, "breaks off"),
        (A + header("b", 0)[:300], "damaged"),
        (A + b"x" * 512, "damaged"),
        (A[:148] + b"0000000\0" + A[156:], "damaged"),
        (with_sum(A[:124] + b"12345678901z" + A[136:]), "damaged"),
        (b"", "damaged"),
    ],
    ids=range(34),
)
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_tricks_with_headers_are_refused(tmp_path, raw, said, name):
    """One clear error, whatever the archive is packed in."""
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    with pytest.raises(LayoutError, match=said):
        TarArchive(str(tmp_path / name))


@pytest.mark.parametrize(
    ("raw", "members"),
    [
        (A, {"a": b"abc"}),
        (A + b"\0" * 1024 + b"what follows is nobody's", {"a": b"abc"}),
        (pax(b"comment=x", kind=tarfile.XGLTYPE) + A, {"a": b"abc"}),
        (pax(b"path=evil", kind=tarfile.XGLTYPE) + A, {"a": b"abc", "evil": None}),
        (pax(b"path=b", b"mtime=1.5") + A, {"b": b"abc", "a": None}),
        (pax(b"path=b", b"path=c") + A, {"c": b"abc", "b": None}),
        (pax(b"size=2") + A, {"a": b"ab"}),
        (long(tarfile.GNUTYPE_LONGNAME, b"b\0junk") + A, {"b": b"abc"}),
        (A + HARD, {"l": b"abc"}),
        (A + header("a", 1) + b"z".ljust(512, b"\0"), {"a": b"z"}),
        (header("folder/", 700, tarfile.DIRTYPE) + A, {"folder": None, "a": b"abc"}),
        (header("pipe", 700, tarfile.FIFOTYPE) + A, {"pipe": None, "a": b"abc"}),
        (header("odd", 3, b"Z") + b"xyz".ljust(512, b"\0") + A, {"odd": b"xyz", "a": b"abc"}),
    ],
    ids=range(13),
)
def test_what_headers_say_is_understood(tmp_path, raw, members):
    """The last one of a name counts; what is global names nobody; a folder has no content."""
    (tmp_path / "a.tar").write_bytes(raw)
    with contextlib.closing(TarArchive(str(tmp_path / "a.tar"))) as archive:
        for name, whole in members.items():
            assert (archive.size(name) is None) if whole is None else (content(archive, name) == whole)


def test_names_have_a_limit_in_all(tmp_path, monkeypatch):
    """Each of them may be long, not all."""
    monkeypatch.setattr(headers, "MAX_EXTENDED_IN_ALL", 50_000)
    (tmp_path / "a.tar").write_bytes((long(tarfile.GNUTYPE_LONGNAME, b"x" * 20_000) + A) * 3)
    with pytest.raises(LayoutError, match="names of its members"):
        TarArchive(str(tmp_path / "a.tar"))


def test_bomb_is_refused(tmp_path, monkeypatch):
    """What expands beyond all reason is given up on the way."""
    monkeypatch.setattr(files_module, "ALWAYS_ALLOWED", 1 << 20)
    (tmp_path / "bomb.tar.gz").write_bytes(gzip.compress(header("a", 64 << 20) + b"\0" * (64 << 20)))
    with pytest.raises(LayoutError, match="its size|breaks off"):
        TarArchive(str(tmp_path / "bomb.tar.gz"))


def test_members_without_end(tmp_path, monkeypatch):
    """More than any archive of images has."""
    monkeypatch.setattr(headers, "MAX_MEMBERS", 2)
    with pytest.raises(LayoutError, match="members"):
        TarArchive(str(layouts.write_tar(tmp_path / "a.tar", {str(number): b"" for number in range(5)})))


def test_archive_that_goes_away(tmp_path):
    """Between the list and the reading: emptied by whoever wrote it."""
    archive = TarArchive(str(layouts.write_tar(tmp_path / "a.tar", FILES, zipped=True)))
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(LayoutError, match="any further"):
        content(archive, "folder/b")
    archive.close()


@pytest.mark.skipif(os.name == "nt", reason="pipes are files of POSIX")
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_pipe_is_no_archive(tmp_path, name):
    """Nobody writes into it, so it would be waited for; nor is one read that takes the place of an archive."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LayoutError, match="not a file"):
        TarArchive(str(tmp_path / "pipe"))
    path = layouts.write_tar(tmp_path / name, FILES, zipped=name.endswith("gz"))
    with contextlib.closing(TarArchive(str(path))) as archive:
        os.rename(tmp_path / "pipe", path)
        if archive._gzip:
            with pytest.raises(LayoutError, match="any further"):
                content(archive, "a")
        else:
            assert content(archive, "a") == FILES["a"]


def test_archive_that_is_replaced_is_read_no_further(tmp_path):
    """What was listed is not what is there."""
    path = layouts.write_tar(tmp_path / "a.tar.gz", FILES, zipped=True)
    with contextlib.closing(TarArchive(str(path))) as archive:
        os.replace(layouts.write_tar(tmp_path / "b.tar.gz", FILES, zipped=True), path)
        with pytest.raises(LayoutError, match="replaced"):
            content(archive, "a")


@pytest.mark.skipif(os.name == "nt", reason="links are made by administrators there")
@pytest.mark.parametrize("swapped", ["blobs/a", "blobs"])
def test_file_that_is_swapped_for_a_link_is_not_followed(tmp_path, monkeypatch, swapped):
    """Between the look at it and the opening of it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a").write_bytes(b"secret")
    folder = Folder(str(layouts.write_folder(tmp_path / "layout", {"blobs/a": b"first"})))
    judged = os.path.realpath

    def then_swap(path: object) -> str:
        found = judged(path)  # type: ignore[type-var]
        os.rename(tmp_path / "layout" / swapped, tmp_path / "away")
        place = tmp_path / "outside" / "a" if swapped == "blobs/a" else tmp_path / "outside"
        (tmp_path / "layout" / swapped).symlink_to(place)
        return str(found)

    monkeypatch.setattr(os.path, "realpath", then_swap)
    with pytest.raises(LayoutError, match="no file to be read"):
        content(folder, "blobs/a")


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
    opened = (tmp_path / "a.gz").open("rb")
    file = gzipped.GzipFile(str(tmp_path / "a.gz"), opened, 1 << 30)
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
    opened.close()
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
