# SPDX-License-Identifier: MIT
"""A repository over HTTP: what answers mean, also those of registries with habits of their own."""

from __future__ import annotations

import dataclasses
import gc

import pytest

from azext_acrimport.engine import (
    ANONYMOUS,
    ContentError,
    Denied,
    Descriptor,
    Digest,
    DigestMismatch,
    EngineError,
    Firewall,
    ManifestError,
    NetworkError,
    NotFound,
    RegistryClient,
    RegistryRepository,
    Rejected,
    ServerError,
    TlsError,
    Truncated,
    UnsupportedManifest,
)
from azext_acrimport.engine.content.descriptor import OCI_MANIFEST
from azext_acrimport.engine.registry import repository as repository_module
from tests.support.scripted import Script, answer, transport
from tests.support.until import until

RAW = b'{"schemaVersion": 2, "layers": []}'
DIGEST = Digest.of(RAW)
TYPE = {"Content-Type": f"{OCI_MANIFEST}; charset=utf-8"}
STATED = {"Docker-Content-Digest": str(DIGEST)}
BLOB = Descriptor("x", Digest.of(b"x"), 1)


def repository(*answers: object, origin: str = "target", host: str = "r.test") -> tuple[RegistryRepository, Script]:
    """A repository and what is sent for it."""
    script = Script(list(answers))
    client = RegistryClient(host, host, transport(script, origin=origin), lambda: ANONYMOUS)
    return RegistryRepository(client, "app"), script


def test_find_is_one_head():
    """With all manifest types asked for; parameters of the type are dropped."""
    of, script = repository(answer(200, {**TYPE, **STATED}))
    assert of.find("1") == Descriptor(OCI_MANIFEST, DIGEST, -1)
    assert script.asked == ["HEAD https://r.test/v2/app/manifests/1"]
    assert "application/vnd.docker.distribution.manifest.list.v2+json" in script.sent[0].headers["Accept"]


def test_missing_tag_costs_no_pull_at_docker_hub():
    """Elsewhere GET is worth it: HEAD has no body that says what is missing."""
    for host, asked in (("docker.io", ["HEAD"]), ("r.test", ["HEAD", "GET"])):
        of, script = repository(answer(404), answer(404), origin="source", host=host)
        with pytest.raises(NotFound, match=host):
            of.resolve("1")
        assert [line.split()[0] for line in script.asked] == asked


def test_find_nothing():
    """404 is None."""
    assert repository(answer(404))[0].find("1") is None


def test_nothing_found_leaves_no_ring():
    """Ten thousand images ask a hundred thousand times: an error that holds its own frames stays for the collector."""

    def kept() -> int:
        return sum(isinstance(one, NotFound) for one in gc.get_objects())

    of, _ = repository(answer(404), answer(404))
    assert of.find("1") is None  # the first question to a host goes another way
    gc.collect()
    gc.disable()
    try:
        before = kept()
        assert of.find("2") is None
        assert kept() == before
    finally:
        gc.enable()


@pytest.mark.parametrize("way", ["enter", "find"])
def test_what_is_asked_ahead_is_the_same_request_earlier(way):
    """What came of it is told once, of that name; after that it is asked again."""
    of, script = repository(*[answer(200, {**TYPE, **STATED})] * 4)
    begin, ask = getattr(of, f"{way}_ahead"), getattr(of, way)
    begin("1")
    assert ask("2") == ask("1") == Descriptor(OCI_MANIFEST, DIGEST, -1)
    assert len(script.asked) == 2
    ask("1")
    assert len(script.asked) == 3


def test_what_was_found_ahead_and_not_wanted_is_found_anew():
    """The tag may have moved since."""
    of, script = repository(answer(404), answer(200, {**TYPE, **STATED}))
    of.find_ahead("1")
    until(lambda: len(script.asked) == 1)
    of.find_ahead("1")
    assert of.find("1") == Descriptor(OCI_MANIFEST, DIGEST, -1)


@pytest.mark.parametrize("way", ["enter", "find"])
def test_what_is_asked_ahead_keeps_its_error_for_who_wants_the_result(way):
    """It is not lost in the thread, and raised where it can be told."""
    of, _ = repository(answer(451))
    getattr(of, f"{way}_ahead")("1")
    with pytest.raises(Rejected):
        getattr(of, way)("1")


