# SPDX-License-Identifier: MIT
"""Scheduled trouble over real sockets: the tag names a complete, digest-equal image, or it is as it was."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azext_acrimport.engine import (
    ANONYMOUS,
    Cancellation,
    CopyRequest,
    Destination,
    RegistryClient,
    RegistryRepository,
    RetryPolicy,
    Transport,
    TransportOptions,
    copy_images,
)
from tests.sandbox import images
from tests.sandbox.faults import Fault, Faults
from tests.sandbox.registry import Oddities, Registry
from tests.sandbox.server import Listener, Response
from tests.sandbox.storage import Storage
from tests.support.content import tag_digest, tree

IMAGE = images.index([(p, images.image(f"fault-{p}", (3000, 200))) for p in ("linux/amd64", "linux/arm64/v8")])
OLD = images.image("fault-old")
OK = Response(200)

actions = st.sampled_from([
    {"answer": Response(429, {"Retry-After": "0"})},
    {"answer": Response(503)},
    {"answer": Response(500)},
    {"answer": Response(404)},
    {"answer": Response(401)},
    {"answer": Response(403)},
    {"answer": Response(416)},
    {"answer": Response(200, {}, b"<html>a proxy's page</html>")},
    {"answer": Response(307, {"Location": "https://169.254.169.254/"})},
    {"cut_after": 0},
    {"cut_after": 100},
    {"damage": lambda body: body[:-1]},
    {"damage": lambda body: bytes(reversed(body))},
])  # fmt: skip
faults = st.fixed_dictionaries({
    "method": st.sampled_from(["HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"]),
    "path": st.sampled_from(["/v2/.*", "/v2/.*/manifests/.*", "/v2/.*/blobs/.*"]),
    "skip": st.integers(0, 5),
    "times": st.sampled_from([1, 2, 99]),
})  # fmt: skip
schedules = st.lists(st.tuples(faults, actions, st.booleans()), min_size=1, max_size=3)


def may_keep_sessions(fault: Fault) -> bool:
    """Of a request that was not heard, or whose answer was lost, nobody knows; who asks for quiet is left alone."""
    hit = fault.seen > fault.skip
    return hit and (fault.method in {"POST", "PUT", "PATCH", "DELETE"} or (fault.answer or OK).status == 429)


def copy(source: str, target: str, jobs: int):
    """One import with force, with hardly any patience."""
    cancellation = Cancellation()
    options = TransportOptions(retry=RetryPolicy(attempts=3, base=0.001), read_timeout=60, upload_timeout=60)
    sides = [Transport(origin, options, cancellation) for origin in ("source", "target")]
    stores = [
        RegistryRepository(RegistryClient(host, host, side, lambda: ANONYMOUS), "app")
        for host, side in zip((source, target), sides, strict=True)
    ]
    try:
        request = CopyRequest(stores[0], "1", (Destination(stores[1], ("1",)),), True)
        return copy_images([request], cancellation, jobs=jobs).items[0]
    finally:
        for side in sides:
            side.close()


@pytest.mark.leaves_uploads  # whose first or last request was hit
@settings(max_examples=settings.default.max_examples * 40 // 100)
@given(schedules, st.sampled_from([1, 3]), st.booleans(), st.booleans())
def test_any_schedule_leaves_the_tag_complete_or_alone(schedule, jobs, tagged, no_large_put):
    """And the report says why; in fair weather a second run ends the work."""
    with TemporaryDirectory() as folder:
        source = Registry(Storage(Path(folder) / "source"))
        target = Registry(Storage(Path(folder) / "target"), Oddities(max_put=1000 if no_large_put else None))
        IMAGE.push(source, "app", "1")
        if tagged:
            OLD.push(Registry(target.storage), "app", "1")
        weather = {True: Faults(), False: Faults()}
        added = [(at_source, weather[at_source].add(**fault, **action)) for fault, action, at_source in schedule]
        planned = [fault for at_source, fault in added if not at_source]
        with Listener(weather[True].around(source)) as one, Listener(weather[False].around(target)) as other:
            result = copy(one.address, other.address, jobs)
            named = tag_digest(target, "app", "1")
            if result.error is None:
                assert named == IMAGE.digest
                assert tree(target, "app", "1") == tree(source, "app", "1")
            else:
                assert named in ((OLD.digest if tagged else None), IMAGE.digest)
                assert result.error.code
            if named:
                tree(target, "app", "1")
            if not any(map(may_keep_sessions, planned)):
                assert not [name for name, kept in target.storage.repositories.items() if kept.uploads]
            for side in weather.values():
                side.clear()
            assert copy(one.address, other.address, jobs).error is None
        assert tree(target, "app", "1") == tree(source, "app", "1")
