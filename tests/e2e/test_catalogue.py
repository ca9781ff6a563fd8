# SPDX-License-Identifier: MIT
"""What registries and the import service are known to say, each said once to the real az, which understands it."""

from __future__ import annotations

import json

import pytest

from tests.sandbox import images
from tests.sandbox.server import Response
from tests.sandbox.world import ServiceFault
from tests.support.az import Az
from tests.support.content import tag_digest

TARGET = "myregistry.azurecr.io"
SOURCE = "mcr.microsoft.com"
GUID = "01234567-89ab-cdef-0123-456789abcdef"
WRAPPED = f"Operation registries-{GUID} failed. Resource /subscriptions/s/registries/myregistry "
# The end of an operation: status, code and text; our code for it; what we advise.
FAILURES = [
    ((409, "Conflict", f"{WRAPPED}Tag by:1 already exists in target registry."), "target-tag-conflict", "--force"),
    (
        (400, "InvalidParameters",
         WRAPPED + 'Invalid message Forbidden Forbidden {"errors":[{"code":"DENIED","message":'
         "\"client with IP '1.2.3.4' is not allowed access. Refer https://aka.ms/acr/firewall to grant access.\"}]}"),
        "source-firewall", "--allow-trusted-services",
    ),
    (
        (400, "InvalidParameters",
         WRAPPED + 'Invalid message Unauthorized Unauthorized {"errors":[{"code":"UNAUTHORIZED",'
         '"message":"authentication required","detail":[{"Type":"repository","Name":"nats","Action":"pull"}]}]}'),
        "source-unauthorized", "--username",
    ),
    (
        (400, "BadRequest", "Invalid message 429 Too Many Requests Too Many Requests (HAP429)."),
        "source-rate-limited", "--username",
    ),
    ((400, "InvalidParameters", "Error copying blobs"), "arm-copy-failed", "--engine embedded"),
    ((400, "InvalidParameters", "The remote server may not be RFC 7233 compliant"), "source-no-range", "embedded"),
    ((400, "InvalidParameters", "No value specified for Docker-Content-Digest OK OK"), "source-no-digest", "--engine"),
    (
        (400, "BadRequest", f"Deployment failed. Correlation ID: {GUID}. {WRAPPED}Access to {TARGET} denied."),
        "target-denied", "az acr show --name myregistry",
    ),
    (
        (403, "LinkedAuthorizationFailed",
         "The client 'x' has permission to perform action 'importImage/action' on scope "
         "'t'; however, it does not have permission to perform action 'read' on the linked scope(s) 's'"),
        "source-role-missing", "Data Importer and Data Reader",
    ),
    (
        (403, "AuthorizationFailed", "The client 'x' does not have authorization to perform action "
         "'Microsoft.ContainerRegistry/registries/importImage/action' over scope 't'."),
        "target-role-missing", "Data Importer and Data Reader",
    ),
    (
        (400, "InvalidParameters", "Invalid value docker.io:443 for property parameters.Source.RegistryUri for x"),
        "source-registry-uri", "--engine embedded",
    ),
    ((400, "InvalidParameters", "unknown: The operation is disallowed."), "target-disallowed", "--repository cat"),
    ((400, "InvalidParameters", "IMAGE_QUARANTINED: the image is quarantined"), "target-quarantined", "Quarantine"),
    ((500, "InternalServerError", "Something broke."), "arm-busy", "support request"),
    ((400, "Strange", f"Nobody has seen this. CorrelationId: {GUID}"), "arm-unknown", GUID),
    # the same in other words
    (
        (400, "InvalidParameters", 'StatusCode: 403, Reason: Forbidden {"errors":[{"code":"DENIED"}]}'),
        "source-firewall", "--allow-trusted-services",
    ),
    (
        (400, "InvalidParameters",
         'Invalid message NotFound Not Found {"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest tagged by '
         '\\"1.1.2\\" is not found"}]}'),
        "source-not-found", "Check repository and tag",
    ),
    ((400, "BadRequest", "toomanyrequests: You have reached your pull rate limit."), "source-rate-limited", "--user"),
    ((400, "InvalidParameters", "Unexpected response status code"), "source-no-range", "--engine embedded"),
    ((400, "InvalidParameters", "Unexpected length of body in response"), "source-no-range", "--engine embedded"),
    (
        (400, "InvalidParameters", "Unable to find manifest digest  Repo: app Tag: 1 Manifest:"),
        "source-no-digest", "--engine embedded",
    ),
    (
        (404, "ResourceNotFound", "The resource with name 'x' and type 'Microsoft.ContainerRegistry/registries' could "
         "not be found in subscription 'Dev'."),
        "target-registry-not-found", "az acr list",
    ),
    (
        (400, "InvalidParameters", "Missing property parameters.TargetTags for the operation against the resource"),
        "arm-missing-target", "--repository",
    ),
    (
        (400, "InvalidParameters", "too many requests to source registry for cache rule 'x'"),
        "arm-cache-rule", "--engine embedded",
    ),
    (
        (400, "InvalidParameters", "Unsupported upstream or login server 'x'. Supported upstreams: docker.io"),
        "arm-cache-rule", "--engine embedded",
    ),
    ((400, "BadRequest", "Failed to access storage. Service request failed. Status: 403"), "arm-storage", "--engine"),
    ((500, "BadRequest", f"Deployment failed. Correlation ID: {GUID}. {WRAPPED}"), "arm-busy", GUID),
]  # fmt: skip


