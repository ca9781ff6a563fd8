# SPDX-License-Identifier: MIT
"""Any image, any trouble: the tag names a complete image, or it is as it was and the report says why."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.engine import Denied, DigestMismatch, NetworkError, ServerError
from tests.sandbox import images
from tests.support.stores import MemoryStore, complete, copy

OLD = images.image("old")

leaves = st.builds(
    lambda seed, sizes, docker: images.image(seed, sizes, docker=docker),
    st.integers(0, 5),
    st.lists(st.integers(0, 40), max_size=3),
    st.booleans(),
)
artifacts = st.recursive(
    leaves,
    lambda children: st.lists(children, min_size=1, max_size=3).map(
        lambda found: images.index([("linux/amd64", child) for child in found])
    ),
    max_leaves=5,
)
troubles = st.sampled_from([
    lambda origin: NetworkError("r.test", "reset", origin=origin),
    lambda origin: ServerError("r.test", origin=origin, status=503),
    lambda origin: Denied("r.test", origin=origin, status=403),
    lambda origin: DigestMismatch("blob", "a", "b", origin=origin),
])  # fmt: skip


@given(artifacts, st.integers(1, 4), st.sets(st.integers(0, 20)))
def test_any_image_arrives(artifact, jobs, known):
    """Whatever of it is there already."""
    source, target = MemoryStore("source.test").hold(artifact, "1"), MemoryStore("target.test")
    target.blobs = {d: raw for number, (d, raw) in enumerate(artifact.blobs.items()) if number in known}
    before = len(target.blobs)
    result = copy(source, target, jobs=jobs)
    assert result.status == "copied"
    assert complete(target, artifact.digest)
    assert target.tags == {"1": artifact.digest}
    assert target.calls[-1] == ("tag", "1") or jobs > 1
    assert result.blobs.copied + result.blobs.existing == len(artifact.blobs)
    assert result.blobs.existing == before


@given(artifacts, st.integers(1, 4), st.integers(0, 40), troubles, st.booleans(), st.booleans())
def test_any_trouble_leaves_the_tag_complete_or_alone(artifact, jobs, number, trouble, at_source, tagged):
    """One call, the n-th of either side, fails for good."""
    source, target = MemoryStore("source.test").hold(artifact, "1"), MemoryStore("target.test")
    if tagged:
        target.hold(OLD, "1")
    troubled, origin = (source, "source") if at_source else (target, "target")

    def fail(method: str, what: str) -> None:
        if len(troubled.calls) > number:
            raise trouble(origin)

    troubled.before = fail
    result = copy(source, target, jobs=jobs, force=True)
    if result.error is None:
        assert target.tags == {"1": artifact.digest}
        assert complete(target, artifact.digest)
    else:
        assert result.error.origin == origin
        assert result.status == "failed"
        assert target.tags == ({"1": OLD.digest} if tagged else {})
    troubled.before = lambda method, what: None
    assert copy(source, target, jobs=jobs, force=True).error is None
    assert complete(target, artifact.digest)
