# SPDX-License-Identifier: MIT
"""Texts that the service has been seen to say, and what they mean; docs/errors.md is made from the same table."""

from __future__ import annotations

import json

import pytest

from azext_acrimport.output import catalogue, errors
from azext_acrimport.output.catalogue import CATALOGUE
from azext_acrimport.output.service_error import understand
from docs import errors_page

GUID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
TARGET = f"/subscriptions/{GUID}/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/target"
GETTING = "An error occurred when getting manifest."


@pytest.mark.parametrize(
    ("text", "arm_code", "code"),
    [
        (
            f"Operation registries-{GUID} failed. Resource {TARGET} Tag app:1 already exists in target registry.",
            "Conflict",
            "target-tag-conflict",
        ),
        (
            f"Operation registries-{GUID} failed. Resource {TARGET} Invalid message Forbidden Forbidden "
            '{"errors":[{"code":"DENIED","message":"client with IP \'1.2.3.4\' is not allowed access. Refer '
            'https://aka.ms/acr/firewall to grant access."}]}',
            "InvalidParameters",
            "source-firewall",
        ),
        ('StatusCode: 403, Reason: Forbidden {"errors":[{"code":"DENIED"}]}', "", "source-firewall"),
        (
            'Invalid message Unauthorized Unauthorized {"errors":[{"code":"UNAUTHORIZED","message":"authentication '
            'required","detail":[{"Type":"repository","Class":"","Name":"nats","Action":"pull"}]}]}',
            "InvalidParameters",
            "source-unauthorized",
        ),
        (
            'Invalid message NotFound Not Found {"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest tagged by '
            '\\"1.1.2\\" is not found"}]}',
            "InvalidParameters",
            "source-not-found",
        ),
        ("Invalid message 429 Too Many Requests Too Many Requests (HAP429).", "BadRequest", "source-rate-limited"),
        ("toomanyrequests: You have reached your pull rate limit.", "", "source-rate-limited"),
        ("Error copying blobs", "InvalidParameters", "arm-copy-failed"),
        ("The remote server may not be RFC 7233 compliant", "", "source-no-range"),
        ("Unexpected response status code", "", "source-no-range"),
        ("Unexpected length of body in response", "", "source-no-range"),
        ("No value specified for Docker-Content-Digest OK OK {", "", "source-no-digest"),
        ("Unable to find manifest digest  Repo: app Tag: 1 Manifest:", "", "source-no-digest"),
        (f"Deployment failed. Correlation ID: {GUID}. Access to target.azurecr.io denied.", "", "target-denied"),
        (f"Deployment failed. Correlation ID: {GUID}. Access to source.azurecr.io denied.", "", "source-denied"),
        (
            "The client 'x' with object id 'y' has permission to perform action 'Microsoft.ContainerRegistry/"
            "registries/importImage/action' on scope 't'; however, it does not have permission to perform action "
            "'read' on the linked scope(s) 's' or the linked scope(s) are invalid.",
            "LinkedAuthorizationFailed",
            "source-role-missing",
        ),
        (
            "The resource with name 'x' and type 'Microsoft.ContainerRegistry/registries' could not be found in "
            "subscription 'Dev'.",
            "",
            "target-registry-not-found",
        ),
        (
            f"Invalid value docker.io:443 for property parameters.Source.RegistryUri for resource name {TARGET}",
            "InvalidParameters",
            "source-registry-uri",
        ),
        ("Missing property parameters.TargetTags for the operation against the resource", "", "arm-missing-target"),
        (
            "The client 'x' does not have authorization to perform action "
            "'Microsoft.ContainerRegistry/registries/importImage/action' over scope 't'",
            "AuthorizationFailed",
            "target-role-missing",
        ),
        ("unknown: The operation is disallowed.", "", "target-disallowed"),
        ("IMAGE_QUARANTINED", "", "target-quarantined"),
        ("Invalid message Forbidden IMAGE_QUARANTINED", "", "source-quarantined"),
        ("too many requests to source registry for cache rule 'x'", "", "arm-cache-rule"),
        ("Unsupported upstream or login server 'x'. Supported upstreams: docker.io", "", "arm-cache-rule"),
        ("Failed to access storage. Service request failed. Status: 403", "", "arm-storage"),
        ("Access to Key Encryption Key is forbidden", "CMK_ERROR", "target-key-lost"),
        (f"Deployment failed. Correlation ID: {GUID}. Operation registries-{GUID} failed.", "", "arm-busy"),
        ("UnauthorizedForNobodyHasSeenThis", "Odd", "arm-unknown"),
        ("The request is throttled.", "TooManyRequests", "arm-throttled"),
        ("Number of requests exceeded the limit.", "SubscriptionRequestsThrottled", "arm-throttled"),
        *[
            (f"{GETTING} StatusCode: {status}, Reason: R, Details: {details}", "InvalidParameters", code)
            for status, details, code in (
                (401, "", "source-unauthorized"),
                (401, '{"errors":[{"code":"UNAUTHORIZED"}]}', "source-unauthorized"),
                (403, "", "source-denied"),
                (404, '{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', "source-not-found"),
                (404, "", "source-not-found"),
                (429, '{"errors":[{"code":"TOOMANYREQUESTS"}]}', "source-rate-limited"),
                (500, "", "source-server-error"),
                (503, "<html>", "source-server-error"),
                (504, "", "source-server-error"),
            )
        ],
        (f"{GETTING} StatusCode: 429, Reason: Too Many Requests", "TooManyRequests", "source-rate-limited"),
    ],
)
def test_text_is_understood(text, arm_code, code):
    """Code and side; and az's error for it has a next step."""
    error = understand(text, arm_code=arm_code, source="source.azurecr.io", target="target.azurecr.io")
    assert error.code == code
    assert error.request_id == (GUID if "Correlation" in text else "")
    mapped = errors.to_azclierror(error)
    assert mapped.recommendations and "{" not in mapped.recommendations[0].replace('"{public', "")
    assert (type(mapped).__name__ == "ResourceNotFoundError") == error.known.missing


