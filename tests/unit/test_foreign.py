# SPDX-License-Identifier: MIT
"""The one door for text that is not ours, and that every error has it."""

from __future__ import annotations

import pytest

from azext_acrimport.engine import (
    ContentError,
    LayoutError,
    ManifestError,
    NetworkError,
    NoMatchingPlatform,
    NotFound,
    foreign_text,
    redact_url,
)

# what a registry would say to a terminal, to a pipeline's agent, and to whoever reads a log
EVIL = "a\x1b[2J\r\n##vso[task.setvariable variable=x]b\u202egnp.exe\u200b##[error]" + "z" * 5000


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("plain words, ## too", "plain words, ## too"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("one\r\ntwo\n\n three", "one two three"),
        ("a\x00b\x07c\x7fd\x85e\x9bf", "a b c d e f"),
        ("\u202eevil\u2066x\u2069\u200e", "evil x"),
        ("zero\u200bwidth\ufeff\u2060", "zero width"),
        ("\u3164\u115fhidden\ufe0f\U000e0041", "hidden"),
        ("line\u2028paragraph\u2029end", "line paragraph end"),
        ("half \ud800 a pair", "half a pair"),
        ("##vso[task.complete result=Failed;]", "# #vso[task.complete result=Failed;]"),
        ("before ##vso[x]", "before # #vso[x]"),
        ("##[error]no", "# #[error]no"),
        ("###[group]", "## #[group]"),
        ("#\u200b#vso[x]", "# #vso[x]"),
        ("#\n#vso[x]", "# #vso[x]"),
        ("##VSO[x] ##teamcity[y]", "# #VSO[x] # #teamcity[y]"),
        ("grüße, 你好", "grüße, 你好"),
        (12, "12"),
        ("x" * 1000, "x" * 1000),
        ("x" * 1001, "x" * 999 + "…"),
        ("\n" * 100_000 + "x", ""),
    ],
)
def test_text_is_made_fit_to_be_shown(said, shown):
    """One line, printable, short, and an order to nobody."""
    assert foreign_text(said) == shown


@pytest.mark.parametrize(
    "error",
    [
        NotFound(EVIL, origin="source", method="GET", path=EVIL, codes=(EVIL,), text=EVIL, request_id=EVIL, mode=EVIL),
        NetworkError(EVIL, "other", EVIL, origin="source"),
        ContentError(EVIL, EVIL, EVIL, origin="source"),
        LayoutError(EVIL, EVIL),
        ManifestError(EVIL, subject=EVIL),
        NoMatchingPlatform(EVIL, "linux/amd64", (EVIL, EVIL)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_error_holds_anything_else(error):
    """Whatever is read of it, by whomever."""
    error.repository = EVIL  # what is only known later, too
    held = [value for value in vars(error).values() if isinstance(value, str)]
    held += [part for value in vars(error).values() if isinstance(value, tuple) for part in value]
    for text in (str(error), error.message, *error.args, *held):
        assert text == foreign_text(text)
        assert text.isprintable() and "##vso[" not in text and "##[" not in text and len(text) <= 1000


def test_url_that_is_shown_has_passed_it():
    """Also one that no parser takes."""
    assert redact_url("https://h/\u202ex\x1by?sig=secret") == "https://h/ x y?sig=REDACTED"
    assert redact_url("https://[::1/?sig=secret") == "REDACTED"
