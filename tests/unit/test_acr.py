# SPDX-License-Identifier: MIT
"""What an Azure container registry says of locks, and what becomes of answers that say nothing."""

from __future__ import annotations

import json

import pytest

from azext_acrimport.engine import Digest, Disallowed, RegistryClient, RegistryRepository
from azext_acrimport.engine.auth.credential import ANONYMOUS
from tests.support.scripted import Script, answer, transport

DIGEST = Digest.of(b"manifest")


def asked(answers: object, tags: tuple[str, ...] = (), *, acr: bool = True, soft_delete: bool = False) -> list[str]:
    """The requests of one question."""
    script = Script(answers)
    client = RegistryClient(
        "r.test", "r.test", transport(script, origin="target"), lambda: ANONYMOUS, acr=acr, soft_delete=soft_delete
    )
    RegistryRepository(client, "team/app").require_writable(tags, DIGEST)
    return [request.removeprefix("GET https://r.test") for request in script.asked]


def told(**members: object) -> object:
    """An answer with JSON."""
    return answer(body=json.dumps(members).encode())


LOCKED = {"changeableAttributes": {"writeEnabled": False}}
OPEN = {"changeableAttributes": {"writeEnabled": True}}


def test_open_doors_are_asked_once():
    """The repository, and each tag that will move; nothing at all of a registry that is not Azure's."""
    path = "/acr/v1/team/app"
    assert asked([told(**OPEN), told(tag=OPEN)], ("1",)) == [path, f"{path}/_tags/1"]
    assert asked([told(**OPEN), told(manifests=[])], soft_delete=True) == [path, "/acr/v1/_deleted/team/app/_manifests"]
    assert asked([], ("1",), acr=False) == []


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
