# SPDX-License-Identifier: MIT
"""What vouches for an image arrives with it, and still vouches there; with the real az."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.sandbox import images
from tests.sandbox.server import Handler, Response, call
from tests.support.content import everything, referrers, tag_digest

SOURCE, TARGET = "mcr.microsoft.com", "myregistry.azurecr.io"
KEY = ec.generate_private_key(ec.SECP256R1())
COSIGN_NOTE = "dev.cosignproject.cosign/signature"
NOTATION = "application/vnd.cncf.notary.signature"
PLATFORMS = ("linux/amd64", "linux/arm64/v8")


def signature(payload: bytes) -> str:
    """In the form that fits into JSON."""
    return base64.b64encode(KEY.sign(payload, ec.ECDSA(hashes.SHA256()))).decode()


def cosigned(subject: images.Artifact) -> tuple[str, images.Artifact]:
    """A simple signing payload, its signature in an annotation, under a tag named after the subject."""
    payload = json.dumps({"critical": {"image": {"docker-manifest-digest": subject.digest}}}).encode()
    return images.cosign(subject, ".sig", payload, **{COSIGN_NOTE: signature(payload)})


def notarised(subject: images.Artifact) -> images.Artifact:
    """An envelope that signs the subject's descriptor, in an artifact that refers to it."""
    target = json.dumps({"targetArtifact": subject.descriptor()}, sort_keys=True)
    envelope = json.dumps({"payload": target, "signature": signature(target.encode())}).encode()
    return images.manifest(
        b"{}", [envelope], config_type=NOTATION, layer_type="application/jose+json", subject=subject.descriptor()
    )


def verify(content: Handler, repository: str, digest: str) -> int:
    """How many signatures of both kinds there are; raises when one does not fit."""
    tag = f"{digest.replace(':', '-')}.sig"
    raw = json.loads(call(content, "GET", f"/v2/{repository}/manifests/{tag}", headers=images.ACCEPT, expect=200).body)
    count = 0
    for layer in raw["layers"]:
        payload = call(content, "GET", f"/v2/{repository}/blobs/{layer['digest']}", expect=200).body
        KEY.public_key().verify(base64.b64decode(layer["annotations"][COSIGN_NOTE]), payload, ec.ECDSA(hashes.SHA256()))
        assert json.loads(payload)["critical"]["image"]["docker-manifest-digest"] == digest
        count += 1
    for referrer in referrers(content, repository, digest):
        path = f"/v2/{repository}/manifests/{referrer}"
        manifest = json.loads(call(content, "GET", path, headers=images.ACCEPT, expect=200).body)
        if manifest["config"]["mediaType"] == NOTATION:
            blob = f"/v2/{repository}/blobs/{manifest['layers'][0]['digest']}"
            envelope = json.loads(call(content, "GET", blob, expect=200).body)
            signed = base64.b64decode(envelope["signature"])
            KEY.public_key().verify(signed, envelope["payload"].encode(), ec.ECDSA(hashes.SHA256()))
            assert json.loads(envelope["payload"])["targetArtifact"]["digest"] == digest
            count += 1
    return count


def hold(content: Handler, repository: str, artifact: images.Artifact, *tags: str) -> None:
    """Push it; where the registry lists no referrers, keep the list as its clients do."""
    artifact.push(content, repository, *tags)
    subject = json.loads(artifact.raw).get("subject")
    if subject and call(content, "GET", f"/v2/{repository}/referrers/{subject['digest']}").status == 404:
        entries = [{"digest": digest} for digest in referrers(content, repository, subject["digest"])]
        for entry in entries:
            path = f"/v2/{repository}/manifests/{entry['digest']}"
            size = len(call(content, "GET", path, headers=images.ACCEPT).body)
            entry |= {"mediaType": images.OCI_MANIFEST, "size": size}
        body = {"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": [*entries, artifact.descriptor()]}
        listed = images.Artifact([(images.OCI_INDEX, json.dumps(body).encode())])
        listed.push(content, repository, subject["digest"].replace(":", "-"))


def signed_image(content: Handler, repository: str) -> images.Artifact:
    """Two platforms; the whole and each of them signed in both ways, with an SBOM that is signed as well."""
    children = [(p, images.image(f"{repository}-{p}", platform=p)) for p in PLATFORMS]
    index = images.index(children, attestations=True)
    hold(content, repository, index, "1")
    for subject in (index, *(child for _, child in children)):
        tag, cosign = cosigned(subject)
        hold(content, repository, cosign, tag)
        hold(content, repository, notarised(subject))
    sbom = images.artifact("sbom", subject=index.descriptor())
    hold(content, repository, sbom)
    hold(content, repository, notarised(sbom))
    return index


def test_signatures_verify_at_the_target(any_sandbox, signed_in):
    """Nothing is lost, with and without the referrers API on each side; a second run moves nothing."""
    source, target = any_sandbox.content(SOURCE), any_sandbox.content(TARGET)
    index = signed_image(source, "signed/all")
    words = ("acr", "import", "-n", "myregistry", "--source", f"{SOURCE}/signed/all:1")
    az = signed_in(any_sandbox)
    result = az(*words)
    assert result.code == 0, result.stderr
    assert result.json["referrers"] == 8
    assert everything(target, "signed/all", "1") == everything(source, "signed/all", "1")
    for digest in (index.digest, *(entry["digest"] for entry in json.loads(index.raw)["manifests"][::2])):
        assert verify(target, "signed/all", digest) == 2
    mark = any_sandbox.log.mark()
    second = az(*words).json
    assert (second["status"], second["blobs"]["copied"]) == ("unchanged", 0)
    assert not [e for e in any_sandbox.log.find(since=mark, path="/v2/.+") if e["method"] not in ("GET", "HEAD")]


