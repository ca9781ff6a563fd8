# SPDX-License-Identifier: MIT
"""Which blobs are asked for before it is known whether they are wanted, and what comes of the asking."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest

from azext_acrimport.engine import (
    ANONYMOUS,
    BlobPlaces,
    Body,
    Cancellation,
    Descriptor,
    Digest,
    NetworkError,
    RegistryClient,
    RegistryRepository,
)
from azext_acrimport.engine.copy.blobs import Blobs
from azext_acrimport.engine.copy.driver import Driver, gather
from azext_acrimport.engine.copy.progress import Totals
from azext_acrimport.engine.registry.ranges import HUGE_BYTES
from azext_acrimport.engine.waiting import Attempts, Postponed
from tests.support.scripted import Script, answer, transport
from tests.support.stores import MemoryStore

RAW = [bytes([n]) * 100 for n in range(20)]
BLOBS = [Descriptor("x", Digest.of(raw), len(raw)) for raw in RAW]


class Source(MemoryStore):
    """One that counts what it is asked for early."""

    def __init__(self) -> None:
        super().__init__("source.test")
        self.blobs = {str(blob.digest): raw for blob, raw in zip(BLOBS, RAW, strict=True)}
        self.early: list[Digest] = []
        self.declined: list[Digest] = []

    def blob(self, descriptor: Descriptor) -> Body:
        """As ``Source.blob``."""

        class Asked:
            taken = False

            def take(asked) -> io.BytesIO:
                asked.taken = True
                return io.BytesIO(self.blobs[str(descriptor.digest)])

            def decline(asked) -> None:
                self.declined += [] if asked.taken else [descriptor.digest]

        def early() -> Asked:
            self.early.append(descriptor.digest)
            return Asked()

        body = super().blob(descriptor)
        return Body(descriptor, body.opener, early=early)


class Remembered(BlobPlaces):
    """The blob was in this repository once."""

    def where(self, registry: str, blob: Descriptor) -> str:
        """As ``BlobPlaces.where``."""
        return "app"


def brought(source: Source, target: MemoryStore, *groups: Sequence[Descriptor], jobs: int = 4, places=None) -> None:
    """One group after the other, the blobs of each at once."""
    driver = Driver(jobs, Cancellation())
    blobs = Blobs(driver, places or BlobPlaces(), Totals(lambda progress: None))

    async def story() -> None:
        for group in groups:
            await gather(*(blobs.bring(blob, target, source, (0, 1), lambda: True) for blob in group))

    driver.run(story(), lambda: None, 10.0)


@pytest.mark.parametrize(
    ("jobs", "count", "early"), [(4, 3, 3), (4, 20, 4), (1, 3, 0)], ids=["few", "many", "one after the other"]
)
def test_few_are_asked_for_early(jobs, count, early):
    """With many the line is busy anyway; each is taken, once."""
    source, target = Source(), MemoryStore("target.test")
    brought(source, target, BLOBS[:count], jobs=jobs)
    assert (len(source.early), source.declined) == (early, [])
    assert len(target.blobs) == count


def test_what_may_be_there_is_not_asked_for_early():
    """It is remembered, or the repository had another blob already, or one of its neighbours has it."""
    source, target = Source(), MemoryStore("target.test")
    target.blobs[str(BLOBS[0].digest)] = RAW[0]
    brought(source, target, BLOBS[:1], BLOBS[1:2])
    assert source.early == source.declined == [BLOBS[0].digest]
    source = Source()
    brought(source, MemoryStore("target.test"), BLOBS[:2], places=Remembered())
    assert source.early == []
    source, target = Source(), MemoryStore("source.test", "copy")
    target.neighbours["app"] = source
    brought(source, target, BLOBS[:2])
    assert source.early == []


def repository(script: Script) -> RegistryRepository:
    """The source."""
    of = RegistryClient("r.test", "r.test", transport(script), lambda: ANONYMOUS)
    return RegistryRepository(of, "app")


@pytest.mark.parametrize(("size", "early"), [(0, False), (1, True), (HUGE_BYTES, True), (HUGE_BYTES + 1, False)])
def test_huge_and_empty_ones_are_not(size, early):
    """An empty one is not read at all, and a huge one by more than one connection."""
    blob = Descriptor("x", Digest.of(b""), size)
    assert bool(repository(Script([])).blob(blob).early) is early


def read(script: Script) -> bytes:
    """The first blob, asked for early."""
    with repository(script).blob(BLOBS[0]).begun() as body:
        reader = body.open()
        content = reader.read() + reader.read()
        reader.close()
    return content


def test_first_opening_has_what_was_asked_for():
    """And the next one, of an upload that begins anew, asks anew."""
    script = Script([answer(body=RAW[0]), answer(body=RAW[0])])
    with repository(script).blob(BLOBS[0]).begun() as body:
        for _ in range(2):
            assert body.open().read() == RAW[0]
    assert len(script.sent) == 2


def test_nothing_is_tried_again_before_it_is_wanted():
    """Nor waited for, nor told."""
    script = Script([answer(503), answer(body=RAW[0])])
    of = repository(script)
    with of.blob(BLOBS[0]).begun() as body:
        assert body.open().read() == RAW[0]
    cancellation = of._client.transport.cancellation
    assert (cancellation.waits, cancellation.told) == ([], [])


def test_registry_that_wants_quiet_has_it():
    """No thread sleeps for it: who brings the blob comes back later."""
    script = Script([answer(body=RAW[0])])
    of = repository(script)
    way = of._client.transport
    way._gate("r.test").close(7.0, way.cancellation)
    with of.blob(BLOBS[0]).begun() as body, pytest.raises(Postponed):
        Attempts().postponing(body.open)
    assert (script.sent, way.cancellation.waits) == ([], [])


@pytest.mark.parametrize(
    "location",
    [
        "http://storage.test/x",
        "https://10.1.2.3/x",
        "https://169.254.169.254/x",
        "https://r.test@storage.test/x",
        "file:///etc/passwd",
        "https://[::1",
    ],
)
def test_address_that_leads_astray_is_not_followed(location):
    """As without the asking: the registry says it twice, and nobody goes there."""
    script = Script([answer(307, {"Location": location}), answer(307, {"Location": location})])
    with pytest.raises(NetworkError):
        read(script)
    assert [sent.url for sent in script.sent] == [f"https://r.test/v2/app/blobs/{BLOBS[0].digest}"] * 2


@pytest.mark.parametrize(("location", "shown"), [("https://storage.test/x?sig=1", None), ("/v2/other", "Bearer t")])
def test_authorization_stays_with_the_registry(location, shown):
    """It is shown again where the registry sends us to itself."""
    refused = answer(401, {"WWW-Authenticate": 'Bearer realm="/token"'})
    token = answer(body=b'{"token": "t"}')
    script = Script([refused, token, answer(307, {"Location": location}), answer(body=RAW[0])])
    assert read(script) == RAW[0]
    assert script.sent[-1].headers.get("Authorization") == shown
    assert script.sent[2].headers["Authorization"] == "Bearer t"
