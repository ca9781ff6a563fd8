# SPDX-License-Identifier: MIT
"""The data plane of one Azure container registry, before the content that it guards.

Strict where the real one is strict: rights, locks, the firewall, upload sessions that an error ends, blobs that come
from a storage host which refuses an Authorization header.
"""

from __future__ import annotations

import base64
import itertools
import re
import secrets
import time
from typing import Any
from urllib.parse import quote, urlencode

from . import tokens
from .acr_metadata import DELETED, Metadata
from .entra import answer
from .registry import NAME, ROUTE, failure
from .server import Handler, Request, Response, call
from .storage import DIGEST
from .world import AzureRegistry, Principal, World

ACR_AUDIENCE = "https://containerregistry.azure.net"
ARM_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
ZERO = "00000000-0000-0000-0000-000000000000"
FIREWALL = "client with IP '{}' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."
DISALLOWED = (
    "The operation is disallowed on this registry, repository or image. View troubleshooting steps at "
    "https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation"
)
REFERRERS_LIMIT = "exceeded the per-identity rate limit of {} requests in a 60 second window."
SIGN_IN = "authentication required, visit https://aka.ms/acr/authorization for more information."


class Acr:
    """``content`` is an open registry (embedded, or Debian's) that nobody else can reach."""

    def __init__(self, world: World, registry: AzureRegistry, content: Handler) -> None:
        self._world = world
        self._registry = registry
        self.metadata = Metadata(registry, content)
        self.content = self.metadata.recorded
        self._lost_uploads: set[str] = set()
        # sign-ins are counted apart: 10,000 a minute
        self._calls_left = itertools.count(166.65, -1 / 60)
        self._referrers_asked: dict[str, list[float]] = {}

    @property
    def storage_host(self) -> str:
        """Where blobs are fetched."""
        return f"{self._registry.name}sandbox.blob.core.windows.net"

    def __call__(self, request: Request) -> Response:
        request.path = request.path.replace("%2F", "/").replace("%2f", "/")
        response = self._answer(request)
        response.headers.setdefault("Server", "AzureContainerRegistry")
        response.headers.setdefault("x-ms-correlation-request-id", secrets.token_hex(16))
        if request.path.startswith("/oauth2/"):
            response.headers["x-ms-ratelimit-remaining-calls-per-second"] = f"{next(self._calls_left):.6f}"
        elif request.method == "DELETE" and response.status == 202:
            response.headers["x-ms-ratelimit-remaining-calls-per-second"] = "8.000000"
        return response

    def storage(self, request: Request) -> Response:
        """The storage host: a signature in the URL, and nothing else, lets in."""
        if request.headers.get("Authorization"):
            body = b"<?xml version='1.0'?><Error><Code>InvalidAuthenticationInfo</Code></Error>"
            return Response(400, {"Content-Type": "application/xml"}, body)
        claims = tokens.check(request.param("sig"), "storage")
        if claims is None or claims["path"] != request.path:
            return Response(
                403, {"Content-Type": "application/xml"}, b"<Error><Code>AuthenticationFailed</Code></Error>"
            )
        target = f"/v2/{claims['repository']}/blobs/{claims['digest']}"
        inner = Request(request.method, "https", request.host, target, [], request.headers, request.body)
        response = self.content(inner)
        response.headers.pop("Docker-Content-Digest", None)
        response.headers |= {"Server": "Windows-Azure-Blob/1.0", "x-ms-blob-type": "AppendBlob"}
        return response

    def _answer(self, request: Request) -> Response:
        if not self._registry.public:
            return failure(403, "DENIED", FIREWALL.format(request.client))
        if request.path == "/oauth2/exchange" and request.method == "POST":
            return self._exchange(request)
        if request.path == "/oauth2/token":
            return self._token(request)
        if request.path.startswith("/acr/v1/"):
            refusal = self._unless_allowed(request, _metadata_scope(request))
            return refusal or self.metadata(request)
        if request.path.startswith("/v2"):
            return self._distribution(request)
        return Response(404, {"Content-Type": "application/octet-stream"}, b"Not found")

    def _exchange(self, request: Request) -> Response:
        form = request.form()
        claims = tokens.check(form.get("access_token", ""), "entra")
        audiences = (ACR_AUDIENCE,) * self._registry.acr_tokens + ARM_AUDIENCES * self._registry.arm_tokens
        known = claims and claims["aud"].rstrip("/") in audiences and claims["tid"] == self._registry.tenant
        if not known or form.get("grant_type") != "access_token" or form.get("service") != self._registry.login_server:
            return Response(401)
        request.subject = claims["unique_name"]
        identity = {"aad_identity": claims["oid"]} if self._registry.abac else {}
        token = tokens.issue(
            "acr-refresh",
            self._registry.refresh_lifetime,
            aud=self._registry.login_server,
            oid=claims["oid"],
            grant_type="refresh_token",
            tenant=claims["tid"],
            **identity,
        )
        return answer({"refresh_token": token})

    def _token(self, request: Request) -> Response:
        if request.method == "POST":
            form = request.form()
            scopes = form.get("scope", "").split()
        else:
            form = {"grant_type": "password", **_basic(request)}
            scopes = [scope for name, value in request.query if name == "scope" for scope in value.split()]
        caller = self._caller(form)
        if caller is None:
            return Response(401)
        request.subject = caller.name
        access = [grant for scope in scopes if (grant := self._granted(caller, scope))]
        lifetime = self._registry.token_lifetime
        token = tokens.issue("acr", lifetime, aud=self._registry.login_server, sub=caller.id, access=access)
        return answer({"access_token": token})

    def _caller(self, form: dict[str, str]) -> Principal | None:
        """Who this is, by refresh token or by name and password; None when it cannot be told."""
        refresh_token = form.get("refresh_token") or (form.get("password") if form.get("username") == ZERO else "")
        if refresh_token:
            claims = tokens.check(refresh_token, "acr-refresh")
            ours = claims and claims["aud"] == self._registry.login_server
            return self._world.principal(claims["oid"]) if ours else None
        name, password = form.get("username", ""), form.get("password", "")
        if name == self._registry.name and password and password == self._registry.admin_password:
            return Principal("admin", self._registry.name, password)
        if password and self._registry.users.get(name) == password:
            return Principal(name, name, password, kind="token")
        principal = self._world.principal(name) if name else None
        if principal and principal.secret and principal.secret == password:
            return principal
        return Principal("anonymous", "anonymous", "") if not name and self._registry.anonymous_pull else None

    def _rights(self, caller: str, repository: str) -> frozenset[str]:
        if caller == "admin":
            return frozenset({"pull", "push", "delete", "metadata_read", "metadata_write", "catalog"})
        if caller == "anonymous":
            return frozenset({"pull", "metadata_read"}) if self._registry.anonymous_pull else frozenset()
        return self._registry.rights_on(caller, repository)

    def _granted(self, caller: Principal, scope: str) -> dict[str, Any] | None:
        """A token is given in any case; what the caller may not do is left out of it."""
        kind, _, rest = scope.partition(":")
        name, _, wanted = rest.rpartition(":")
        rights = self._rights(caller.id, name)
        if kind == "registry":
            return {"type": kind, "name": name, "actions": ["*"] if "catalog" in rights else []}
        if self._registry.abac and name == "*":
            return None
        actions = sorted(rights) if wanted == "*" else [a for a in wanted.split(",") if a in rights]
        return {"type": kind, "name": name, "actions": actions}

    def _unless_allowed(self, request: Request, *wanted: tuple[str, str]) -> Response | None:
        """None when the caller may do all of it; else the one challenge for it, or the refusal.

        ``wanted``: repositories, each with its actions, separated by commas; an empty one stands for the catalog.
        """
        authorization = request.headers.get("Authorization", "")
        scopes = [f"repository:{name}:{actions}" if name else "registry:catalog:*" for name, actions in wanted]
        access: list[dict[str, Any]] = []
        if authorization.startswith("Basic "):
            caller = self._caller(_basic(request))
            known = caller is not None
            if caller:
                request.subject = caller.name
                access = [grant for scope in scopes if (grant := self._granted(caller, scope))]
        else:
            claims = tokens.check(authorization.removeprefix("Bearer "), "acr")
            known = claims is not None and claims["aud"] == self._registry.login_server
            if claims and known:
                request.subject = claims["sub"]
                access = claims["access"]
        each = [(name, action) for name, actions in wanted for action in actions.split(",")]
        if known and all(self._is_in(access, name, action) for name, action in each):
            return None
        realm = (
            f'Bearer realm="https://{self._registry.login_server}/oauth2/token",service="{self._registry.login_server}"'
        )
        realm += f',scope="{" ".join(scopes)}"' if scopes else ""
        realm += ',error="insufficient_scope"' if known else ""
        detail = [{"Type": "repository", "Name": name, "Action": action} for name, action in each if name]
        return failure(401, "UNAUTHORIZED", SIGN_IN, detail or None, WWW_Authenticate=realm)

    @staticmethod
    def _is_in(access: list[dict[str, Any]], repository: str, action: str) -> bool:
        name = repository or "catalog"
        return any(grant["name"] in (name, "*") and {action, "*"} & set(grant["actions"]) for grant in access)

    def _distribution(self, request: Request) -> Response:
        if request.path == "/v2/_catalog":
            return self._unless_allowed(request, ("", "*")) or self.content(request)
        if request.path.rstrip("/") == "/v2":
            return self._unless_allowed(request) or self.content(request)
        route = ROUTE.fullmatch(request.path)
        if not route or not _fits(**route.groupdict()):
            return Response(404, {"Content-Type": "text/plain; charset=utf-8"}, b"404 page not found\n")
        name, kind, rest = route["name"], route["kind"], route["rest"]
        action = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(request.method, "push")
        # the order of the two differs from answer to answer
        wanted = [(name, secrets.choice(("pull,push", "push,pull")) if action == "push" else action)]
        wanted += [(request.param("from"), "pull")] if request.param("from") else []
        refusal = self._unless_allowed(request, *wanted)
        if refusal is not None:
            return refusal
        if action != "pull" and self._is_locked(name, kind, rest, action):
            return failure(405, "REGISTRY_DISALLOWED_OPERATION", DISALLOWED, {})
        if kind == "blobs" and request.method == "GET" and not rest.startswith("uploads/"):
            return self._to_storage(request, name, rest)
        if kind == "blobs" and rest.startswith("uploads/"):
            return self._upload(request, rest.removeprefix("uploads/"))
        return self._referrers(request) if kind == "referrers" else self._without_subject(self.content(request))

    def _without_subject(self, response: Response) -> Response:
        """A registry that lists no referrers does not say that it understood a subject."""
        if not (self._registry.referrers and self._registry.tells_subject):
            response.headers.pop("OCI-Subject", None)
        return response

    def _referrers(self, request: Request) -> Response:
        """Limited by identity, whatever is asked about."""
        if not self._registry.referrers:
            return Response(404)
        now, asked = time.monotonic(), self._referrers_asked.setdefault(request.subject, [])
        asked[:] = [moment for moment in asked if now - moment < 60]
        if len(asked) >= self._registry.referrers_limit:
            return failure(429, "TOOMANYREQUESTS", REFERRERS_LIMIT.format(self._registry.referrers_limit))
        asked.append(now)
        return self.content(request)

    def _is_locked(self, name: str, kind: str, rest: str, action: str) -> bool:
        """Of the three levels of locks those that concern the request; one against writing forbids deleting, too."""
        names = [name, *([f"{name}{'@' if ':' in rest else ':'}{rest}"] if kind == "manifests" else [])]
        deletable = action != "delete" or self._registry.allows("deleteEnabled", *names)
        return not (deletable and self._registry.allows("writeEnabled", *names))

    def _to_storage(self, request: Request, name: str, digest: str) -> Response:
        if call(self.content, "HEAD", request.path).status != 200:
            return self.content(request)
        algorithm, _, encoded = digest.partition(":")
        account = base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
        path = f"/{account}//docker/registry/v2/blobs/{algorithm}/{encoded[:2]}/{encoded}/data"
        signature = tokens.issue("storage", 1200, path=path, repository=name, digest=digest)
        query = f"se=soon&sig={quote(signature, safe='')}&sp=r&spr=https&sr=b&sv=2016-05-31&regid=sandbox"
        location = f"https://{self.storage_host}{path}?{query}"
        body = f'<a href="{location}">Temporary Redirect</a>.\n\n'.encode()
        headers = {"Location": location, "Docker-Content-Digest": digest, "Content-Type": "text/html; charset=utf-8"}
        return Response(307, headers, body)

    def _upload(self, request: Request, identifier: str) -> Response:
        """Any error ends the session for good, but for a Content-Range of a wrong form."""
        if identifier in self._lost_uploads:
            return failure(404, "BLOB_UPLOAD_INVALID", "blob upload invalid")
        if request.body.chunked and request.headers.get("Content-Range"):
            self._lost_uploads.add(identifier)
            return failure(400, "CONTENT_LENGTH_INVALID")
        try:
            response = self.content(request)
        except OSError:
            self._lost_uploads.add(identifier)
            call(self.content, "DELETE", f"{request.path}?{urlencode(request.query)}")
            raise
        if identifier and response.status >= 400 and b"BLOB_UPLOAD_RANGE_INVALID" not in response.body:
            self._lost_uploads.add(identifier)
        return response


def _basic(request: Request) -> dict[str, str]:
    value = request.headers.get("Authorization", "")
    if not value.startswith("Basic "):
        return {}
    name, _, password = base64.b64decode(value.removeprefix("Basic ")).decode().partition(":")
    return {"username": name, "password": password}


def _fits(name: str, kind: str, rest: str) -> bool:
    """Whether the path is a route: a name and a digest that are none lead nowhere, before anybody signs in."""
    digest = kind == "referrers" or (kind == "blobs" and not rest.startswith("uploads/"))
    return bool(NAME.fullmatch(name)) and (not digest or bool(DIGEST.fullmatch(rest)))


def _metadata_scope(request: Request) -> tuple[str, str]:
    if deleted := DELETED.fullmatch(request.path):
        return deleted[1], "deleted_restore" if request.method == "POST" else "deleted_read"
    match = re.fullmatch(r"/acr/v1/(.+?)(/_(tags|manifests)(/.*)?)?", request.path)
    if request.path == "/acr/v1/_catalog" or not match:
        return "", "*"
    return match[1], "metadata_write" if request.method == "PATCH" else "metadata_read"
