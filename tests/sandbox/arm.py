# SPDX-License-Identifier: MIT
"""management.azure.com: subscriptions, registries, and importImage as a long-running operation."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable
from typing import Any

from . import tokens
from .entra import answer
from .server import Request, Response
from .world import AzureRegistry, ServiceFault, World

HOST = "management.azure.com"
AUDIENCES = ("https://management.core.windows.net", "https://management.azure.com", "https://management.sandbox.cloud")
FIRST_POLL = 0.3
PROVIDER = "/providers/Microsoft.ContainerRegistry"
PERMISSIONS = "/providers/Microsoft.Authorization/permissions"


def arm_error(status: int, code: str, message: str) -> Response:
    """ARM's form of an error."""
    return answer({"error": {"code": code, "message": message}}, status)


class ImportFailed(Exception):
    """How an import ends badly: ARM code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Arm:
    """``importer`` does the copying of importImage: it gets the target and the request's body."""

    def __init__(self, world: World, importer: Callable[[AzureRegistry, dict[str, Any]], None]) -> None:
        self._world = world
        self._importer = importer
        self._operations: dict[str, dict[str, Any]] = {}

    def __call__(self, request: Request) -> Response:
        claims = tokens.check(request.headers.get("Authorization", "").removeprefix("Bearer "), "entra")
        if claims is None or claims["aud"].rstrip("/") not in AUDIENCES:
            return arm_error(
                401, "AuthenticationFailed", "Authentication failed. The access token is missing or invalid."
            )
        request.subject = claims["unique_name"]
        path = request.path.rstrip("/")
        if path == "/tenants":
            return answer({"value": [{"id": f"/tenants/{self._world.tenant}", "tenantId": self._world.tenant}]})
        if path == "/subscriptions":
            return answer({"value": [self._subscription(identifier) for identifier in self._world.subscriptions]})
        match = re.fullmatch(r"/subscriptions/([^/]+)(/.*)?", path)
        if not match or match[1] not in self._world.subscriptions:
            return arm_error(404, "SubscriptionNotFound", f"The subscription could not be found: {path}")
        if not match[2]:
            return answer(self._subscription(match[1]))
        return self._in_subscription(request, match[1], match[2], claims["oid"])

    def _subscription(self, identifier: str) -> dict[str, Any]:
        return {
            "id": f"/subscriptions/{identifier}",
            "subscriptionId": identifier,
            "tenantId": self._world.tenant,
            "displayName": self._world.subscriptions[identifier],
            "state": "Enabled",
            "managedByTenants": [],
        }

    def _in_subscription(self, request: Request, subscription: str, path: str, caller: str) -> Response:
        seen = [
            registry
            for registry in self._world.registries.values()
            if registry.subscription == subscription and self._world.may_manage(caller, registry)
        ]
        if path == "/resources":
            known = [{k: v for k, v in r.to_arm().items() if k in ("id", "name", "type", "location")} for r in seen]
            return answer({"value": known})
        if path.lower() == f"{PROVIDER}/registries".lower():
            return answer({"value": [registry.to_arm() for registry in seen]})
        operation = re.fullmatch(rf"{PROVIDER}/locations/[^/]+/operationResults/(.+)", path)
        if operation:
            return self._poll(request, operation[1])
        match = re.fullmatch(rf"/resourceGroups/([^/]+){PROVIDER}/registries/([^/]+)(/.*)?", path, re.IGNORECASE)
        if not match:
            return arm_error(404, "NotFound", f"No such path: {path}")
        registry = self._world.registries.get(match[2].lower())
        if not registry or registry.subscription != subscription or registry.resource_group != match[1].lower():
            text = (
                f"The Resource 'Microsoft.ContainerRegistry/registries/{match[2]}' under resource group '{match[1]}' "
            )
            return arm_error(404, "ResourceNotFound", text + "was not found.")
        writing = match[3] not in (None, PERMISSIONS) or request.method != "GET"
        if not self._world.may_manage(caller, registry, write=writing):
            verb = f"{match[3]}/action" if match[3] else "/write" if writing else "/read"
            action = f"Microsoft.ContainerRegistry/registries{verb}"
            text = f"The client '{caller}' does not have authorization to perform action '{action}' over scope "
            return arm_error(403, "AuthorizationFailed", f"{text}'{registry.id}' or the scope is invalid.")
        return self._on_registry(request, registry, match[3] or "", caller)

    def _on_registry(self, request: Request, registry: AzureRegistry, action: str, caller: str) -> Response:
        if not action:
            if request.method == "PATCH":
                registry.update(json.loads(request.body.read_all()).get("properties", {}))
            return answer(registry.to_arm())
        if action == PERMISSIONS:
            actions = ["*"] if self._world.may_manage(caller, registry, write=True) else ["*/read"]
            return answer({"value": [{"actions": actions, "notActions": []}]})
        if action == "/listCredentials" and registry.admin_password:
            passwords = [{"name": n, "value": registry.admin_password} for n in ("password", "password2")]
            return answer({"username": registry.name, "passwords": passwords})
        if action == "/importImage" and request.method == "POST":
            return self._import(request, registry, caller)
        return arm_error(404, "NotFound", f"No such action: {action}")

    def _import(self, request: Request, registry: AzureRegistry, caller: str) -> Response:
        try:
            parameters = json.loads(request.body.read_all())
            resource_id = parameters["source"].get("resourceId", "")
        except (ValueError, KeyError, AttributeError):
            return arm_error(400, "InvalidRequestContent", "The request content was invalid.")
        self._world.imports.append((request.path, parameters))
        fault = self._world.service_faults.pop(0) if self._world.service_faults else ServiceFault()
        if fault.refused:
            return arm_error(*fault.refused)
        if not parameters.get("targetTags") and not parameters.get("untaggedTargetRepositories"):
            text = f"Missing property parameters.TargetTags for the operation against the resource {registry.id}."
            return arm_error(400, "InvalidParameters", text)
        source = self._world.registry(resource_id) if resource_id else None
        image = parameters["source"].get("sourceImage", "").partition("@")[0].partition(":")[0]
        if source and "pull" not in source.rights_on(caller, image):
            text = (
                f"The client '{caller}' has permission to perform action "
                f"'Microsoft.ContainerRegistry/registries/importImage/action' on scope '{registry.id}'; however, "
                f"it does not have permission to perform action 'read' on the linked scope(s) '{resource_id}'."
            )
            return arm_error(403, "LinkedAuthorizationFailed", text)
        operation = f"registries-{secrets.token_hex(8)}"
        state: dict[str, Any] = {"status": "Accepted", "fault": fault, "ended": threading.Event()}
        self._operations[operation] = state

        def work() -> None:
            try:
                if fault.before:
                    fault.before()
                if not fault.failed and not fault.hangs:
                    self._importer(registry, parameters)
                    state["status"] = "Succeeded"
            except ImportFailed as failed:
                text = f"Operation {operation} failed. Resource {registry.id} {failed}"
                state.update(status="Failed", code=failed.code, message=text)
            except BaseException:
                # a fault of the sandbox: it must be seen, and nobody may wait for the end of it
                state.update(status="Failed", code="InternalServerError", message=f"Operation {operation} failed.")
                raise
            finally:
                state["ended"].set()

        threading.Thread(target=work, daemon=True).start()
        # the first poll comes at once, whatever is said here; and the SDK reads nothing but whole numbers here
        return Response(202, self._location(request, registry, operation) | {"Retry-After": "1"}, b"")

    def _poll(self, request: Request, operation: str) -> Response:
        state = self._operations.get(operation)
        if state is None:
            return arm_error(404, "NotFound", "No such operation")
        fault: ServiceFault = state["fault"]
        going_on = {"Location": self._here(request, operation), "Retry-After": str(self._world.service_pause)}
        if fault.bodies:
            said = fault.bodies.pop(0)
            if isinstance(said, int):
                return Response(said, {"Retry-After": "0"})
            return Response(202, {"Content-Type": "application/json", **going_on}, said.encode())
        if fault.failed:
            failure = arm_error(*fault.failed)
            failure.headers["Retry-After"] = going_on["Retry-After"]
            return failure
        # small images are there at the first poll, which spares tests the pause before the second one
        state["ended"].wait(FIRST_POLL)
        if state["status"] == "Accepted":
            body = answer({"status": "Accepted"}, 202)
            body.headers |= going_on
            return body
        if state["status"] == "Failed":
            return arm_error(409 if state["code"] == "Conflict" else 400, state["code"], state["message"])
        return answer({"status": "Succeeded"})

    @staticmethod
    def _here(request: Request, operation: str) -> str:
        query = f"api-version={request.param('api-version')}&t={secrets.token_hex(4)}&s={secrets.token_hex(16)}"
        return f"https://{request.host}{request.path}?{query}"

    @staticmethod
    def _location(request: Request, registry: AzureRegistry, operation: str) -> dict[str, str]:
        path = f"/subscriptions/{registry.subscription}{PROVIDER}/locations/EASTUS/operationResults/{operation}"
        query = f"api-version={request.param('api-version')}&t={secrets.token_hex(4)}&s={secrets.token_hex(16)}"
        return {"Location": f"https://{request.host}{path}?{query}"}
