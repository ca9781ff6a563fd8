# SPDX-License-Identifier: MIT
"""A wrong blob can never be completed by whoever sends what it reads."""

from __future__ import annotations

import io

import pytest

from azext_acrimport.engine import Body, Cancellation, Cancelled, Descriptor, Digest, DigestMismatch, Truncated

RAW = bytes(range(256)) * 10


def body(raw: bytes = RAW, *, size: int | None = None, digest: Digest | None = None) -> Body:
    """Content that claims to be RAW."""
    descriptor = Descriptor("x", digest or Digest.of(RAW), len(RAW) if size is None else size)
    return Body(descriptor, lambda: io.BytesIO(raw))


def read(of: Body, block: int = 100) -> list[bytes]:
    """All blocks until the end, or until it raises; what was handed out before is in ``handed``."""
    reader, blocks = of.open(), []
    try:
        while more := reader.read(block):
            blocks.append(more)
    except Exception as error:
        error.handed = sum(map(len, blocks))  # type: ignore[attr-defined]
        raise
    return blocks


@pytest.mark.parametrize("block", [1, 100, 2560, 10_000])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_right_bytes_pass(block, algorithm):
    """Whatever the size of the reads."""
    assert b"".join(read(body(digest=Digest.of(RAW, algorithm)), block)) == RAW


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (RAW[:-1] + b"x", DigestMismatch),
        (b"x" + RAW[1:], DigestMismatch),
        (RAW[:-1], Truncated),
        (b"", Truncated),
        (RAW + b"x", Truncated),
    ],
    ids=["last byte", "first byte", "short", "empty", "long"],
)
@pytest.mark.parametrize("block", [1, 100, 10_000])
def test_wrong_bytes_are_never_all_handed_out(wrong, kind, block):
    """The last block stays here, so nothing that is sent on can be complete."""
    with pytest.raises(kind) as caught:
        read(body(wrong), block)
    assert caught.value.handed < len(RAW)
    assert caught.value.origin == "source"


def test_it_can_be_opened_again():
    """An upload that starts anew needs the same bytes."""
    of = body()
    assert read(of) == read(of)
    assert len(of.open()) == len(RAW)


def test_observer_hears_absolute_counts_and_can_stop_it():
    """Progress and cancellation at every block."""
    heard, cancellation = [], Cancellation()
    assert b"".join(read(body().observed(heard.append, cancellation), 1000)) == RAW
    assert heard == [1000, 2000, 2560]
    cancellation.cancel()
    with pytest.raises(Cancelled):
        read(body().observed(heard.append, cancellation))
