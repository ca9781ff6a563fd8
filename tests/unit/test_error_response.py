# SPDX-License-Identifier: MIT
"""Literal answers of registries, and what they are taken for."""

from __future__ import annotations

import json

import pytest

from azext_acrimport.engine.transport.refusal import registry_error

MANIFEST = "https://r.azurecr.io/v2/team/app/manifests/1"
UPLOAD = "https://r.azurecr.io/v2/team/app/blobs/uploads/uuid?_state=secret"
FIREWALL = (
    b'{"errors":[{"code":"DENIED","message":"client with IP \'1.2.3.4\' is not allowed access. '
    b'Refer https://aka.ms/acr/firewall to grant access."}]}'
)


def errors(code: str, message: str = "", detail: object = None) -> bytes:
    """The specification's form."""
    return json.dumps({"errors": [{"code": code, "message": message, "detail": detail}]}).encode()


@pytest.mark.parametrize(
    ("method", "url", "status", "body", "kind"),
    [
        ("GET", MANIFEST, 401, errors("UNAUTHORIZED"), "Unauthorized"),
        ("GET", MANIFEST, 403, errors("DENIED", "requested access to the resource is denied"), "Denied"),
        ("GET", MANIFEST, 403, FIREWALL, "Firewall"),
        ("GET", MANIFEST, 404, errors("MANIFEST_UNKNOWN"), "NotFound"),
        ("GET", MANIFEST, 404, errors("NAME_UNKNOWN"), "NotFound"),
        ("GET", MANIFEST, 404, b"<html>404</html>", "NotFound"),
        ("PUT", MANIFEST, 405, errors("REGISTRY_DISALLOWED_OPERATION", detail={}), "Disallowed"),
        ("PUT", MANIFEST, 400, errors("UNSUPPORTED"), "Disallowed"),
        ("GET", MANIFEST, 429, b"Ref A: 1234 Ref B: AMS Ref C: 2026", "RateLimited"),
        ("GET", MANIFEST, 403, errors("TOOMANYREQUESTS", "rate exceeded"), "RateLimited"),
        ("PUT", MANIFEST, 413, b"<h1>Request Entity Too Large - AzureContainerRegistry</h1>", "TooLarge"),
        ("PUT", MANIFEST, 400, errors("MANIFEST_BLOB_UNKNOWN"), "BlobUnknown"),
        ("PUT", MANIFEST, 404, errors("BLOB_UNKNOWN"), "BlobUnknown"),
        ("PUT", MANIFEST, 400, errors("MANIFEST_UNKNOWN"), "BlobUnknown"),
        ("PUT", MANIFEST, 400, errors("MANIFEST_INVALID", detail="http: request body too large"), "Rejected"),
        ("PATCH", UPLOAD, 404, errors("BLOB_UPLOAD_INVALID"), "UploadLost"),
        ("PUT", UPLOAD, 404, b"", "UploadLost"),
        ("PATCH", UPLOAD, 416, b"", "UploadLost"),
        ("PUT", UPLOAD, 400, errors("DIGEST_INVALID"), "UploadLost"),
        ("POST", UPLOAD, 404, errors("NAME_UNKNOWN"), "NotFound"),
        ("GET", MANIFEST, 500, errors("UNKNOWN"), "ServerError"),
        ("GET", MANIFEST, 503, errors("TOOMANYREQUESTS"), "ServerError"),
        ("GET", MANIFEST, 418, b"", "Rejected"),
        ("GET", MANIFEST, 403, errors("IMAGE_QUARANTINED"), "Disallowed"),
        ("GET", MANIFEST, 400, errors("UNKNOWN", "pagination offset too large for anonymous requests"), "Rejected"),
        ("PUT", MANIFEST, 405, errors("UNKNOWN", "The operation is disallowed."), "Disallowed"),
        ("GET", MANIFEST, 429, errors("TOOMANYREQUESTS", "exceeded the per-identity rate limit of 250"), "RateLimited"),
        ("GET", MANIFEST, 429, b"toomanyrequests: Rate exceeded", "RateLimited"),
        ("PATCH", UPLOAD, 404, errors("BLOB_UPLOAD_UNKNOWN"), "UploadLost"),
        ("PATCH", UPLOAD, 400, b'{"Reason": "the Content-Range header format is invalid"}', "Rejected"),
        ("GET", MANIFEST, 400, b"<h1>400 Bad Request</h1>Request Header Or Cookie Too Large", "Rejected"),
    ],
)
def test_answer_is_understood(method, url, status, body, kind):
    """The code decides, then the status; the body may be anything."""
    error = registry_error("target", method, url, status, {}, body, mode="az login identity")
    assert type(error).__name__ == kind
    assert error.repository == "team/app"
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (errors("A", "one", "two"), "one (two)"),
        (errors("A", "one", [{"Type": "repository", "Name": "nats", "Action": "pull"}]), "one (nats:pull)"),
        (errors("A", "one", {"Tag": "x"}), "one"),
        (errors("A", "one", None), "one"),
        (b'{"errors": null}', '{"errors": null}'),
        (b'{"errors": [1, "x"]}', ""),
        (b"<?xml version='1.0'?><Error><Code>InvalidAuthenticationInfo</Code></Error>", "InvalidAuthenticationInfo"),
        (b"<html>\n<h1>Bad   Gateway</h1>", "Bad Gateway"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
    ],
    ids=range(10),
)
def test_words_are_found(body, text):
    """In every form that has been seen."""
    assert registry_error("source", "GET", MANIFEST, 400, {}, body).text == text


def test_request_id_and_retry_after_are_kept():
    """For a support request, and for the user's patience."""
    headers = {"x-ms-correlation-request-id": "guid-1", "Retry-After": "57"}
    error = registry_error("target", "GET", MANIFEST, 429, headers, b"")
    assert (error.request_id, error.retry_after) == ("guid-1", 57.0)
