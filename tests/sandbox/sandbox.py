# SPDX-License-Identifier: MIT
"""The whole: one TLS front for every host name, a proxy that leads there, and the folder in which all of it lives."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

import trustme

from . import distribution, entra, images, profile
from .acr import Acr
from .arm import HOST as ARM_HOST
from .arm import Arm
from .entra import Entra, ManagedIdentity
from .faults import Faults
from .importer import Importer
from .log import RequestLog
from .proxy import Proxy
from .public import DockerHub, Mcr, Private
from .registry import Oddities, Registry
from .server import Handler, Listener, Request, Response
from .storage import Storage
from .world import OWNER, AzureRegistry, Principal, World

CLOUD_SHELL_PORT = 50342
ACR_SUFFIX = ".azurecr.io"
# A cloud that az does not know before it is registered: the same Entra ID and ARM under other names.
CUSTOM_CLOUD = "sandbox.cloud"


class Sandbox:
    """``registry``: what holds the content, "embedded" or "docker-registry". Use it as a context manager.

    ``elsewhere``: more registries of the world, where nobody signs in; a host, or a host and port. ``line``: bytes a
    second between this machine and all of the world.
    """

    def __init__(
        self,
        folder: Path,
        *,
        registry: str = "embedded",
        cloud_shell: bool = False,
        elsewhere: Sequence[str] = (),
        line: float | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._kind = registry
        self._cloud_shell = cloud_shell
        self._elsewhere = elsewhere
        self._line = line
        self.world = World()
        self.log = RequestLog(folder / "requests.jsonl")
        self.faults = Faults()
        # hosts that the proxy does not let this machine reach; the import service does
        self.refused_here: set[str] = set()
        self._processes: list[distribution.Distribution] = []
        self._contents: dict[str, Handler] = {}
        self._fronts: dict[str, Handler] = {}
        self._storages: dict[str, Storage] = {}
        self._listeners: list[Listener] = []
        self.front: Listener
        self.plain: Listener
        self.identity: Listener
        self.proxy: Proxy

    def start(self) -> Sandbox:
        """Open the ports. Nothing is seeded."""
        self._fronts = {entra.HOST: Entra(self.world)}
        self._fronts[ARM_HOST] = Arm(self.world, Importer(self.world, self._contents, self._fronts))
        for registry in self.world.registries.values():
            self.add_registry(registry)
        self._fronts[f"login.{CUSTOM_CLOUD}"] = self._fronts[entra.HOST]
        self._fronts[f"management.{CUSTOM_CLOUD}"] = self._fronts[ARM_HOST]
        self.hub = DockerHub(self._content("docker.io"))
        for host in (self.hub.REGISTRY, "index.docker.io"):
            self._fronts[host] = self.hub
        self._fronts |= {self.hub.TOKENS: self.hub.tokens, self.hub.BLOBS: self.hub.blobs}
        mcr = Mcr(self._content(Mcr.HOST))
        self._fronts |= {Mcr.HOST: mcr, Mcr.BLOBS: mcr.blobs}
        private = Private(self._content(Private.HOST))
        self._contents[f"{Private.HOST}:5000"] = self._contents[Private.HOST]
        self._fronts |= {Private.HOST: private, f"{Private.HOST}:5000": private}
        self._fronts |= {host: self._content(host) for host in self._elsewhere}
        self.front = self._listen(self._route, tls=self._tls())
        self.proxy = Proxy(self.front.port, self._knows, self._line)
        self.identity = self._listen(ManagedIdentity())
        self.plain = self._listen(self._content("plain"))
        if self._cloud_shell:
            self._listen(ManagedIdentity(), port=CLOUD_SHELL_PORT)
        try:
            for process in self._processes:
                process.wait()
        except RuntimeError:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Close the ports, end the processes."""
        self.proxy.stop()
        for listener in self._listeners:
            listener.stop()
        for process in self._processes:
            process.stop()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add_registry(self, registry: AzureRegistry) -> Acr:
        """One more container registry, with ARM resource, data plane and storage host."""
        self.world.registries[registry.name] = registry
        acr = Acr(self.world, registry, self._content(registry.login_server))
        self._contents[registry.login_server] = acr.content
        self._fronts |= {registry.login_server: acr, acr.storage_host: acr.storage}
        if registry.login_server.endswith(ACR_SUFFIX):
            self._fronts[f"{registry.name}.eastus.geo{ACR_SUFFIX}"] = acr
        return acr

    def content(self, host: str) -> Handler:
        """What a registry host holds, to seed and to look at without signing in."""
        return self._contents[host]

    def storage(self, host: str) -> Storage:
        """Where the embedded registry of a host keeps its content, for tests that know more than HTTP."""
        return self._storages[host]

    @property
    def names(self) -> list[str]:
        """All host names of the world."""
        return sorted({host.partition(":")[0] for host in self._fronts})

    def environment(self) -> dict[str, str]:
        """For a process that shall take the sandbox for the world."""
        ca = str(self.folder / "ca.pem")
        return {
            "HTTPS_PROXY": f"http://127.0.0.1:{self.proxy.port}",
            "NO_PROXY": "",
            "REQUESTS_CA_BUNDLE": ca,
            "SSL_CERT_FILE": ca,
            "AZURE_CORE_COLLECT_TELEMETRY": "false",
        }

    def identity_environment(self) -> dict[str, str]:
        """What App Service gives to a process that has a managed identity."""
        endpoint = f"http://{self.identity.address}/msi/token"
        return {"IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": ManagedIdentity.SECRET}

    def sign_in(self, config: Path, principal: Principal = OWNER) -> None:
        """Leave in an az configuration folder what ``az login --service-principal`` would leave there."""
        profile.sign_in(config, self.world, principal)

    def seed(self) -> None:
        """The content that examples and tests name."""
        hello = images.hello_world()
        hello.push(self.content("docker.io"), "library/hello-world", "latest")
        hello.push(self.content("mcr.microsoft.com"), "hello-world", "latest")
        images.image("private").push(self.content("docker.io"), "sandboxuser/private", "1.0")
        images.image("public").push(self.content("docker.io"), "sandboxuser/public", "1.0")
        web = images.web_app()
        web.push(self.content("docker.io"), "library/web", "1.0")
        small = images.index([(p, images.image(f"app-{p}", platform=p)) for p in ("linux/amd64", "linux/arm64/v8")])
        for name in ("mysourceregistry", "otherregistry", "secretregistry", "foreignregistry", "abacregistry"):
            small.push(self.content(f"{name}.azurecr.io"), "app/web", "v1")
        images.image("docker", docker=True).push(self.content("registry.contoso.com"), "team/app", "1.0")
        small.push(self.content("plain"), "app/web", "v1")

    def _content(self, host: str) -> Handler:
        folder = self.folder / "content" / host.replace(":", "-")
        content: Handler
        if self._kind == distribution.PROGRAM:
            content = process = distribution.Distribution(folder, wait=False)
            self._processes.append(process)
        else:
            self._storages[host] = Storage(folder)
            content = Registry(self._storages[host], Oddities(strict_length=True))
        self._contents[host] = content
        return content

    def _listen(self, handler: Handler, *, tls: ssl.SSLContext | None = None, port: int = 0) -> Listener:
        listener = Listener(self.log.watch(self.faults.around(handler)), tls=tls, port=port)
        self._listeners.append(listener)
        return listener

    def _route(self, request: Request) -> Response:
        front = self._fronts.get(request.host)
        return front(request) if front else Response(404, body=f"the sandbox has no {request.host}".encode())

    def _knows(self, host: str, port: int) -> bool:
        return host not in self.refused_here and (host if port == 443 else f"{host}:{port}") in self._fronts

    def _tls(self) -> ssl.SSLContext:
        authority = trustme.CA()
        certificate = authority.issue_cert(
            "localhost", "127.0.0.1", "*.azurecr.io", "*.blob.core.windows.net", *self.names
        )
        authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context