def answer(status: int, text: str, code: str = "", **detail: object) -> Response:
    """As a registry refuses: a code and words in JSON, or words alone."""
    body = json.dumps({"errors": [{"code": code, "message": text, **detail}]}) if code else text
    return Response(status, {"Retry-After": "0"}, body.encode())


PULL_LIMIT = "You have reached your pull rate limit."
PUSH_LIMIT = "Too many requests. Please visit https://aka.ms/acr/skus#sku-feature-matrix to view limits."
IDENTITY_LIMIT = "exceeded the per-identity rate limit of 250 requests in a 60 second window."
PUSH = {"Type": "repository", "Name": "x", "Action": "push"}
# Which request gets which answer, to the end; our code for it; what is said.
ANSWERS = {
    "source throttles": (SOURCE, "GET", "/v2/.*/blobs/.*", answer(429, PULL_LIMIT, "TOOMANYREQUESTS"),
                         "source-rate-limited", PULL_LIMIT),
    "source throttles in plain text": (SOURCE, "GET", "/v2/.*/manifests/.*", answer(429, "Ref A: 1 Ref B: 2 Ref C: 3"),
                                       "source-rate-limited", "Ref A: 1"),
    "Amazon's words for it": (SOURCE, ".*", "/v2/.*/manifests/.*", answer(429, "Rate exceeded", "TOOMANYREQUESTS"),
                              "source-rate-limited", "(source)"),
    "target throttles": (TARGET, "POST", "/v2/.*", answer(429, PUSH_LIMIT, "TOOMANYREQUESTS"),
                         "target-rate-limited", "aka.ms/acr/skus"),
    "target's token exchange throttles": (TARGET, "POST", "/oauth2/.*", answer(429, "slow down"),
                                          "target-rate-limited", "(target)"),
    "identity asks too often": (SOURCE, "GET", ".*/referrers/.*", answer(429, IDENTITY_LIMIT, "TOOMANYREQUESTS"),
                                "source-rate-limited", "per-identity"),
    "token lacks a right": (TARGET, "POST", "/v2/.*", answer(401, "authentication required", "UNAUTHORIZED",
                                                             detail=[PUSH]), "target-unauthorized", "push"),
    "target is locked": (TARGET, "PUT", "/v2/.*/manifests/.*", answer(405, "The operation is disallowed.", "DENIED"),
                         "target-disallowed", "az acr repository show"),
    "upload is lost": (TARGET, "P.*", "/v2/.*/blobs/uploads/.+", answer(404, "blob upload unknown",
                                                                        "BLOB_UPLOAD_UNKNOWN"),
                       "target-upload-lost", "BLOB_UPLOAD_UNKNOWN"),
    "upload is invalid": (TARGET, "P.*", "/v2/.*/blobs/uploads/.+", answer(400, "blob upload invalid",
                                                                           "BLOB_UPLOAD_INVALID"),
                          "target-upload-lost", "BLOB_UPLOAD_INVALID"),
    "Content-Range is not liked": (TARGET, "P.*", "/v2/.*/blobs/uploads/.+",
                                   answer(416, "the Content-Range header format is invalid"),
                                   "target-upload-lost", "Content-Range"),
    "header is too long": (SOURCE, "GET", "/v2/.*", answer(400, "<h1>400 Bad Request</h1>Request Header Or Cookie Too "
                                                          "Large"), "source-rejected", "Too Large"),
    "image is in quarantine": (SOURCE, ".*", "/v2/.*/manifests/.*", answer(403, "IMAGE_QUARANTINED", "DENIED"),
                               "source-denied", "IMAGE_QUARANTINED"),
    "quarantine has a code": (SOURCE, ".*", "/v2/.*/manifests/.*", answer(403, "quarantined", "IMAGE_QUARANTINED"),
                              "source-disallowed", "AcrQuarantineReader"),
    "manifest's blob is unknown": (TARGET, "PUT", "/v2/.*/manifests/.*", answer(404, "blob unknown",
                                                                                "MANIFEST_BLOB_UNKNOWN"),
                                   "target-blob-unknown", "blob unknown"),
}  # fmt: skip


