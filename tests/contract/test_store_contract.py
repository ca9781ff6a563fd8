# SPDX-License-Identifier: MIT
"""What every store promises, in memory, on the embedded registry, and on Debian's."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator

import pytest

from azext_acrimport.engine import (
    ANONYMOUS,
    BlobUnknown,
    Body,
    Cancellation,
    ContentError,
    Descriptor,
    Digest,
    EngineError,
    Manifest,
    NotFound,
    RegistryClient,
    RegistryRepository,
    RetryPolicy,
    Transport,
    TransportOptions,
)
from tests.sandbox import distribution, images
from tests.sandbox.registry import Oddities, Registry
from tests.sandbox.server import Listener
from tests.sandbox.storage import Storage
from tests.support.stores import MemoryStore

RAW = images.noise("contract", 100_000)
BLOB = Descriptor("application/octet-stream", Digest.of(RAW), len(RAW))
IMAGE = images.image("contract")
numbers = itertools.count()

KINDS = [
    "memory",
    "embedded",
    "embedded, absolute Locations",
    "embedded, no large PUT",
    pytest.param("docker-registry", marks=pytest.mark.registry),
]
ODDITIES = {
    "embedded": Oddities(strict_length=True),
    "embedded, absolute Locations": Oddities(absolute_locations=True),
    "embedded, no large PUT": Oddities(max_put=50_000),
}


@pytest.fixture(scope="module")
def address(request, tmp_path_factory) -> Iterator[str]:
    """Host and port of a registry of the kind; nothing for memory."""
    kind, folder = request.param, tmp_path_factory.mktemp("registry")
    if kind == "memory":
        yield ""
    elif kind == distribution.PROGRAM:
        if not distribution.available():
            pytest.skip("docker-registry is not installed (Debian package docker-registry)")
        process = distribution.Distribution(folder)
        yield f"127.0.0.1:{process.port}"
        process.stop()
    else:
        with Listener(Registry(Storage(folder), ODDITIES[kind])) as listener:
            yield listener.address


@pytest.fixture
def place(address):
    """A function from a side to a store over one and the same new repository."""
    repository, transports = f"contract/number-{next(numbers)}", []
    memory: dict[str, MemoryStore] = {}

    def place(origin: str, name: str = repository):
        if not address:
            store = memory.setdefault(name, MemoryStore(repository=name))
            store.neighbours = memory
            return store
        options = TransportOptions(retry=RetryPolicy(attempts=2, base=0.01))
        transports.append(Transport(origin, options, Cancellation()))
        client = RegistryClient(address, address, transports[-1], lambda: ANONYMOUS)
        return RegistryRepository(client, name)

    yield place
    for transport in transports:
        transport.close()


def body(raw: bytes, descriptor: Descriptor = BLOB) -> Body:
    """Content that claims to be the blob."""
    return Body(descriptor, lambda: io.BytesIO(raw))


def _unwanted() -> io.BytesIO:
    raise AssertionError("this content is not needed")


LARGE = 5 * 1024 * 1024
NEVER = Body(BLOB, _unwanted)


def read(store, descriptor: Descriptor) -> bytes:
    """A blob, whole."""
    reader = store.blob(descriptor).open()
    raw = b"".join(iter(lambda: reader.read(10_000), b""))
    reader.close()
    return raw


def push_image(store) -> Manifest:
    """IMAGE's blobs, and its manifest, parsed."""
    manifest = Manifest.parse(IMAGE.raw, IMAGE.media_type, Digest.of(IMAGE.raw))
    for blob in manifest.blobs:
        store.put_blob(blob, body(IMAGE.blobs[str(blob.digest)], blob))
    return manifest


pytestmark = pytest.mark.parametrize("address", KINDS, indirect=True)


def test_blob_is_read_back(place):
    """Byte for byte; and pushing it again is no error."""
    target = place("target")
    assert not target.has_blob(BLOB)
    for _ in range(2):
        target.put_blob(BLOB, body(RAW))
    assert target.has_blob(BLOB)
    assert read(place("source"), BLOB) == RAW


