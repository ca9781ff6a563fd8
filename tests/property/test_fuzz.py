# SPDX-License-Identifier: MIT
"""What others write, as no specification has it: it is read, or refused with an error that a person understands."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from azext_acrimport.engine import (
    ANONYMOUS,
    CredentialError,
    Digest,
    EngineError,
    ManifestError,
    RegistryClient,
    RegistryRepository,
    open_location,
    parse_location,
)
from azext_acrimport.engine.content.descriptor import DOCKER_LIST, OCI_INDEX, OCI_MANIFEST, SCHEMA1
from azext_acrimport.engine.content.manifest import Manifest
from azext_acrimport.engine.transport.refusal import registry_error
from azext_acrimport.registries import docker_config
from tests.sandbox import images
from tests.support.layouts import docker_files, layout_files
from tests.support.scripted import Script, answer, transport
from tests.support.stores import MemoryStore, copy

DIGEST = Digest.of(b"x")
MEMBERS = """schemaVersion mediaType config layers manifests blobs subject digest size platform os architecture
    annotations artifactType urls errors code message detail auths auth credHelpers credsStore
    identitytoken username password""".split()
VALUES = [2, 1, -1, 2**70, 0.5, "", "a", str(DIGEST), "sha256:x", OCI_MANIFEST, OCI_INDEX, DOCKER_LIST, min(SCHEMA1)]

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.sampled_from(VALUES), st.text(max_size=5)),
    lambda deeper: st.one_of(
        st.lists(deeper, max_size=3), st.dictionaries(st.sampled_from(MEMBERS), deeper, max_size=6)
    ),
    max_leaves=20,
)
bodies = st.one_of(st.binary(max_size=40), values.map(lambda value: json.dumps(value).encode()))
types = st.sampled_from(
    ["", OCI_MANIFEST, OCI_INDEX, DOCKER_LIST, min(SCHEMA1), "text/html", "application/json", "+json"]
)
LINKS = ['</v2/x>; rel="next"', "<https://[::1/x>; rel=next", "<>;rel=next", "99999999999", "x; y", str(DIGEST)]
headers = st.dictionaries(
    st.sampled_from(["Link", "Content-Type", "Retry-After", "Date", "WWW-Authenticate", "Docker-Content-Digest"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60) | st.sampled_from(LINKS),
    max_size=4,
)


@settings(max_examples=7 * settings.default.max_examples)
@given(bodies, types)
def test_any_manifest_is_read_or_refused(raw, media_type):
    """And an index; what is read names each thing once."""
    try:
        manifest = Manifest.parse(raw, media_type, DIGEST)
    except ManifestError:
        return
    named = [*manifest.blobs, *manifest.manifests, *manifest.foreign]
    assert len({descriptor.digest for descriptor in named}) == len(named)
    assert manifest.raw == raw


@settings(max_examples=5 * settings.default.max_examples)
@given(st.integers(300, 599), headers, bodies)
def test_any_error_body_becomes_one_line(status, named, body):
    """Without what a terminal would obey, and not long."""
    error = registry_error("source", "GET", "https://r.test/v2/app/manifests/1", status, named, body)
    assert str(error).isprintable()
    assert len(str(error)) < 2500


@settings(max_examples=3 * settings.default.max_examples)
@given(st.lists(st.tuples(st.sampled_from([200, 401, 404, 405]), headers, bodies), max_size=4), st.data())
def test_any_answers_are_a_result_or_an_error(answers, data):
    """To each question that is asked of a registry: lists with their pages, tags, manifests, tokens."""
    given_answers = iter([*answers, *[(404, {}, b"")] * 200])

    def told(sent: object):
        status, named, body = next(given_answers)
        return answer(status, named, body)

    client = RegistryClient("r.test", "r.test", transport(Script(told), attempts=1), lambda: ANONYMOUS)
    of = RegistryRepository(client, "app")
    ask = data.draw(st.sampled_from(["referrers", "find", "find digest", "read", "manifest", "tags"]))
    with contextlib.suppress(EngineError):
        {
            "referrers": lambda: of.referrers(DIGEST),
            "find": lambda: of.find("1"),
            "find digest": lambda: of.find(str(DIGEST)),
            "read": lambda: of.read("1"),
            "manifest": lambda: of.manifest(DIGEST),
            "tags": lambda: of.list_tags(3),
        }[ask]()


@settings(max_examples=5 * settings.default.max_examples)
@given(bodies)
def test_any_docker_configuration_is_read_or_refused(body):
    """A file that is none of Docker's says which one it is."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_bytes(body)
        with (
            mock.patch.dict(os.environ, {"DOCKER_CONFIG": folder}),
            mock.patch.object(docker_config.shutil, "which", lambda name: None),
        ):
            try:
                docker_config.find_credential("r.test", "team/app", "source")
            except CredentialError as error:
                assert str(path) in str(error) or "docker-credential" in str(error)


IMAGE = images.image("fuzz", (60,))
ARCHIVES = {"oci-archive": layout_files((IMAGE, "1")), "docker-archive": docker_files(IMAGE, "app:1")}


damages = st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=8)), max_size=4)


def written(files: dict[str, bytes]) -> bytes:
    """As a tar."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, raw in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return stream.getvalue()


@settings(max_examples=3 * settings.default.max_examples)
@given(
    st.sampled_from(sorted(ARCHIVES)),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=8)), max_size=4),
    st.data(),
)
def test_any_archive_is_copied_whole_or_refused(kind, damage, data):
    """With bytes that are others, and with files that hold anything."""
    files = dict(ARCHIVES[kind])
    if data.draw(st.booleans()):
        files[data.draw(st.sampled_from(sorted(files)))] = data.draw(bodies)
    raw = bytearray(written(files))
    for share, some in damage:
        at = int(share * (len(raw) - 512))
        raw[at : at + len(some)] = some
    target = MemoryStore("target.test")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "app.tar"
        path.write_bytes(raw)
        with (
            contextlib.suppress(EngineError),
            contextlib.closing(open_location(parse_location(f"{kind}:{path}"))) as source,
        ):
            result = copy(source, target, tag="", tags=["1"])
            assert (result.status == "copied") == ("1" in target.tags)
            if kind == "oci-archive" and result.status == "copied" and not files.keys() - ARCHIVES[kind].keys():
                for digest, content in target.blobs.items():
                    assert str(Digest.of(content)) == digest