@pytest.fixture(scope="module")
def run(sandbox, extensions, tmp_path_factory):
    """az, signed in, in one process for all that is said here."""
    az = Az(tmp_path_factory.mktemp("az"), sandbox.environment(), extensions=extensions)
    sandbox.sign_in(az.config)
    sandbox.world.service_pause = 0
    with az.many() as run:
        yield run
    sandbox.world.service_pause = 1


def failed(sandbox, run, new: str, *words: str):
    """The result of an import that must fail, when no tag came of it."""
    result = run("acr", "import", "-n", "myregistry", "-t", f"{new}:1", *words)
    assert result.code == (3 if "not-found" in result.json["error"]["code"] else 1), result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.count("ERROR:") == 1
    assert tag_digest(sandbox.content(TARGET), new, "1") is None
    return result


@pytest.mark.parametrize("number", range(len(FAILURES)), ids=[code for _, code, _ in FAILURES])
def test_failure_of_the_service_is_understood(sandbox, run, number):
    """In the operation's end; the words of the service, the ids, and the next step. Nobody else is asked."""
    failure, code, said = FAILURES[number]
    sandbox.world.service_faults = [ServiceFault(failed=failure)]
    before = len(sandbox.world.imports)
    words = ("--source", f"{SOURCE}/hello-world:latest", "--engine", "service")
    result = failed(sandbox, run, f"catalogue/service-{number}", *words)
    assert result.json["error"]["code"] == code, result.stderr
    assert said in result.stderr
    assert len(sandbox.world.imports) == before + 1


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_of_a_registry_is_understood(sandbox, run, name):
    """Side, code, and the registry's own words; to the end, so that no retry helps."""
    host, method, path, response, code, said = ANSWERS[name]
    new = f"catalogue/{name.replace(' ', '-').replace(chr(39), '').lower()}"
    images.image(new).push(sandbox.content(SOURCE), new, "1")
    planned = sandbox.faults.add(host=host, method=method, path=path, answer=response, times=1000)
    result = failed(sandbox, run, new, "--source", f"{SOURCE}/{new}:1", "--engine", "embedded")
    assert planned.seen
    assert result.json["error"]["code"] == code, result.stderr
    assert said in result.stderr
