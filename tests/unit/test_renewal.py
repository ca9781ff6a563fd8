# SPDX-License-Identifier: MIT
"""When a token that was refused is renewed once more."""

from __future__ import annotations

from azext_acrimport.engine.auth.renewal import Admissions, Renewal


def test_token_that_others_have_used_up_is_renewed_and_a_fresh_one_is_not():
    """It was fetched by others while this request was on its way, and they were let in before it was told."""
    admissions = Admissions()
    renewal = Renewal(admissions)
    with renewal:
        admissions.count(let_in=3)
    assert renewal.is_worthwhile(None)
    with renewal:
        pass
    assert renewal.is_worthwhile(None)
    with renewal:
        pass
    assert not renewal.is_worthwhile(None)
