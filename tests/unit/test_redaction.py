# SPDX-License-Identifier: MIT
"""What of a URL may be seen."""

from __future__ import annotations

import pytest

from azext_acrimport.engine import redact_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://r.io/v2/a/manifests/1", "https://r.io/v2/a/manifests/1"),
        ("https://u:p@r.io/v2/", "https://r.io/v2/"),
        ("https://s.io/b?sv=2020&sig=secret", "https://s.io/b?sv=REDACTED&sig=REDACTED"),
        ("/v2/a/blobs/uploads/1?_state=x&digest=sha256:ab", "/v2/a/blobs/uploads/1?_state=REDACTED&digest=sha256:ab"),
        ("https://a.io/token?service=r.io&scope=repository:a:pull,push",
         "https://a.io/token?service=r.io&scope=repository:a:pull,push"),
        ("https://r.io/x#fragment", "https://r.io/x"),
    ],
)  # fmt: skip
def test_only_harmless_values_are_shown(url, shown):
    """Names stay, values go, unless they are known."""
    assert redact_url(url) == shown
