# SPDX-License-Identifier: MIT
"""Referrers over HTTP: the API with its pages, the tag in its place, and the list that is ours to keep."""

from __future__ import annotations

import json

import pytest

from azext_acrimport.engine import (
    ANONYMOUS,
    Denied,
    Descriptor,
    Digest,
    Disallowed,
    ManifestError,
    NetworkError,
    NotFound,
    RateLimited,
    RegistryClient,
    RegistryError,
    RegistryRepository,
    ServerError,
)
from azext_acrimport.engine.content.descriptor import OCI_INDEX
from azext_acrimport.engine.transport.retry import Pace
from tests.sandbox import images
from tests.support.scripted import Patience, Script, Sent, answer, transport

SUBJECT = images.image("subject")
DIGEST = Digest.parse(SUBJECT.digest)
TAG = SUBJECT.digest.replace(":", "-")
FIRST, SECOND = (images.artifact(seed, subject=SUBJECT.descriptor()) for seed in ("one", "two"))
LIST = {"Content-Type": OCI_INDEX}


def repository(answers: object, origin: str = "source", **options: object) -> tuple[RegistryRepository, Script]:
    """app of a registry that answers so."""
    script = Script(answers if callable(answers) else list(answers))
    client = RegistryClient("r.test", "r.test", transport(script, origin=origin), lambda: ANONYMOUS, **options)
    return RegistryRepository(client, "app"), script


def listing(*artifacts: images.Artifact, **members: object) -> bytes:
    """An index of them."""
    entries = [artifact.descriptor() for artifact in artifacts]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, **members}).encode()


def more():
    """A first page."""
    return answer(200, {**LIST, "Link": '</v2/x>; rel="next"'}, listing())


def descriptors(*artifacts: images.Artifact) -> list[Descriptor]:
    """The same as values."""
    return [Descriptor(a.media_type, Digest.parse(a.digest), len(a.raw)) for a in artifacts]


def test_pages_are_followed():
    """Relative or absolute, on the same host."""
    of, script = repository([
        answer(200, {**LIST, "Link": '</v2/app/referrers/x?last=1>; rel="next"'}, listing(FIRST)),
        answer(200, {**LIST, "Link": "<http://r.test/v2/app/referrers/x?last=2>; rel=next"}, listing(SECOND)),
        answer(200, LIST, listing(FIRST)),
    ])  # fmt: skip
    assert of.referrers(DIGEST) == descriptors(FIRST, SECOND)
    assert script.asked == [
        f"GET https://r.test/v2/app/referrers/{DIGEST}",
        "GET https://r.test/v2/app/referrers/x?last=1",
        "GET https://r.test/v2/app/referrers/x?last=2",
    ]


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ('<https://evil.test/more>; rel="next"', "another host"),
        ('<https://r.test@evil.test/more>; rel="next"', "no usable address"),
        ('<//evil.test/more>; rel="next"', "another host"),
        (f'</v2/app/{"x" * 9000}>; rel="next"', "no address"),
        ("<" * 60_000, "no address"),
    ],
)
def test_page_elsewhere_is_not_fetched(link, said):
    """A Link stays on its host, and is of a length that is worth a look."""
    of, script = repository([answer(200, {**LIST, "Link": link}, listing(FIRST))])
    with pytest.raises(NetworkError, match=said):
        of.referrers(DIGEST)
    assert len(script.sent) == 1


@pytest.mark.parametrize("link", ["<" * 8000, "<a>;" * 2000, '<a>; rel="prev"' * 500, '<a<b>; rel="nex', ""])
def test_link_that_names_no_page(link):
    """The list ends there."""
    of, script = repository([answer(200, {**LIST, "Link": link}, listing(FIRST))])
    assert len(of.referrers(DIGEST)) == 1
    assert len(script.sent) == 1


@pytest.mark.parametrize("answered", [answer(404), answer(200, {"Content-Type": "text/html"}, b"<html>")])
def test_source_that_has_listed_some_has_the_api(answered):
    """What says afterwards that there is none is no answer to the question, and no "none"."""
    of, script = repository([answer(200, LIST, listing(FIRST)), answered])
    assert len(of.referrers(DIGEST)) == 1
    with pytest.raises((NotFound, ManifestError)):
        of.referrers(DIGEST)
    assert len(script.sent) == 2


