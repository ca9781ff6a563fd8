# SPDX-License-Identifier: MIT
"""The sandbox's import service and registry rights refuse what the real ones refuse."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlencode

import pytest

from tests.sandbox import images
from tests.sandbox.acr import Acr
from tests.sandbox.arm import Arm, ImportFailed
from tests.sandbox.entra import access_token
from tests.sandbox.importer import Importer
from tests.sandbox.public import DockerHub, Private
from tests.sandbox.registry import Registry
from tests.sandbox.server import call
from tests.sandbox.storage import Storage
from tests.sandbox.tokens import claims_of
from tests.sandbox.world import ALL, OWNER, READER, STRANGER, World

IMAGE = images.image("strict")
TYPED = {"Content-Type": images.OCI_MANIFEST}


class Azure:
    """A world with a target, a source, Docker Hub, a private registry, and the service that imports."""

    def __init__(self, folder) -> None:
        self.world = World()
        self.contents, self.fronts = {}, {}
        for name in ("myregistry", "mysourceregistry", "secretregistry", "closedregistry"):
            registry = self.world.registries[name]
            acr = Acr(self.world, registry, Registry(Storage(folder / name)))
            self.contents[registry.login_server], self.fronts[registry.login_server] = acr.content, acr
        self.contents["docker.io"], self.contents[Private.HOST] = (Registry(Storage(folder / n)) for n in "dp")
        self.hub = DockerHub(self.contents["docker.io"])
        self.fronts |= {self.hub.REGISTRY: self.hub, self.hub.TOKENS: self.hub.tokens}
        self.fronts[Private.HOST] = Private(self.contents[Private.HOST])
        for host in self.contents:
            IMAGE.push(self.contents[host], "sandboxuser/private" if host == "docker.io" else "app", "1")
        self.service = Importer(self.world, self.contents, self.fronts)

    def run(self, source: dict, *targets: str) -> None:
        """Import into myregistry."""
        self.service(self.world.registries["myregistry"], {"source": source, "targetTags": targets or ("new:1",)})


@pytest.fixture
def azure(tmp_path) -> Azure:
    """A small one, without sockets."""
    return Azure(tmp_path)


def of(host: str, image: str = "app:1", **credentials: str) -> dict:
    """A source by host, with credentials when there are any."""
    return {"registryUri": host, "sourceImage": image, **({"credentials": credentials} if credentials else {})}


HUB = ("docker.io", "sandboxuser/private:1")
SOURCE = "mysourceregistry.azurecr.io"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (of(*HUB), "Invalid message Unauthorized Unauthorized"),
        (of(*HUB, username="sandboxuser", password="wrong"), "Unauthorized"),
        (of(Private.HOST), "Unauthorized"),
        (of(Private.HOST, username="robot", password="wrong"), "Unauthorized"),
        (of(SOURCE), "Unauthorized"),
        (of(SOURCE, password="no token"), "Unauthorized"),
        (of(SOURCE, username=STRANGER.id, password=STRANGER.secret), "Unauthorized"),
        (of("closedregistry.azurecr.io"), "Invalid message Forbidden Forbidden"),
        (of(*HUB[:1], "sandboxuser/private:9", username="sandboxuser", password="hub-secret"), "MANIFEST_UNKNOWN"),
        (of("nowhere.example.org"), "can not be reached"),
    ],
)
def test_service_is_refused_by_the_source(azure, source, said):
    """In the source's words, wrapped in the service's; and nothing is there afterwards."""
    with pytest.raises(ImportFailed, match=said):
        azure.run(source)
    assert call(azure.contents["myregistry.azurecr.io"], "GET", "/v2/new/manifests/1").status == 404


@pytest.mark.parametrize(
    "source",
    [
        of(*HUB, username="sandboxuser", password="hub-secret"),
        of(Private.HOST, username="robot", password="robot-secret"),
        of(SOURCE, username=READER.id, password=READER.secret),
        of(SOURCE, password=access_token(READER, "https://management.azure.com/")),
        {"resourceId": World().registries["closedregistry"].id.upper(), "sourceImage": "app:1"},
    ],
    ids=["Docker Hub", "Basic", "service principal", "Entra token", "closed, by resource ID"],
)
def test_service_imports_what_it_may_read(azure, source):
    """Every way of signing in that importImage has; a trusted service passes the firewall."""
    azure.run(source)
    assert call(azure.contents["myregistry.azurecr.io"], "GET", "/v2/new/manifests/1").body == IMAGE.raw


def test_service_obeys_policy_locks_and_limits(azure):
    """Forbidden exports, locked targets, the 50 manifests, and Docker Hub's count."""
    with pytest.raises(ImportFailed, match="Exports"):
        azure.run({"resourceId": azure.world.registries["secretregistry"].id, "sourceImage": "app:1"})
    azure.world.registries["myregistry"].attributes["locked"] = {"writeEnabled": False}
    with pytest.raises(ImportFailed, match="disallowed"):
        azure.run(of(Private.HOST, username="robot", password="robot-secret"), "locked:1")
    many = images.index([(f"linux/a{n}", images.image(n, (1,))) for n in range(50)])
    many.push(azure.contents[Private.HOST], "many", "1")
    with pytest.raises(ImportFailed, match="50 manifests"):
        azure.run(of(Private.HOST, "many:1", username="robot", password="robot-secret"))
    azure.hub.limit = 0
    with pytest.raises(ImportFailed, match="429 Too Many Requests"):
        azure.run(of(*HUB, username="sandboxuser", password="hub-secret"))


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "InvalidRequestContent"),
        (json.dumps({"source": of(Private.HOST)}).encode(), 400, "InvalidParameters"),
        (
            json.dumps(
                {
                    "source": {"resourceId": World().registries["mysourceregistry"].id, "sourceImage": "app:1"},
                    "targetTags": ["new:1"],
                }
            ).encode(),
            403,
            "LinkedAuthorizationFailed",
        ),
    ],
    ids=["no JSON", "no target", "no right on the source"],
)
def test_arm_refuses_an_import(azure, body, status, code):
    """Before any operation begins."""
    azure.world.registries["myregistry"].rights[STRANGER.id] = ALL
    path = f"{azure.world.registries['myregistry'].id}/importImage?api-version=2025-11-01"
    headers = {"Authorization": f"Bearer {access_token(STRANGER, 'https://management.azure.com/')}"}
    response = call(Arm(azure.world, azure.service), "POST", path, headers=headers, body=body)
    assert (response.status, json.loads(response.body)["error"]["code"]) == (status, code)


