# SPDX-License-Identifier: MIT
"""Registries outside Azure: Docker Hub, the Microsoft Container Registry, and a private one."""

from __future__ import annotations

import base64
import re
import secrets

from . import tokens
from .entra import answer
from .registry import ROUTE, failure
from .server import Handler, Request, Response, call


class BlobRedirect:
    """Sends blob GETs to another host, which knows them by an unguessable path, and serves them there."""

    def __init__(self, host: str, content: Handler) -> None:
        self.host = host
        self._content = content
        self._paths: dict[str, str] = {}

    def redirect(self, request: Request) -> Response:
        """307 to the other host, if the blob is there."""
        if call(self._content, "HEAD", request.path).status != 200:
            return self._content(request)
        path = f"/{secrets.token_urlsafe(24)}/data"
        self._paths[path] = request.path
        return Response(307, {"Location": f"https://{self.host}{path}?verify={secrets.token_urlsafe(16)}"})

    def __call__(self, request: Request) -> Response:
        """The other host. It wants no authorization, and shows with 400 that it got one."""
        if request.headers.get("Authorization"):
            return Response(400, {"Content-Type": "application/xml"}, b"<Error><Code>InvalidArgument</Code></Error>")
        if request.path not in self._paths:
            return Response(403)
        return self._content(
            Request(request.method, "https", request.host, self._paths[request.path], [], request.headers, request.body)
        )


class DockerHub:
    """registry-1.docker.io and auth.docker.io. Repositories below a user's name in ``private`` need that user."""

    REGISTRY, TOKENS, BLOBS = "registry-1.docker.io", "auth.docker.io", "production.cloudflare.docker.com"
    USER, SECRET = "sandboxuser", "hub-secret"

    def __init__(self, content: Handler) -> None:
        self._content = content
        self.blobs = BlobRedirect(self.BLOBS, content)
        self.private = {"sandboxuser/private"}
        self.limit = 100
        self.pulls = 0

    def tokens(self, request: Request) -> Response:
        """GET with Basic or nothing, POST with a password grant. Wrong credentials are refused, no rights are not."""
        if request.method == "POST":
            form = request.form()
            user, password, scopes = form.get("username", ""), form.get("password", ""), form.get("scope", "").split()
        else:
            user, password = _basic(request)
            scopes = [scope for name, value in request.query if name == "scope" for scope in value.split()]
        if user and (user, password) != (self.USER, self.SECRET):
            return failure(401, "UNAUTHORIZED", "incorrect username or password")
        request.subject = user or "anonymous"
        granted = [scope for scope in scopes if scope.count(":") == 2 and self._may_ask(scope.split(":")[1], user)]
        token = tokens.issue("hub", 300, sub=user, scopes=granted)
        return answer({"token": token, "access_token": token, "expires_in": 300})

    def _may_ask(self, repository: str, user: str) -> bool:
        return repository not in self.private or bool(user)

    def __call__(self, request: Request) -> Response:
        route = ROUTE.fullmatch(request.path)
        name = route["name"] if route else ""
        claims = tokens.check(request.headers.get("Authorization", "").removeprefix("Bearer "), "hub")
        scope = f"repository:{name}:pull" if name else ""
        if claims is None or (name and scope not in claims["scopes"]):
            realm = f'Bearer realm="https://{self.TOKENS}/token",service="registry.docker.io"'
            realm += f',scope="{scope}"' if scope else ""
            realm += ',error="insufficient_scope"' if claims else ""
            detail = [{"Type": "repository", "Class": "", "Name": name, "Action": "pull"}] if name else None
            return failure(401, "UNAUTHORIZED", "authentication required", detail, WWW_Authenticate=realm)
        request.subject = claims["sub"] or "anonymous"
        if request.method not in ("GET", "HEAD"):
            return failure(401, "UNAUTHORIZED", "access to the requested resource is not authorized")
        if route and route["kind"] == "manifests":
            return self._manifest(request)
        if route and route["kind"] == "blobs" and request.method == "GET":
            return self.blobs.redirect(request)
        return self._content(request)

    def _manifest(self, request: Request) -> Response:
        """GET is a pull and counts; HEAD does not."""
        if request.method == "GET":
            if self.pulls >= self.limit:
                text = "You have reached your pull rate limit. https://www.docker.com/increase-rate-limit"
                return failure(429, "TOOMANYREQUESTS", text, Retry_After="1")
            self.pulls += 1
        response = self._content(request)
        left = max(0, self.limit - self.pulls)
        response.headers |= {"ratelimit-limit": f"{self.limit};w=21600", "ratelimit-remaining": f"{left};w=21600"}
        return response


class Mcr:
    """mcr.microsoft.com: for everybody, without a challenge."""

    HOST, BLOBS = "mcr.microsoft.com", "eastus.data.mcr.microsoft.com"

    def __init__(self, content: Handler) -> None:
        self._content = content
        self.blobs = BlobRedirect(self.BLOBS, content)

    def __call__(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return failure(405, "UNSUPPORTED")
        if request.method == "GET" and re.search(r"/blobs/sha", request.path):
            return self.blobs.redirect(request)
        return self._content(request)


class Private:
    """A registry with user and password, by Basic."""

    HOST = "registry.contoso.com"
    USER, SECRET = "robot", "robot-secret"

    def __init__(self, content: Handler) -> None:
        self._content = content

    def __call__(self, request: Request) -> Response:
        if _basic(request) != (self.USER, self.SECRET):
            return failure(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate='Basic realm="contoso"')
        request.subject = self.USER
        return self._content(request)


def _basic(request: Request) -> tuple[str, str]:
    value = request.headers.get("Authorization", "")
    if not value.startswith("Basic "):
        return "", ""
    name, _, password = base64.b64decode(value.removeprefix("Basic ")).decode().partition(":")
    return name, password
