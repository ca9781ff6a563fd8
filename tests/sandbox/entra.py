# SPDX-License-Identifier: MIT
"""login.microsoftonline.com, and the token endpoints that managed identities ask on their own machine."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import Any

from . import tokens
from .server import Request, Response
from .world import IDENTITY, USER, Principal, World

HOST = "login.microsoftonline.com"
LIFETIME = 3600.0
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def answer(body: Any, status: int = 200) -> Response:
    """JSON."""
    return Response(status, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(body).encode())


def access_token(principal: Principal, audience: str, tenant: str = "") -> str:
    """What Entra ID issues for an API; ``tenant``: where the principal is a guest."""
    tenant = tenant or principal.tenant
    return tokens.issue(
        "entra",
        LIFETIME,
        aud=audience,
        iss=f"https://sts.windows.net/{tenant}/",
        tid=tenant,
        oid=principal.id,
        sub=principal.id,
        appid=principal.id,
        unique_name=principal.name,
    )


class Entra:
    """As much of it as MSAL asks for. Any federated assertion that is a JWT is taken for a service principal."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, request: Request) -> Response:
        path = re.sub("/+", "/", request.path.rstrip("/"))
        tenant = path.split("/")[1] if path else ""
        if tenant not in (self._world.tenant, *self._world.guests, "common", "organizations"):
            text = f"AADSTS90002: Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID."
            return answer({"error": "invalid_request", "error_codes": [90002], "error_description": text}, 400)
        if path.endswith("/openid-configuration"):
            return answer(self._configuration(request.host, tenant))
        if path == "/common/discovery/instance":
            names = [HOST, "login.windows.net", "login.microsoft.com", "sts.windows.net"]
            metadata = [{"preferred_network": HOST, "preferred_cache": "login.windows.net", "aliases": names}]
            tenant = f"https://{HOST}/{self._world.tenant}/v2.0/.well-known/openid-configuration"
            return answer({"tenant_discovery_endpoint": tenant, "metadata": metadata})
        if path.startswith("/common/userrealm/"):
            realm = {"ver": "1.0", "account_type": "Managed", "domain_name": "sandbox.test"}
            return answer(realm | {"cloud_instance_name": "microsoftonline.com"})
        if path.endswith("/oauth2/v2.0/devicecode"):
            return answer(
                {
                    "user_code": "SANDBOX1",
                    "device_code": "sandbox-device-code",
                    "expires_in": 900,
                    "interval": 1,
                    "verification_uri": "https://microsoft.com/devicelogin",
                    "message": "To sign in, open https://microsoft.com/devicelogin and enter the code SANDBOX1.",
                }
            )
        if path.endswith("/oauth2/v2.0/token"):
            return self._token(request, tenant)
        return answer({"error": "not_found"}, 404)

    def _configuration(self, host: str, tenant: str) -> dict[str, Any]:
        tenant = self._world.tenant if tenant in ("common", "organizations") else tenant
        base = f"https://{host}/{tenant}"
        return {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
        }

    def _token(self, request: Request, tenant: str) -> Response:
        form = request.form()
        grant = form.get("grant_type", "")
        principal = self._grantee(grant, form)
        guests = self._world.guests.get(tenant)
        if principal is None or (guests is not None and principal.id not in guests):
            return answer(
                {
                    "error": "invalid_client",
                    "error_codes": [7000215],
                    "error_description": "AADSTS7000215: Invalid client secret provided.",
                },
                401,
            )
        request.subject = principal.name
        scopes = [scope for scope in form.get("scope", "").split() if "://" in scope]
        audience = scopes[0].removesuffix("/.default").removesuffix("/user_impersonation") if scopes else ""
        body = {
            "token_type": "Bearer",
            "expires_in": int(LIFETIME),
            "ext_expires_in": int(LIFETIME),
            "access_token": access_token(principal, audience, tenant if guests else ""),
        }
        if principal.kind == "user":
            known = {"oid": principal.id, "tid": principal.tenant, "preferred_username": principal.name}
            ours = {"aud": form.get("client_id", ""), "iss": f"https://{HOST}/{principal.tenant}/v2.0"}
            info = json.dumps({"uid": principal.id, "utid": principal.tenant}).encode()
            body |= {
                "refresh_token": tokens.issue("entra-refresh", 86400, oid=principal.id),
                "id_token": tokens.id_token(**known, **ours, sub=principal.id, exp=time.time() + LIFETIME),
                "client_info": base64.urlsafe_b64encode(info).rstrip(b"=").decode(),
                "foci": "1",
                "scope": form.get("scope", ""),
            }
        return answer(body)

    def _grantee(self, grant: str, form: dict[str, str]) -> Principal | None:
        if grant == "client_credentials":
            principal = self._world.principal(form.get("client_id", ""))
            if principal and form.get("client_assertion_type") == ASSERTION_TYPE:
                return principal if form.get("client_assertion", "").count(".") == 2 else None
            return principal if principal and principal.secret == form.get("client_secret") else None
        if grant == "password":
            principal = self._world.principal(form.get("username", ""))
            return principal if principal and principal.secret == form.get("password") else None
        if grant in ("device_code", "urn:ietf:params:oauth:grant-type:device_code"):
            return USER
        if grant == "refresh_token":
            claims = tokens.check(form.get("refresh_token", ""), "entra-refresh")
            return self._world.principal(claims["oid"]) if claims else None
        return None


class ManagedIdentity:
    """The token endpoints of Cloud Shell (POST /oauth2/token) and of App Service (GET /msi/token), plain http."""

    SECRET = "sandbox-header"

    def __call__(self, request: Request) -> Response:
        if request.path == "/oauth2/token" and request.headers.get("Metadata", "").lower() == "true":
            return self._issued(request, USER, request.form().get("resource", ""))
        if request.path == "/msi/token" and request.headers.get("X-IDENTITY-HEADER") == self.SECRET:
            return self._issued(request, IDENTITY, request.param("resource"))
        return answer({"error": "invalid_request", "error_description": "Required header missing"}, 400)

    @staticmethod
    def _issued(request: Request, principal: Principal, resource: str) -> Response:
        request.subject = principal.name
        ends = str(int(time.time() + LIFETIME))
        return answer(
            {
                "access_token": access_token(principal, resource),
                "expires_in": str(int(LIFETIME)),
                "expires_on": ends,
                "resource": resource,
                "token_type": "Bearer",
                "client_id": principal.id,
            }
        )
