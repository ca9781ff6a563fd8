# SPDX-License-Identifier: MIT
"""Which tags are wanted: one table of listings and patterns."""

from __future__ import annotations

import pytest

from azext_acrimport.batch import regexes
from azext_acrimport.batch.selection import Pattern, Selection

ALPINE = (
    "3.18 3.18.1 v3.19 3.19.1-rc1 3.20 3.20.0 4.0 4.0.0-rc1 latest edge 20240115 20240115-slim 2024-01-15 "
    "22.04 3.18-alpine 1.2.3_build5 3.18.1.2 3.1-beta.2 3.1-beta.11 b9 b10 b2"
).split()


def select(listed, tags=(), exclude=(), newest=None) -> list[str]:
    """As one repository's listing is narrowed."""
    selection = Selection(tuple(map(Pattern.parse, tags)), tuple(map(Pattern.parse, exclude)), newest)
    found = regexes.search_all({expression: listed for expression in selection.regexes})
    return selection.of(listed, found)


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        # exact: not listed is wanted as well, after the listed ones
        ("latest", "latest"),
        ("3.18 edge", "3.18 edge"),
        ("gone latest", "latest gone"),
        # globs: over the whole tag
        ("3.18*", "3.18 3.18.1 3.18-alpine 3.18.1.2"),
        ("3.?8", "3.18"),
        ("*-rc*", "3.19.1-rc1 4.0.0-rc1"),
        ("[34].*0", "3.20 3.20.0 4.0"),
        ("*", " ".join(ALPINE)),
        ("18*", ""),
        # regular expressions: searched
        (r"/^3\.\d+$/", "3.18 3.20"),
        ("/rc/", "3.19.1-rc1 4.0.0-rc1"),
        ("/^(?:edge|latest)$/", "latest edge"),
        # ranges: an optional v, one to three numbers, no pre-releases
        (">=3.18 <4", "3.18 3.18.1 v3.19 3.20 3.20.0"),
        (">=3.18,<4", "3.18 3.18.1 v3.19 3.20 3.20.0"),
        (">= 3.18 < 3.20", "3.18 3.18.1 v3.19"),
        (">=v3.20", "3.20 3.20.0 4.0 22.04"),
        ("<3.18", "1.2.3_build5"),
        ("<=3.18.0", "3.18 1.2.3_build5"),
        (">3.18.1", "v3.19 3.20 3.20.0 4.0 22.04"),
        ("=3.18.1", "3.18.1"),
        ("==1.2.3", "1.2.3_build5"),
        ("^3.19", "v3.19 3.20 3.20.0"),
        ("^3", "3.18 3.18.1 v3.19 3.20 3.20.0"),
        ("~3.18", "3.18 3.18.1"),
        ("~3.18.1", "3.18.1"),
        ("~3", "3.18 3.18.1 v3.19 3.20 3.20.0"),
        (">=3 !=3.20.0 <4", "3.18 3.18.1 v3.19"),
        ("<2 || >=20", "22.04 1.2.3_build5"),
        # a bound with fewer numbers
        ("=3.18", "3.18 3.18.1"),
        ("<=3.18", "3.18 3.18.1 1.2.3_build5"),
        (">3.18", "v3.19 3.20 3.20.0 4.0 22.04"),
        (">3", "4.0 22.04"),
        ("=3.x", "3.18 3.18.1 v3.19 3.20 3.20.0"),
        ("=*", "3.18 3.18.1 v3.19 3.20 3.20.0 4.0 22.04 1.2.3_build5"),
        # pre-releases, where the range names one; never those of an upper bound
        (">=3.19.0-0 <4", "v3.19 3.19.1-rc1 3.20 3.20.0"),
        (">=4.0.0-rc1 <5", "4.0 4.0.0-rc1"),
        (">=4.0.0-rc2 <5", "4.0"),
        ("=3.1-beta.2", "3.1-beta.2"),
        (">3.1-beta.2 <3.1-rc", "3.1-beta.11"),
        (">=3.20 <4 || =4.0.0-rc1", "3.20 3.20.0 4.0.0-rc1"),
        # dates are no versions, whatever follows
        (">=2024", ""),
        (">=20000000", ""),
        # alternatives
        ("latest ^4 *.04", "4.0 latest 22.04"),
    ],
)
def test_tags_are_selected_in_the_order_of_the_listing(patterns, chosen):
    """Each pattern alone says what it is; several are alternatives."""
    whole = patterns[0] in "<>=^~/"
    assert select(ALPINE, [patterns] if whole else patterns.split()) == chosen.split()


@pytest.mark.parametrize(
    ("tags", "exclude", "newest", "chosen"),
    [
        ([], [], None, " ".join(ALPINE)),
        (["3.18*"], ["*-alpine", "3.18.1.2"], None, "3.18 3.18.1"),
        (["latest"], ["latest"], None, ""),
        ([], ["<30", "/[a-z]/", "*-*"], None, "20240115 3.18.1.2"),
        (["^3"], [], 1, "3.20.0"),
        ([], [], 3, "4.0 4.0.0-rc1 22.04"),
        (["4*"], [], 1, "4.0"),
        (["*-rc1", "2024*", "edge"], [], 2, "3.19.1-rc1 4.0.0-rc1"),
        (["20240115", "2024-01-15", "edge"], [], 1, "edge"),
        (["b9", "b10", "b2"], [], 2, "b9 b10"),
        (["b9", "b10", "gone", "missing"], ["missing"], 1, "b10 gone"),
        (["3.18"], [], 5, "3.18"),
        (["3.1-beta*"], [], 1, "3.1-beta.11"),
    ],
)
def test_exclusion_and_the_newest(tags, exclude, newest, chosen):
    """Excluded before the newest are taken; versions before all that are none, numbers as numbers."""
    assert sorted(select(ALPINE, tags, exclude, newest)) == sorted(chosen.split())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "a:b",
        "a@b",
        "/(/",
        "/a{99999999999}/",
        ">",
        ">=x.y.z.q",
        ">=1.2.3.4",
        "^1 nonsense",
        "[12]",
        "x" * 129,
    ],
)
def test_what_is_no_pattern_is_refused(text):
    """And never taken for a tag that nobody has."""
    with pytest.raises(ValueError):
        Pattern.parse(text)


def test_regular_expression_that_never_ends_is_ended(monkeypatch):
    """With its text, and in a bounded time."""
    monkeypatch.setattr(regexes, "PATIENCE", 0.5)
    with pytest.raises(ValueError, match=r"\(a\+\)\+\$"):
        select(["a" * 60 + "!"], ["/a/", "/(a+)+$/"])


def test_pattern_that_matches_nothing_is_known():
    """But for a single tag, which is asked for by its name."""
    selection = Selection(tuple(map(Pattern.parse, ["9.*", ">=3", "gone"])))
    assert [pattern.text for pattern in selection.unmatched(ALPINE, {})] == ["9.*"]