def test_words_of_the_registry_are_kept_and_the_envelope_is_not():
    """What the source said, the ids, and nothing else of the wrapping."""
    text = (
        f"Deployment failed. Correlation ID: {GUID}. Operation registries-{GUID} failed. Resource {TARGET} "
        'Invalid message Unauthorized Unauthorized {"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}'
    )
    error = understand(text)
    assert error.words == "Invalid message Unauthorized Unauthorized. UNAUTHORIZED who are you?"
    assert (error.request_id, error.operation) == (GUID, f"registries-{GUID}")
    assert understand("Code: Odd StatusCode: 403, Reason: Forbidden").words == "StatusCode: 403, Reason: Forbidden"


def test_signed_addresses_are_not_shown():
    """A text may quote one."""
    assert "sig=secret" not in understand("failed at https://x.blob.core.windows.net/y?sig=secret").words


EVIL = "\x1b[2J\u202e ##vso[task.complete] ##[error]\r\n" + "z" * 100_000


@pytest.mark.parametrize(
    "text",
    [
        EVIL,
        f"Deployment failed. Correlation ID: {GUID}. {EVIL}",
        f"Invalid message Unauthorized Unauthorized {EVIL}",
        "Invalid message NotFound " + json.dumps({"errors": [{"code": EVIL, "message": EVIL}]}),
        'Invalid message NotFound {"errors":[{"code":[1],"message":{"a":2}}]}',
        'Invalid message NotFound {"errors":' + "[" * 100_000,
        "https://" + "<" * 250_000,
        "Reason: Forbidden " * 20_000,
        "Access to " * 50_000,
    ],
    ids=range(9),
)
def test_relayed_words_pass_the_one_door(text):
    """A source may have written them: one line, short, and an order to nobody."""
    mapped = errors.to_azclierror(understand(text, arm_code=f"Odd{EVIL}", request_id=EVIL))
    error = understand(text, arm_code=f"Odd{EVIL}", request_id=EVIL)
    for said in (error.words, error.message, error.arm_code, error.request_id, str(mapped.error_msg)):
        assert said.isprintable() and "##vso[" not in said and "##[" not in said
        assert "z" * 1001 not in said


def test_unknown_text_says_so():
    """With its words and its ids."""
    mapped = errors.to_azclierror(understand(f"Never seen. CorrelationId: {GUID}", arm_code="Odd"))
    assert "not known to acrimport" in mapped.error_msg
    assert "Odd Never seen" in mapped.error_msg and GUID in mapped.error_msg


def test_rows_have_codes_of_their_own():
    """A code means one thing."""
    rows = [*CATALOGUE, *catalogue.OWN]
    assert len({(row.slug, row.side) for row in rows}) == len(rows)


def test_page_of_errors_is_up_to_date():
    """python -m docs.errors_page writes it; what an error means is a sentence, and whole."""
    page = errors_page.PAGE.read_text("utf-8")
    assert page == errors_page.text()
    meanings = [row.split(" | ")[1].removesuffix(" |") for row in page.splitlines() if row.startswith("| `")]
    assert [words for words in meanings if not words.endswith(".")] == []
