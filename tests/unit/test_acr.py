# SPDX-License-Identifier: MIT
"""What an Azure container registry says of locks, and what becomes of answers that say nothing."""

from __future__ import annotations

import json

import pytest

from azext_acrimport.engine import (
    Digest,
    Disallowed,
    NetworkError,
    RateLimited,
    RegistryClient,
    RegistryRepository,
    TagPage,
)
from azext_acrimport.engine.auth.credential import ANONYMOUS
from tests.support.scripted import Script, answer, transport

DIGEST = Digest.of(b"manifest")


def repository(answers: object, *, acr: bool = True, soft_delete: bool = False) -> tuple[RegistryRepository, Script]:
    """``team/app`` of a registry that answers so."""
    script = Script(answers)
    side = transport(script, origin="target")
    client = RegistryClient("r.test", "r.test", side, lambda: ANONYMOUS, acr=acr, soft_delete=soft_delete)
    return RegistryRepository(client, "team/app"), script


def asked(answers: object, tags: tuple[str, ...] = (), *, acr: bool = True, soft_delete: bool = False) -> list[str]:
    """The requests of one question."""
    of, script = repository(answers, acr=acr, soft_delete=soft_delete)
    of.require_writable(tags, DIGEST)
    return [request.removeprefix("GET https://r.test") for request in script.asked]


def told(**members: object) -> object:
    """An answer with JSON."""
    return answer(body=json.dumps(members).encode())


LOCKED = {"changeableAttributes": {"writeEnabled": False}}
OPEN = {"changeableAttributes": {"writeEnabled": True}}


def test_open_doors_are_asked_once():
    """The repository, for all images, and each tag that will move; nothing of a registry that is not Azure's."""
    path = "/acr/v1/team/app"
    assert asked([told(**OPEN), told(tag=OPEN)], ("1",)) == [path, f"{path}/_tags/1"]
    assert asked([told(**OPEN), told(manifests=[])], soft_delete=True) == [path, "/acr/v1/_deleted/team/app/_manifests"]
    assert asked([], ("1",), acr=False) == []
    of, script = repository([told(**OPEN), told(tag=OPEN)])
    of.look_at_locks(), of.require_writable((), DIGEST), of.require_writable(("1",), DIGEST)
    assert len(script.asked) == 2


UNKNOWN = b'{"errors": [{"code": "NAME_UNKNOWN"}]}'


@pytest.mark.parametrize(
    ("said", "is_new"),
    [
        (answer(404, {}, UNKNOWN), True),
        (answer(404), False),
        (answer(403, {}, UNKNOWN), False),
        (answer(503), False),
        (told(**OPEN), False),
    ],
)
def test_repository_is_new_when_it_is_told_so(said, is_new):
    """And only until something is put there; a registry that is not Azure's tells nothing."""
    of, script = repository([said, answer(201, {"Location": "/"})])
    assert not of.is_new
    of.look_at_locks()
    assert of.is_new == is_new
    of.put_manifest(Digest.of(b"{}"), "x", b"{}")
    assert not of.is_new and script.answers == []
    of, _ = repository([], acr=False)
    of.look_at_locks()
    assert not of.is_new


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([told(**LOCKED)], "repository locked"),
        ([told(**OPEN), told(tag=LOCKED)], "tag locked"),
        ([told(**OPEN), told(tag=OPEN), told(manifests=[{"digest": str(DIGEST)}])], "manifest deleted"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_closed_door_is_named(answers, why):
    """With the repository."""
    with pytest.raises(Disallowed) as caught:
        asked(answers, ("1",), soft_delete=True)
    assert (caught.value.why, caught.value.repository, caught.value.code) == (why, "team/app", "target-disallowed")


@pytest.mark.parametrize(
    "nothing",
    [
        answer(403),
        answer(404),
        answer(500),
        ConnectionResetError("Connection reset by peer"),
        answer(body=b"<html>"),
        answer(body=b"[1]"),
        answer(body=b'{"changeableAttributes": 5}'),
        answer(body=b'{"changeableAttributes": {"writeEnabled": "no"}, "tag": 1, "manifests": [1]}'),
    ],
    ids=range(8),
)
def test_unclear_answer_closes_nothing(nothing):
    """Whoever may not ask may still write; each question is asked once."""
    assert len(asked(lambda _: nothing, ("1",), soft_delete=True)) == 3


def unknown(code: str) -> object:
    """A 404 with this code."""
    return answer(404, body=json.dumps({"errors": [{"code": code}]}).encode())


def test_tags_are_listed_by_the_page():
    """With what each of them names; the list goes on where its Link says."""
    listed = json.dumps({"tags": [{"name": "1", "digest": str(DIGEST)}]}).encode()
    link = '</acr/v1/team/app/_tags?last=1&n=100&orderby=>; rel="next"'
    of, script = repository([answer(200, {"Link": link}, body=listed), told(tags=None)])
    page = of.tag_page("")
    assert (page.named, page.is_new) == ({"1": DIGEST}, False)
    assert of.tag_page(page.next_page) == TagPage({}, "")
    path = "GET https://r.test/acr/v1/team/app/_tags"
    assert script.asked == [f"{path}?n=100", f"{path}?last=1&n=100&orderby="]


def test_repository_that_is_not_there_has_no_tags():
    """Only where the registry says just that."""
    assert repository([unknown("NAME_UNKNOWN")])[0].tag_page("").is_new
    assert not repository([unknown("TAG_UNKNOWN")])[0].tag_page("").is_new
    assert not repository([answer(404)])[0].tag_page("").is_new


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b"{}", b'{"tags": 1}', b'{"tags": [{"name": "1"}]}', b'{"tags": [{"name": [], "digest": 5}]}'],
)
def test_list_that_is_none_tells_nothing(body):
    """Then each tag is asked for by itself, as with a registry that is not Azure's."""
    assert repository([answer(body=body)])[0].tag_page("") is None
    assert repository([], acr=False)[0].tag_page("") is None


def test_list_of_another_host_is_not_followed():
    """Nor is one that is asked for too often taken for none."""
    elsewhere = answer(200, {"Link": '<https://evil.test/>; rel="next"'}, body=b'{"tags": []}')
    with pytest.raises(NetworkError):
        repository([elsewhere])[0].tag_page("")
    with pytest.raises(RateLimited):
        repository(lambda _: answer(429))[0].tag_page("")