def test_pages_without_end_end():
    """A Link that leads round in circles."""
    of, script = repository(lambda sent: answer(200, {**LIST, "Link": '</v2/app/again>; rel="next"'}, listing(FIRST)))
    with pytest.raises(ManifestError, match="pages"):
        of.referrers(DIGEST)
    assert len(script.sent) == 100


def test_list_that_wants_our_memory():
    """Page after page of annotations, of which nothing is kept, up to a limit."""
    entry = {**FIRST.descriptor(), "annotations": {"a": "x" * 3_000_000}}
    page = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}).encode()
    of, script = repository(lambda sent: answer(200, {**LIST, "Link": '</v2/app/again>; rel="next"'}, page))
    with pytest.raises(ManifestError, match="bytes of them"):
        of.referrers(DIGEST)
    assert len(script.sent) == 2 * 6  # each is asked for once more, when no other long one is being read


def test_only_annotations_that_are_heeded_are_kept():
    """The others are in the manifest's bytes."""
    annotations = {"org.opencontainers.image.ref.name": "1", "vnd.docker.reference.digest": "d", "other": "x", "n": 1}
    found = Descriptor.from_json({**FIRST.descriptor(), "annotations": annotations})
    assert found.annotations == {"org.opencontainers.image.ref.name": "1", "vnd.docker.reference.digest": "d"}


@pytest.mark.parametrize(
    "absent",
    [
        *(answer(status) for status in (400, 404, 405, 406, 501)),
        answer(400, body=b'{"errors": [{"code": "DIGEST_INVALID"}]}'),
        answer(200, {"Content-Type": "text/html"}, b"<html>"),
    ],
    ids=["400", "404", "405", "406", "501", "a digest that it does not know", "a page for people"],
)
def test_without_the_api_the_tag_is_read(absent):
    """HEAD first: most images have none, and Docker Hub counts GETs."""
    head = answer(200, {**LIST, "Docker-Content-Digest": str(Digest.of(listing(FIRST)))})
    of, script = repository([absent, head, answer(200, LIST, listing(FIRST))])
    assert of.referrers(DIGEST) == descriptors(FIRST)
    assert script.asked[1:] == [f"{method} https://r.test/v2/app/manifests/{TAG}" for method in ("HEAD", "GET")]


def test_without_api_and_tag_there_are_none():
    """Two clear answers."""
    assert repository([answer(404), answer(404)])[0].referrers(DIGEST) == []


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([answer(429)] * 4, RateLimited),
        ([answer(503)] * 4, ServerError),
        ([answer(403)], Denied),
        ([answer(404), *[answer(429)] * 4], RateLimited),
        ([answer(404), *[answer(500)] * 4], ServerError),
        ([answer(404), answer(403), answer(403), answer(403)], Denied),
        ([answer(501), answer(501)], ServerError),
        ([answer(405, body=b'{"errors": [{"code": "REGISTRY_DISALLOWED_OPERATION"}]}')], Disallowed),
        ([answer(405, body=b'{"errors": [{"code": "IMAGE_QUARANTINED"}]}')], Disallowed),
        ([answer(404, body=b'{"errors": [{"code": "DENIED"}]}')], RegistryError),
        ([more(), answer(404)], NotFound),
        ([more(), answer(200, {"Content-Type": "text/html"}, b"<html>")], ManifestError),
        ([more(), answer(200, LIST, b'{"mediaType": "text/plain", "manifests": []}')], ManifestError),
        ([answer(200, LIST, b'{"manifests": [{}]}')], ManifestError),
    ],
)
def test_unclear_answer_is_never_none(answers, error):
    """At each place where one may come."""
    with pytest.raises(error):
        repository(answers)[0].referrers(DIGEST)