@pytest.mark.parametrize("options", ["--engine service", "--engine service --repository signed/untagged"])
def test_service_brings_what_refers_to_the_image(sandbox, signed_in, options):
    """The same digests, without a byte of them through this machine; not with --referrers none."""
    name = f"signed/service-{len(options)}"
    source, target = sandbox.content(SOURCE), sandbox.content(TARGET)
    index = signed_image(source, name)
    sandbox.world.service_pause = 0
    words = ("acr", "import", "-n", "myregistry", "--source", f"{SOURCE}/{name}:1", "-t", f"{name}:1", *options.split())
    az = signed_in(sandbox)
    alone = az(*words, "--referrers", "none")
    assert (alone.code, alone.json["referrers"]) == (0, 0), alone.stderr
    assert not referrers(target, name, index.digest)
    mark = sandbox.log.mark()
    result = az(*words)
    assert result.code == 0, result.stderr
    assert (result.json["engine"], result.json["status"], result.json["referrers"]) == ("service", "copied", 8)
    for place in {name, *([words[-1]] if "--repository" in options else [])}:
        assert verify(target, place, index.digest) == 2
    assert everything(target, name, "1") == everything(source, name, "1")
    assert not [e for e in sandbox.log.find(since=mark, path="/v2/.+") if e["method"] not in ("GET", "HEAD")]
    before = len(sandbox.world.imports)
    assert az(*words).json["status"] == "unchanged"
    assert len(sandbox.world.imports) == before + 1  # of the image, as core asks; of its referrers none
    sandbox.world.service_pause = 1


def test_signatures_of_a_platform_verify_without_the_others(any_sandbox, signed_in):
    """--platform changes the index, but not the images that it names."""
    source, target = any_sandbox.content(SOURCE), any_sandbox.content(TARGET)
    index = signed_image(source, "signed/one")
    words = ("--source", f"{SOURCE}/signed/one:1", "--platform", "linux/arm64")
    result = signed_in(any_sandbox)("acr", "import", "-n", "myregistry", *words)
    assert result.json["referrers"] == 2, result.stderr
    digest = json.loads(index.raw)["manifests"][2]["digest"]
    assert verify(target, "signed/one", digest) == 2
    assert tag_digest(target, "signed/one", f"{index.digest.replace(':', '-')}.sig") is None


def test_damaged_signature_would_be_noticed(sandbox):
    """The test above can fail."""
    image = images.image("damaged")
    tag, cosign = images.cosign(image, ".sig", b"{}", **{COSIGN_NOTE: signature(b"other")})
    cosign.push(sandbox.content(SOURCE), "signed/damaged", tag)
    with pytest.raises(InvalidSignature):
        verify(sandbox.content(SOURCE), "signed/damaged", image.digest)


def test_azure_registry_without_the_api_gets_a_list(sandbox, az):
    """Read, merged and written: what others have pushed there stays."""
    registry = sandbox.world.registries["adminregistry"]
    index = signed_image(sandbox.content(SOURCE), "signed/plain")
    registry.referrers = False
    try:
        result = az("acr", "import", "-n", "adminregistry", "--source", f"{SOURCE}/signed/plain:1")
    finally:
        registry.referrers = True
    assert result.json["referrers"] == 8, result.stderr
    listed = tag_digest(sandbox.content("adminregistry.azurecr.io"), "signed/plain", index.digest.replace(":", "-"))
    assert listed is not None


def test_azure_registry_that_does_not_say_subject_gets_no_list(sandbox, az):
    """It has the API all the same, and is asked: a list under a tag would be one that nobody keeps."""
    registry = sandbox.world.registries["otherregistry"]
    index = signed_image(sandbox.content(SOURCE), "signed/unsaid")
    registry.tells_subject = False
    try:
        words = ("acr", "import", "-n", registry.id, "--source", f"{SOURCE}/signed/unsaid:1", "--engine", "embedded")
        result = az(*words)
    finally:
        registry.tells_subject = True
    assert result.code == 0, result.stderr
    target = sandbox.content(registry.login_server)
    assert everything(target, "signed/unsaid", "1") == everything(sandbox.content(SOURCE), "signed/unsaid", "1")
    assert tag_digest(target, "signed/unsaid", index.digest.replace(":", "-")) is None


def test_none_leaves_them_out(sandbox, az):
    """And asks nobody about them."""
    signed_image(sandbox.content(SOURCE), "signed/none")
    mark = sandbox.log.mark()
    words = ("--source", f"{SOURCE}/signed/none:1", "--referrers", "none")
    assert az("acr", "import", "-n", "myregistry", *words).json["referrers"] == 0
    assert not sandbox.log.find(since=mark, path=".*(/referrers/|[.]sig).*")


@pytest.mark.parametrize("place", ["/referrers/", "[.]sig"])
def test_throttling_to_the_end_is_a_failure(sandbox, az, place):
    """Never taken for none: no tag is written."""
    signed_image(sandbox.content(SOURCE), "signed/busy")
    sandbox.faults.add(path=f".*{place}.*", times=1000, answer=Response(429))
    result = az("acr", "import", "-n", "myregistry", "--source", f"{SOURCE}/signed/busy:1")
    assert (result.code, result.json["error"]["code"]) == (1, "source-rate-limited")
    assert tag_digest(sandbox.content(TARGET), "signed/busy", "1") is None


def test_throttling_that_passes_is_waited_for(sandbox, az):
    """As any other request."""
    signed_image(sandbox.content(SOURCE), "signed/soon")
    sandbox.faults.add(path=".*/referrers/.*", times=2, answer=Response(429, {"Retry-After": "0"}))
    result = az("acr", "import", "-n", "myregistry", "--source", f"{SOURCE}/signed/soon:1")
    assert result.json["referrers"] == 8, result.stderr