def test_who_has_entered_asks_what_it_likes():
    """A registry that wants a token is not asked again before the caller knows whether by HEAD or by GET."""
    challenge = {"WWW-Authenticate": 'Bearer realm="https://r.test/token"'}
    answers = answer(401, challenge), answer(200, {}, b'{"token": "abc"}'), answer(200, TYPE, RAW)
    of, script = repository(*answers, origin="source")
    assert of.enter("1") is None
    assert of.read("1")[0].digest == DIGEST
    assert script.asked == [
        "HEAD https://r.test/v2/app/manifests/1",
        "GET https://r.test/token?scope=repository%3Aapp%3Apull",
        "GET https://r.test/v2/app/manifests/1",
    ]
    assert script.sent[-1].headers["Authorization"] == "Bearer abc"


@pytest.mark.parametrize("first", [answer(200, TYPE), answer(405), answer(403)], ids=["no digest", "no HEAD", "403"])
def test_find_asks_again_with_get(first):
    """Where HEAD says too little, the body is hashed."""
    of, script = repository(first, answer(200, TYPE, RAW))
    assert of.find("1") == Descriptor(OCI_MANIFEST, DIGEST, len(RAW))
    assert [sent.method for sent in script.sent] == ["HEAD", "GET"]


OTHER = {"Docker-Content-Digest": str(Digest.of(b"other"))}


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([answer(200, {**TYPE, **STATED})], DIGEST),
        ([answer(200, {**TYPE, **OTHER})], None),
        ([answer(200, {**TYPE, "Docker-Content-Digest": str(Digest.of(RAW, "sha512"))})], Digest.of(RAW, "sha512")),
        ([answer(200, TYPE), answer(200, TYPE, RAW)], DIGEST),
        ([answer(200, TYPE), answer(200, TYPE, b"other")], None),
        ([answer(405), answer(200, {**TYPE, **STATED}, b"other")], None),
    ],
    ids=["it", "another", "of another algorithm", "by its bytes", "other bytes", "other bytes, and no HEAD"],
)
def test_find_by_digest_believes_only_that_digest(answers, found):
    """A registry that answers with another manifest does not have this one."""
    there = repository(*answers)[0].find(str(DIGEST))
    assert (there and there.digest) == found


SIGNED = b'{"schemaVersion": 1, "signatures": [{}], "name": "app", "fsLayers": []}'
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"


@pytest.mark.parametrize("served_as", [SCHEMA1, "text/plain"])
@pytest.mark.parametrize("by", ["tag", "digest"])
def test_signed_schema_1_is_named_as_what_it_is(served_as, by):
    """Its digest is that of what was signed, so it looks as if its bytes were wrong."""
    headers = {"Content-Type": served_as, "Docker-Content-Digest": str(DIGEST)}
    of, _ = repository(answer(200, headers, SIGNED), origin="source")
    with pytest.raises(UnsupportedManifest) as caught:
        of.read("1") if by == "tag" else of.manifest(DIGEST)
    assert caught.value.code == "source-unsupported-manifest"


def test_unclear_answer_is_never_none():
    """A closed door is not an empty room."""
    denied = b'{"errors":[{"code":"DENIED","message":"client with IP is not allowed access"}]}'
    with pytest.raises(Firewall):
        repository(answer(403), answer(403, body=denied))[0].find("1")
    with pytest.raises(Denied):
        repository(answer(403), answer(403), answer(403), origin="source")[0].find("1")


def test_tag_that_is_denied_but_not_listed_is_none():
    """Artifactory answers 403 for what is not there; its list of tags tells."""
    listed = answer(200, body=b'{"name": "app", "tags": ["2"]}')
    assert repository(answer(403), answer(403), listed, origin="source")[0].find("1") is None


def test_resolve_nothing_brings_the_registrys_words():
    """HEAD has no body, so GET is asked for it."""
    unknown = b'{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known"}]}'
    with pytest.raises(NotFound, match="NAME_UNKNOWN"):
        repository(answer(404), answer(404, body=unknown), origin="source")[0].resolve("1")


def test_manifest_is_verified():
    """Against digest and size; neither the header nor the registry is believed."""
    of, _ = repository(*(answer(200, TYPE, RAW) for _ in range(4)))
    assert of.manifest(DIGEST) == (RAW, OCI_MANIFEST)
    assert of.manifest(Digest.of(RAW, "sha512"), len(RAW))[0] == RAW
    with pytest.raises(DigestMismatch):
        of.manifest(Digest.of(b"other"))
    with pytest.raises(Truncated):
        of.manifest(DIGEST, len(RAW) + 1)
    lying, _ = repository(answer(200, {**TYPE, "Docker-Content-Digest": str(BLOB.digest)}, RAW), origin="source")
    with pytest.raises(DigestMismatch):
        lying.read("1")


