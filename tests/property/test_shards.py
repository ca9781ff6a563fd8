# SPDX-License-Identifier: MIT
"""Parts of a batch: whatever it holds, each item is in one of them."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.batch.shards import part_of
from azext_acrimport.batch.targets import Item
from azext_acrimport.batch.wanted import Wanted

sizes = st.lists(st.integers(1, 40), max_size=12)


@given(sizes, st.integers(1, 9), st.randoms(use_true_random=False))
def test_parts_are_disjoint_complete_balanced_and_the_same_again(sizes, parts, random):
    """A repository stays whole where it fits; parts differ by less than any repository in the fullest."""
    items = [
        Item(Wanted("reg.test", f"repo{number}", f"t{tag}"), f"repo{number}", f"t{tag}")
        for number, size in enumerate(sizes)
        for tag in range(size)
    ]
    random.shuffle(items)
    dealt = [part_of(items, part, parts) for part in range(1, parts + 1)]
    assert sorted(item.target for part in dealt for item in part) == sorted(item.target for item in items)
    assert all(part == [item for item in items if item in part] for part in dealt)
    share = -(-len(items) // parts)
    fullest, emptiest = max(dealt, key=len), min(dealt, key=len)
    if fullest:  # what was dealt to it last, its smallest, went to the part that had least
        smallest = min(Counter(item.repository for item in fullest).values())
        assert len(fullest) - len(emptiest) <= smallest
    for number, size in enumerate(sizes):
        holders = [part for part in dealt if any(item.repository == f"repo{number}" for item in part)]
        assert len(holders) <= -(-size // share)
    assert dealt == [part_of(list(items), part, parts) for part in range(1, parts + 1)]
