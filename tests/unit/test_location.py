# SPDX-License-Identifier: MIT
"""Sources that are files, as people write them."""

from __future__ import annotations

import pytest

from azext_acrimport.engine import InvalidReference, LayoutReference, Reference, parse_location

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "expected", "repository", "tag"),
    [
        ("oci:app", ("oci", "app", ""), "", None),
        ("oci:/srv/app:1.0", ("oci", "/srv/app", "1.0"), "", "1.0"),
        (f"oci:app@{DIGEST}", ("oci", "app", DIGEST), "", None),
        (r"oci:C:\images\app:1.0", ("oci", r"C:\images\app", "1.0"), "", "1.0"),
        ("oci-archive:app.tar", ("oci-archive", "app.tar", ""), "", None),
        ("oci-archive:C:/app.tar.gz:1.0", ("oci-archive", "C:/app.tar.gz", "1.0"), "", "1.0"),
        ("oci:app:docker.io/library/app:1.0", ("oci", "app", "docker.io/library/app:1.0"), "library/app", "1.0"),
        ("oci-archive:a.tar:host:5000/app", ("oci-archive", "a.tar", "host:5000/app"), "app", None),
        ("docker-archive:app.tar", ("docker-archive", "app.tar", ""), "", None),
        ("docker-archive:app.tar:team/app:1.0", ("docker-archive", "app.tar", "team/app:1.0"), "team/app", "1.0"),
        (
            "docker-archive:app.tar:registry.corp:5000/team/app:1.0",
            ("docker-archive", "app.tar", "registry.corp:5000/team/app:1.0"),
            "team/app",
            "1.0",
        ),
    ],
)
def test_location_of_files_is_read(text, expected, repository, tag):
    """And written as it was read."""
    found = parse_location(text)
    assert found == LayoutReference(*expected)
    assert (found.repository, found.tag) == (repository, tag)
    assert str(found) == text


@pytest.mark.parametrize(
    "text",
    ["oci:", "oci://r.test/chart:1", "oci::1", "oci:app:", "docker-archive:a.tar:app", "docker-archive:a.tar:a:b/c"],
)
def test_location_that_names_nothing_is_refused(text):
    """As any other reference that is none."""
    with pytest.raises(InvalidReference):
        parse_location(text)


def test_location_of_a_registry_is_a_reference():
    """Also where the host is called oci."""
    assert parse_location("docker.io/library/alpine:3") == Reference.parse("docker.io/library/alpine:3")
    assert parse_location("oci.corp/app:1").registry == "oci.corp"