class Target:
    """A registry with one fallback tag; ``meanwhile``: what somebody else makes it name, before the nth request.

    ``api``: it lists referrers; ``says``: and tells so when one is put.
    """

    def __init__(self, kept: bytes | None, *, api: bool = False, says: bool = False) -> None:
        self.kept = kept
        self.api = api
        self.says = says
        self.meanwhile: dict[int, bytes] = {}
        self.asked: list[str] = []
        self.written: list[Sent] = []

    def __call__(self, sent: Sent):
        kind, _, name = sent.url.removeprefix("https://r.test/v2/app/").partition("/")
        self.asked.append(f"{sent.method} {'tag' if name == TAG else kind}")
        self.kept = self.meanwhile.get(len(self.asked), self.kept)
        if kind == "referrers":
            return answer(200, LIST, listing()) if self.api else answer(404)
        if sent.method == "PUT":
            self.written.append(sent)
            self.kept = sent.body if name == TAG else self.kept
            return answer(201, {"Location": sent.url, **({"OCI-Subject": str(DIGEST)} if self.says else {})})
        if self.kept is None:
            return answer(404)
        return answer(200, {**LIST, "Docker-Content-Digest": str(Digest.of(self.kept))}, self.kept)

    def listed(self) -> list[str]:
        """The digests under the tag."""
        return [entry["digest"] for entry in json.loads(self.kept or b"")["manifests"]]


def pushed(target: Target, *more: images.Artifact) -> Target:
    """FIRST is put into it, and these."""
    of, _ = repository(target, origin="target")
    for artifact in (FIRST, *more):
        of.put_manifest(Digest.parse(artifact.digest), artifact.media_type, artifact.raw)
    return target


def test_registry_with_the_api_keeps_its_own_list():
    """It says so; no tag is made."""
    assert pushed(Target(None, api=True, says=True)).asked == ["PUT manifests"]


def test_registry_that_does_not_say_so_is_asked_once():
    """Not every one with the API sends OCI-Subject, and a stray tag would be the price of guessing."""
    assert pushed(Target(None, api=True), SECOND).asked == ["PUT manifests", "GET referrers", "PUT manifests"]


def test_list_is_made_where_there_is_none():
    """With what the specification wants an entry to say; then it is looked whether it is there."""
    target = pushed(Target(None))
    assert target.asked == ["PUT manifests", "GET referrers", "GET tag", "HEAD tag", "PUT tag", "GET tag"]
    written = target.written[-1]
    assert written.headers["Content-Type"] == OCI_INDEX
    assert json.loads(written.body) == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [{**FIRST.descriptor(), "artifactType": "application/vnd.example.sbom.v1"}],
    }


def test_list_is_merged():
    """Entries and members of others stay."""
    target = pushed(Target(listing(SECOND, annotations={"a": "b"})))
    assert target.listed() == [SECOND.digest, FIRST.digest]
    assert json.loads(target.kept)["annotations"] == {"a": "b"}


def test_list_that_has_it_is_left_alone():
    """Nothing is written twice."""
    assert pushed(Target(listing(SECOND, FIRST))).asked == ["PUT manifests", "GET referrers", "GET tag"]


@pytest.mark.parametrize("number", [4, 6], ids=["before ours is written", "after, and it had not seen ours"])
def test_list_that_somebody_else_writes_has_both(number):
    """Neither takes the other's entry away."""
    target = Target(None)
    target.meanwhile[number] = listing(SECOND)
    assert pushed(target).listed() == [SECOND.digest, FIRST.digest]


def test_list_that_never_rests_is_a_failure():
    """Somebody takes our entry away again and again."""
    target = Target(None)
    target.meanwhile = {number: listing(SECOND, seed=number) for number in range(100)}
    with pytest.raises(ManifestError, match="all the time"):
        pushed(target)


def test_tag_that_is_no_list_is_not_overwritten():
    """Somebody uses it for something else."""
    with pytest.raises(ManifestError, match="not an index"):
        pushed(Target(SUBJECT.raw))


def test_pace_waits_when_the_window_is_full():
    """Two in ten seconds: the third waits for the first to be ten seconds old."""
    pace, patience = Pace(2, 10.0, "r.test"), Patience()
    for _ in range(5):
        pace.passing(patience)
    assert patience.waits == [10.0, 10.0]
    assert [(wait.seconds, wait.why) for wait in patience.told] == [
        (10.0, "r.test is asked for referrers at most 2 times in 10 s")
    ] * 2


def test_only_azure_registries_are_asked_slowly(monkeypatch):
    """Their limit is known; that of others they tell with 429."""
    passed = []
    monkeypatch.setattr(Pace, "passing", lambda self, cancellation: passed.append(self))
    for acr in (False, True):
        repository([answer(200, LIST, listing())], acr=acr)[0].referrers(DIGEST)
    assert len(passed) == 1