PART = {"Content-Range": f"bytes 0-0/{BLOB.size}"}


@pytest.mark.parametrize(
    ("answers", "there"),
    [
        ([answer(200)], True),
        ([answer(404)], False),
        ([answer(405)], False),
        ([answer(403)], False),
        ([answer(307), answer(206, PART, b"x")], True),
        ([answer(307), answer(404)], False),
        ([answer(307), answer(503)], False),
        ([answer(307), answer(307, {"Location": "https://169.254.169.254/"})], False),
        ([answer(307), answer(200, {}, b"<html>Sign in to the hotel's network</html>")], False),
    ],
    ids=["200", "404", "405", "403", "storage", "no blob", "no storage", "led astray", "hotel"],
)
def test_blob_is_there_only_when_it_is_said(answers, there):
    """Everything else means: copy it, and find out. A redirect may come from anybody; a blob's bytes do not."""
    assert repository(*answers)[0].has_blob(BLOB) is there


def test_manifest_is_put_as_it_is():
    """Its own bytes and type; a registry that stored something else is caught."""
    located, another = {"Location": f"/v2/app/manifests/{DIGEST}"}, {"Docker-Content-Digest": str(BLOB.digest)}
    of, script = repository(answer(201, STATED), answer(201, located), answer(201, another))
    of.put_manifest(DIGEST, OCI_MANIFEST, RAW)
    of.tag("1", DIGEST, OCI_MANIFEST, RAW)
    assert script.asked == [f"PUT https://r.test/v2/app/manifests/{DIGEST}", "PUT https://r.test/v2/app/manifests/1"]
    assert [(sent.body, sent.headers["Content-Type"]) for sent in script.sent] == [(RAW, OCI_MANIFEST)] * 2
    with pytest.raises(ContentError):
        of.tag("1", DIGEST, OCI_MANIFEST, RAW)


@pytest.mark.parametrize(
    ("found", "true"),
    [(answer(200, {**TYPE, **STATED}), True), (answer(200, {**TYPE, **OTHER}), False), (answer(404), False)],
)
def test_bare_201_is_looked_after(found, true):
    """A gateway may say so of everything; a registry says where the manifest is."""
    of, script = repository(answer(201), found)
    if true:
        of.tag("1", DIGEST, OCI_MANIFEST, RAW)
    else:
        with pytest.raises(ContentError):
            of.tag("1", DIGEST, OCI_MANIFEST, RAW)
    assert script.asked[1] == "HEAD https://r.test/v2/app/manifests/1"


