# SPDX-License-Identifier: MIT
"""References and challenges: what is written is read back, and no text at all does harm."""

from __future__ import annotations

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from azext_acrimport.engine import Digest, InvalidReference, Reference
from azext_acrimport.engine.auth.challenge import Challenge
from azext_acrimport.engine.auth.scope import Scope
from azext_acrimport.engine.content.reference import MAX_NAME

ALPHANUMERIC = string.ascii_lowercase + string.digits
words = st.text(ALPHANUMERIC, min_size=1, max_size=12)
components = st.lists(words, min_size=1, max_size=3).flatmap(
    lambda parts: st.sampled_from([".", "_", "__", "-", "--"]).map(lambda separator: separator.join(parts))
)
repositories = st.lists(components, min_size=2, max_size=4).map("/".join)
hosts = st.one_of(
    st.lists(words, min_size=2, max_size=3).map(".".join),
    st.tuples(words, st.integers(1, 65535))
    .filter(lambda pair: pair[1] != 443)
    .map(lambda pair: f"{pair[0]}:{pair[1]}"),
    st.just("[::1]:5000"),
)
tags = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,30}", fullmatch=True)
digests = st.binary().map(Digest.of)
references = st.builds(
    Reference, hosts, repositories, st.one_of(st.none(), tags), st.one_of(st.none(), digests)
).filter(lambda reference: len(f"{reference.registry}/{reference.repository}") <= MAX_NAME)


@given(references)
def test_reference_is_read_back(reference):
    """Its text means the same; without tag and digest it means latest."""
    read = Reference.parse(str(reference))
    assert (read.registry, read.repository, read.digest) == (reference.registry, reference.repository, reference.digest)
    assert read.tag == (reference.tag or (None if reference.digest else "latest"))
    assert Reference.parse(str(read)) == read


# pieces of which the texts are made, so that the interesting ones come often
pieces = st.lists(
    st.one_of(
        st.sampled_from(
            [*"/:@.-_[]+", "//", "sha256:", "a" * 64, "localhost", "docker.io", ":5000", "latest", "[::1]"]
        ),
        st.text(max_size=3),
        words,
    ),
    max_size=12,
).map("".join)


@settings(max_examples=15 * settings.default.max_examples)
@given(pieces)
def test_any_text_is_a_reference_or_is_refused(text):
    """Fuzzed: one kind of exception, and what is accepted is written as it is read."""
    try:
        reference = Reference.parse(text)
    except InvalidReference:
        return
    assert Reference.parse(str(reference)) == reference


names = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=10)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
challenges = st.lists(
    st.tuples(names.map(str.lower), st.dictionaries(names.map(str.lower), values, min_size=1, max_size=4)), max_size=4
)


@given(challenges)
def test_challenges_are_read_back(written):
    """However many there are, whatever their values hold."""

    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        f"{scheme} " + ", ".join(f"{name}={quoted(value)}" for name, value in parameters.items())
        for scheme, parameters in written
    )
    assert [(found.scheme, dict(found.parameters)) for found in Challenge.parse_all(header)] == written


headers = st.lists(
    st.one_of(
        st.sampled_from(
            ["Bearer ", "Basic ", 'realm="', '"', "\\", ",", "=", " ", "\t", "scope=", "repository:a:pull", ";"]
        ),
        st.text(max_size=3),
        names,
    ),
    max_size=20,
).map("".join)


@settings(max_examples=15 * settings.default.max_examples)
@given(headers)
def test_any_header_is_read(header):
    """Fuzzed: nothing is raised, and it ends."""
    Challenge.parse_all(header)
    Challenge.parse_all(f"Bearer {header}")
    Scope.parse_all(header)