@pytest.mark.parametrize(("abac", "expected"), [(True, ["pull"]), (False, ["pull", "push"])])
def test_condition_of_a_role_limits_the_token(azure, abac, expected):
    """A token is given in any case, and lacks what the condition leaves out; only ABAC registries know conditions."""
    registry = azure.world.registries["myregistry"]
    registry.abac, registry.rights[READER.id] = abac, frozenset({"pull", "push"})
    registry.conditions[READER.id] = "team/.*" if abac else "nothing"
    form = {"grant_type": "password", "username": READER.id, "password": READER.secret}
    scopes = "repository:team/app:pull repository:other:push" if abac else "repository:other:pull,push"
    body = urlencode({**form, "service": registry.login_server, "scope": scopes}).encode()
    issued = call(azure.fronts[registry.login_server], "POST", "/oauth2/token", body=body, expect=200)
    access = claims_of(json.loads(issued.body)["access_token"])["access"]
    assert [action for grant in access for action in grant["actions"]] == expected


@pytest.mark.parametrize(
    ("lock", "method", "status"),
    [
        ({}, "DELETE", 202),
        ({"app": {"writeEnabled": False}}, "DELETE", 405),
        ({"app": {"deleteEnabled": False}}, "DELETE", 405),
        ({"app": {"deleteEnabled": False}}, "PUT", 201),
        ({f"app@{IMAGE.digest}": {"writeEnabled": False}}, "PUT", 405),
    ],
)
def test_locks_of_acr(azure, lock, method, status):
    """writeEnabled forbids deleting as well; a manifest has locks of its own."""
    azure.world.registries["myregistry"].attributes |= lock
    pair = base64.b64encode(f"{OWNER.id}:{OWNER.secret}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}", **TYPED}
    body = IMAGE.raw if method == "PUT" else b""
    path = f"/v2/app/manifests/{IMAGE.digest}"
    assert call(azure.fronts["myregistry.azurecr.io"], method, path, headers=headers, body=body).status == status