def test_page_for_people_is_no_answer_to_a_manifest():
    """A proxy has taken it, and nobody has stored it."""
    of, _ = repository(answer(200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>Sign in</html>"))
    with pytest.raises(ServerError, match="not an answer"):
        of.tag("1", DIGEST, OCI_MANIFEST, RAW)


def tls(spoken: bool) -> TlsError:
    """As the transport raises it."""
    return TlsError("127.0.0.1:5000", "x", spoken=spoken)


def test_loopback_without_tls_is_asked_with_http():
    """https first; plain http only where TLS is not spoken."""
    of, script = repository(tls(False), answer(404), host="127.0.0.1:5000")
    of.find("1")
    assert script.asked == ["GET https://127.0.0.1:5000/v2/", "HEAD http://127.0.0.1:5000/v2/app/manifests/1"]


def test_loopback_with_a_bad_certificate_is_not_asked_with_http():
    """https never falls to http."""
    of, script = repository(tls(True), host="127.0.0.1:5000")
    with pytest.raises(TlsError):
        of.find("1")
    assert len(script.sent) == 1


def test_other_hosts_are_never_asked_with_http():
    """Whatever goes wrong with TLS."""
    of, script = repository(tls(False))
    with pytest.raises(TlsError):
        of.find("1")
    assert script.asked == ["HEAD https://r.test/v2/app/manifests/1"]


def test_host_that_the_user_has_named_is_asked_with_http():
    """By opt-in, https first here as well."""
    of, script = repository(tls(False), answer(404))
    transport = of._client.transport
    transport.options = dataclasses.replace(transport.options, plain_http_hosts=frozenset({"r.test"}))
    of.find("1")
    assert script.asked[1] == "HEAD http://r.test/v2/app/manifests/1"


def test_upload_elsewhere_carries_no_authorization():
    """A Location on another host is used without our token, or not at all."""
    of, _ = repository()
    client = of._client
    client.tokens.authorization = lambda scopes: "Bearer secret"  # type: ignore[method-assign]
    script = Script([answer(201)])
    client.transport._exchange = script
    elsewhere = client.locate("https://uploads.test/1?x=y", "https://r.test/v2/app/blobs/uploads/")
    client.fetch("PUT", elsewhere, scopes=(), accept={201}, body=b"x")
    assert "Authorization" not in script.sent[0].headers
    with pytest.raises(NetworkError):
        client.locate("https://10.0.0.1/1", "https://r.test/v2/app/blobs/uploads/")


@pytest.mark.parametrize(
    ("size", "kind", "asked"), [(len(RAW) - 1, Truncated, 1), (len(RAW) + 1, Truncated, 1), (5 << 20, ManifestError, 0)]
)
def test_of_a_manifest_no_more_is_read_than_its_descriptor_says(size, kind, asked):
    """One that is larger than any manifest is not even asked for."""
    of, script = repository(answer(200, {**TYPE, **STATED}, RAW))
    with pytest.raises(kind):
        of.manifest(DIGEST, size)
    assert len(script.sent) == asked


OTHER = b'{"schemaVersion": 2, "layers": [], "x": 1}'


@pytest.mark.parametrize(
    ("body", "stated", "kind"),
    [
        (OTHER, str(DIGEST), DigestMismatch),
        (OTHER, str(Digest.of(OTHER)), DigestMismatch),
        (OTHER, "", DigestMismatch),
        (RAW + b" ", str(DIGEST), DigestMismatch),
        (RAW[:-1], str(DIGEST), DigestMismatch),
        (b"", str(DIGEST), DigestMismatch),
        (OTHER, "sha256:short", DigestMismatch),
        (OTHER, "md5:" + "0" * 32, DigestMismatch),
        (OTHER, str(Digest.of(OTHER, "sha512")), DigestMismatch),
        (RAW, str(Digest.of(OTHER)), None),
        (RAW, "nonsense", None),
    ],
    ids=range(11),
)
def test_manifest_that_is_another_one_than_was_named(body, stated, kind):
    """Only its own bytes count, whatever a header says of them."""
    of, _ = repository(answer(200, {**TYPE, "Docker-Content-Digest": stated}, body))
    if kind is None:
        assert of.manifest(DIGEST)[0] == RAW
    else:
        with pytest.raises(kind):
            of.manifest(DIGEST)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Retry-After": "0"}, 429),
        ({"Retry-After": "0"}, 503),
        ({"Retry-After": "-1"}, 429),
        ({"Retry-After": "1"}, 502),
        ({}, 500),
        ({}, 408),
        ({"Retry-After": "9" * 9}, 429),
        ({"Retry-After": "Wed, 21 Oct 9999 07:29:30 GMT"}, 503),
    ],
)
def test_registry_that_is_never_ready(headers, status):
    """A few times, with waits that end; what asks for years is not waited for at all."""
    script = Script(lambda sent: answer(status, headers))
    client = RegistryClient("r.test", "r.test", transport(script), lambda: ANONYMOUS)
    with pytest.raises(EngineError):
        RegistryRepository(client, "app").read("1")
    assert len(script.sent) <= 4
    assert sum(client.transport.cancellation.waits) < 400  # type: ignore[attr-defined]


def test_tags_without_end_are_not_listed(monkeypatch):
    """Then single ones are asked for."""
    page = b'{"tags": ["%s"]}' % (b"x" * 900)
    of, script = repository(*[answer(200, {"Link": '</v2/app/tags/list?last=2>; rel="next"'}, page) for _ in range(9)])
    monkeypatch.setattr(repository_module, "MAX_TAG_LIST_BYTES", 2000)
    assert of.list_tags(100) is None
    assert len(script.sent) == 3


@pytest.mark.parametrize(
    ("tags", "free"),
    [
        (answer(404), True),
        (answer(body=b'{"tags": ["2"]}'), True),
        (answer(body=b'{"tags": null}'), True),
        (answer(body=b'{"tags": ["1"]}'), False),
        (answer(200, {"Link": '</v2/app/tags/list?last=2>; rel="next"'}, b'{"tags": ["2"]}'), False),
        (answer(403), False),
        (answer(body=b"<html>"), False),
    ],
    ids=range(7),
)
def test_tag_that_must_not_be_read_is_free_only_when_the_list_says_so(tags, free):
    """403 for what is not there is an oddity; 403 for what is there must never end in an overwritten tag."""
    store, _ = repository(answer(403), answer(403), tags)
    if free:
        assert store.find("1") is None
    else:
        with pytest.raises(Denied):
            store.find("1")