def test_piece_of_a_blob_is_read_alone(place):
    """Of one that is there, and as another repository of the registry has it."""
    target, source = place("target"), place("source")
    assert source.piece(BLOB, 3, 5) is None
    target.put_blob(BLOB, body(RAW))
    assert [source.piece(BLOB, start, 5) for start in (0, 3, BLOB.size - 5)] == [RAW[:5], RAW[3:8], RAW[-5:]]
    other = place("target", f"{target.repository}-other")
    assert other.piece_of(target.repository, BLOB, 3, 5) == RAW[3:8]
    assert other.piece_of(f"{target.repository}-none", BLOB, 3, 5) is None


def test_empty_blob_is_read_back(place):
    """No bytes are bytes, too."""
    empty = Descriptor("application/octet-stream", Digest.of(b""), 0)
    place("target").put_blob(empty, body(b"", empty))
    assert place("target").has_blob(empty)


@pytest.mark.parametrize("wrong", [RAW[:-1] + b"x", RAW[:-1], RAW + b"x", b""], ids=["other", "short", "long", "none"])
def test_wrong_blob_leaves_nothing(place, wrong):
    """Neither under the digest that it claims, nor under its own."""
    target = place("target")
    with pytest.raises(ContentError):
        target.put_blob(BLOB, body(wrong))
    assert not target.has_blob(BLOB)
    if wrong:
        assert not target.has_blob(Descriptor("x", Digest.of(wrong), len(wrong)))


def test_manifest_is_read_back_and_tagged(place):
    """By digest and by tag, the very bytes; the tag can move."""
    target, source = place("target"), place("source")
    manifest = push_image(target)
    digest, media_type = manifest.descriptor.digest, manifest.descriptor.media_type
    target.put_manifest(digest, media_type, manifest.raw)
    assert target.find("1") is None
    target.tag("1", digest, media_type, manifest.raw)
    assert source.resolve("1").digest == target.find("1").digest == digest
    assert source.manifest(digest, len(manifest.raw)) == (manifest.raw, media_type)
    found, raw = source.read("1")
    assert (found.digest, found.media_type, raw) == (digest, media_type, manifest.raw)
    other = images.image("contract", annotations={"other": "yes"})
    target.tag("1", Digest.of(other.raw), other.media_type, other.raw)
    assert source.resolve("1").digest == Digest.of(other.raw)


def test_manifest_before_its_blobs_is_refused(place):
    """With an error that says so, and no tag."""
    target = place("target")
    with pytest.raises(BlobUnknown):
        target.tag("1", Digest.of(IMAGE.raw), IMAGE.media_type, IMAGE.raw)
    assert target.find("1") is None


def test_what_is_not_there(place):
    """None at the target; an error at the source."""
    assert place("target").find("1") is None
    assert place("target").find(str(BLOB.digest)) is None
    with pytest.raises(NotFound):
        place("source").resolve("1")
    with pytest.raises(NotFound):
        place("source").read("1")
    with pytest.raises(NotFound):
        read(place("source"), BLOB)


def test_blob_is_taken_from_a_repository_that_has_it(place):
    """And only from such a one; what is there already is found, whatever its size."""
    target = place("target")
    assert target.bring_blob(BLOB, body(RAW)) == "copied"
    assert target.bring_blob(BLOB, NEVER) == "existing"
    other = place("target", f"{target.repository}-other")
    assert not other.has_blob(BLOB)
    assert other.bring_blob(BLOB, NEVER, target.repository) == "mounted"
    assert other.has_blob(BLOB)
    missing = Descriptor("x", Digest.of(b"missing"), 7)
    assert other.bring_blob(missing, body(b"missing", missing), target.repository) == "copied"
    assert other.has_blob(missing) and not target.has_blob(missing)
    large = Descriptor("x", Digest.of(bytes(LARGE)), LARGE)
    assert other.bring_blob(large, body(bytes(LARGE), large)) == "copied"
    assert other.bring_blob(large, NEVER) == "existing"
    assert other.bring_blob(large, NEVER, target.repository) == "existing"
    absent = Descriptor("x", Digest.of(b"absent"), 6)
    with pytest.raises(EngineError):
        other.bring_blob(absent, body(b"absenT", absent), target.repository)
    with pytest.raises(EngineError):
        read(place("source"), absent)
