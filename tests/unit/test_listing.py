# SPDX-License-Identifier: MIT
"""All tags, all repositories, and what Docker Hub still allows: as registries tell it."""

from __future__ import annotations

import itertools
import json

import pytest

from azext_acrimport.engine import (
    ANONYMOUS,
    ListingError,
    NetworkError,
    Quota,
    RegistryClient,
    RegistryRepository,
    list_repositories,
    list_tags,
)
from azext_acrimport.engine.registry import listing
from azext_acrimport.engine.registry.quota import QuotaMeter
from tests.support.scripted import Script, answer, transport


def client(answers, host: str = "r.test") -> tuple[RegistryClient, Script]:
    """Of a source, and what is sent to it."""
    script = Script(answers)
    return RegistryClient(host, host, transport(script), lambda: ANONYMOUS), script


def page(*tags: str, more: str = "", member: str = "tags"):
    """One page of a list."""
    headers = {"Link": f'<{more}>; rel="next"'} if more else {}
    return answer(200, headers, json.dumps({member: list(tags)}).encode())


def test_pages_are_put_together():
    """In the registry's order, each name once, and only names that are some."""
    of, script = client([page("b", "a", more="/v2/app/tags/list?last=a&n=2"), page("a", "c", "-bad", "\x1b[2J")])
    assert list_tags(of, "app") == ["b", "a", "c"]
    assert script.asked == [
        "GET https://r.test/v2/app/tags/list?n=1000",
        "GET https://r.test/v2/app/tags/list?last=a&n=2",
    ]


def test_catalog_is_asked_for_with_its_own_scope():
    """registry:catalog:*, which is no repository."""
    headers = {"WWW-Authenticate": 'Bearer realm="https://r.test/token",service="r.test"'}
    of, script = client([answer(401, headers), answer(200, {}, b'{"token": "t"}'), page("a/b", member="repositories")])
    assert list_repositories(of) == ["a/b"]
    assert script.sent[1].url.endswith("scope=registry%3Acatalog%3A%2A")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"tags": null}', []),
        (b'{"name": "app", "tags": []}', []),
        (b'{"tags": ["1", null, "2"]}', ["1", "2"]),
    ],
)
def test_null_is_none(body, found):
    """As old registries say it; in a list it is no tag, and hides none. What cosign keeps is looked for in the same."""
    assert list_tags(client([answer(200, {}, body)])[0], "app") == found
    assert list(RegistryRepository(client([answer(200, {}, body)])[0], "app").list_tags(1)) == found


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"tags": 1}', b'{"tags": [1]}', b"[" * 100_000, b"<html>"])
def test_what_is_no_list_is_an_error(body):
    """Never an empty list."""
    with pytest.raises(ListingError, match="no list of tags"):
        list_tags(client([answer(200, {}, body)])[0], "app")


def test_pages_that_go_round_end():
    """With an error; pages that are empty for a while do not."""
    of, script = client(lambda sent: page("a", more="/v2/app/tags/list?last=a"))
    with pytest.raises(ListingError, match="again and again"):
        list_tags(of, "app")
    assert len(script.sent) == listing.MAX_BARREN + 2
    some = [page("a", more="/v2/x"), *(page(more="/v2/x") for _ in range(listing.MAX_BARREN)), page("b")]
    assert list_tags(client(some)[0], "app") == ["a", "b"]


def test_list_without_an_end_ends(monkeypatch):
    """With an error, before it fills the memory."""
    monkeypatch.setattr(listing, "MAX_NAMES", 25)
    number = itertools.count()
    of, _ = client(lambda sent: page(*(f"t{next(number)}" for _ in range(10)), more="/v2/next"))
    with pytest.raises(ListingError, match="more than 25 tags"):
        list_tags(of, "app")


def test_list_that_goes_on_at_another_host_is_not_followed():
    """Whatever the registry says."""
    with pytest.raises(NetworkError):
        list_tags(client([page("a", more="https://evil.test/x")])[0], "app")


def test_quota_is_read_where_it_is_told():
    """By Docker Hub, with each answer; another registry's header of this name means something else."""
    told = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600"}
    for host, quota in (("docker.io", Quota(76, 21600)), ("r.test", None)):
        of, _ = client([answer(200, told)], host)
        of.fetch("HEAD", "/v2/app/manifests/1", scopes=(), accept={200})
        assert (of.meter.quota if of.meter else None) == quota


def test_quota_goes_down_until_its_window_is_over():
    """Answers overtake one another; a refusal says that nothing is left."""
    now = [0.0]
    meter = QuotaMeter(lambda: now[0])
    for header in ("9;w=21600", "7;w=21600", "8;w=21600", "many", ""):
        meter.read({"ratelimit-remaining": header})
    assert meter.quota == Quota(7, 21600)
    meter.spent()
    assert meter.quota == Quota(0, 21600)
    now[0] = 61.0
    meter.read({"ratelimit-remaining": "100;w=21600"})
    assert meter.quota == Quota(100, 21600)
