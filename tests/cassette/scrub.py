# SPDX-License-Identifier: MIT
"""What must not be in a cassette, and what must stay as it is: manifests and blobs are never touched."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from vcr.request import Request

SECRET_FIELDS = set(
    "access_token refresh_token id_token token client_secret client_assertion password client_info".split()
)
REDACTED = "REDACTED"
DROPPED_HEADERS = {
    "authorization", "cookie", "set-cookie", "client-request-id", "x-ms-client-request-id", "x-ms-request-id",
    "x-ms-correlation-request-id", "x-ms-routing-request-id", "user-agent", "x-client-sku", "x-client-os",
    "x-client-ver", "x-client-cpu", "x-client-current-telemetry", "x-client-last-telemetry", "commandname",
    "parametersetname",
}  # fmt: skip
SIGNATURE = re.compile(r"([?&](?:sig|verify)=)[^&\s\"]+")
CONTENT = re.compile(r"/v2/.+/(manifests|blobs)/")


class Scrubber:
    """``names``: real names (of a registry, a subscription, a tenant) and what stands for them in the cassette."""

    def __init__(self, names: dict[str, str] | None = None) -> None:
        self._names = names or {}

    def request(self, request: Any) -> Any:
        """As vcrpy's before_record_request; also applied to requests that look for their recorded answer."""
        is_content = CONTENT.search(urlsplit(request.uri).path)
        body = request.body.read() if hasattr(request.body, "read") else request.body
        if isinstance(body, bytes) and body and not is_content:
            body = self._body(body)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in DROPPED_HEADERS}
        uri = self._text(SIGNATURE.sub(rf"\1{REDACTED}", request.uri))
        return Request(request.method, uri, body, headers)  # a new one: vcrpy would store a stream as an object

    def response(self, response: dict[str, Any]) -> dict[str, Any]:
        """As vcrpy's before_record_response."""
        headers = {
            name: [self._text(SIGNATURE.sub(rf"\1{REDACTED}", value)) for value in values]
            for name, values in response["headers"].items()
            if name.lower() not in DROPPED_HEADERS
        }
        types = [value for name, values in headers.items() if name.lower() == "content-type" for value in values]
        raw = response["body"]["string"]
        shown = raw
        if any(kind.startswith("application/json") for kind in types):
            shown = self._body(raw)
        elif 300 <= response.get("status", {}).get("code", 0) < 400:  # a page for people, with the same address in it
            shown = self._text(SIGNATURE.sub(rf"\1{REDACTED}", raw.decode())).encode()
        if shown != raw:
            response["body"]["string"] = shown
            length = [str(len(response["body"]["string"]))]
            headers = {name: length if name.lower() == "content-length" else v for name, v in headers.items()}
        response["headers"] = headers
        return response

    def _body(self, raw: bytes) -> bytes:
        text = self._text(raw.decode("utf-8", "replace"))
        try:
            return json.dumps(self._json(json.loads(text))).encode()
        except ValueError:
            pass
        fields = parse_qsl(text, keep_blank_values=True)
        if not fields or urlencode(fields) != text:
            return text.encode()
        return urlencode([(name, REDACTED if name in SECRET_FIELDS else value) for name, value in fields]).encode()

    def _json(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                k: REDACTED if k in SECRET_FIELDS and isinstance(v, str) else self._json(v) for k, v in value.items()
            }
        if isinstance(value, list):
            return [self._json(entry) for entry in value]
        return value

    def _text(self, text: str) -> str:
        for real, shown in self._names.items():
            text = re.sub(re.escape(real), shown, text, flags=re.IGNORECASE)
        return text
