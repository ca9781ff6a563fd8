# SPDX-License-Identifier: MIT
"""Lines of a batch's report, and what the engines have to know of each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .._options import BatchOptions, ImportOptions, SignIn, SourceImage, Target
from ..batch.targets import Item, Naming
from ..batch.wanted import Wanted
from ..engine import CopyRequest, Destination, EngineError, ItemResult, Reference
from ..job.clients import Clients, secret_of
from ..job.job import Connected, Job, Outcome
from ..registries.arm import Quiet
from ..registries.credentials import Identity
from ..registries.deadline import Deadline
from ..registries.directory import Registry


@dataclass(slots=True)
class Line:
    """One line of the report. ``item`` is None for what could not be looked at, or not yet.

    ``is_under_way``: the engine's own numbers have it in them.
    """

    outcome: Outcome
    item: Item | None = None
    is_under_way: bool = False

    @classmethod
    def of_wanted(cls, wanted: Wanted, naming: Naming, error: EngineError | None = None, *, within: str = "") -> Line:
        """Of what nobody has looked at yet; or could not, as the ``error`` says. ``within``: of which registry."""
        item = ItemResult(wanted.name or within, naming.foreseen(wanted))
        if error:
            item.end_with(error)
        return cls(Outcome(item))

    @classmethod
    def of_item(cls, item: Item) -> Line:
        """A single image."""
        return cls(Outcome(ItemResult(item.wanted.name, (item.target,))), item)


class Jobs:
    """From a line to its job and its request, made anew each time: there may be ten thousand lines.

    ``connected`` makes a new set of connections: those of a run that was stopped are dead.
    """

    def __init__(
        self,
        cli_ctx: Any,
        options: BatchOptions,
        sign_ins: Mapping[str, SignIn],
        identity: Identity,
        target: Registry,
        registries: Mapping[str, Registry],
        connected: Callable[[], Clients],
        deadline: Deadline,
    ) -> None:
        self.connected = connected
        self._cli_ctx = cli_ctx
        self._options = options
        self._sign_ins = sign_ins
        self._identity = identity
        self._target = target
        self._registries = registries
        self._deadline = deadline
        self._here = threading.local()
        self._sets: list[Clients] = []
        self._secrets: dict[str, str | None] = {}
        self._quiet = Quiet()

    def disconnect(self) -> None:
        """What the threads of the service have connected."""
        for clients in self._sets:
            clients.__exit__()

    def request(self, line: Line, clients: Clients) -> CopyRequest:
        """As the embedded engine wants it, over these connections."""
        item, job = line.item, self.of(line)
        assert item and job.source
        target = clients.repository("target", self._target, item.repository)
        return job.request(
            clients.repository("source", job.source, item.wanted.repository),
            item.identifier,
            [Destination(target, (item.tag,))],
            skip_conflicts=self._options.on_conflict == "skip",
        )

    def of(self, line: Line) -> Job:
        """Raises CredentialError where the password is not to be had."""
        item, options = line.item, self._options
        assert item
        wanted = item.wanted
        source = self._registries[wanted.registry]
        reference = Reference(wanted.registry, wanted.repository, wanted.tag, wanted.digest)
        image = str(reference).partition("/")[2]
        sign_in = self._sign_ins.get(wanted.registry, SignIn())
        referrers = options.referrers or wanted.referrers or "new"
        platforms = options.platforms or (wanted.platforms if wanted.platforms is not None else ())
        return Job(
            cli_ctx=self._cli_ctx,
            options=ImportOptions(
                registry_name=options.registry_name,
                source_image=SourceImage(image, reference, str(reference)),
                source_registry=None,
                username=sign_in.username,
                password=self._secret(wanted.registry, sign_in),
                target_tags=[(item.repository, item.tag)],
                repositories=[],
                resource_group_name=options.resource_group_name,
                force=options.on_conflict == "overwrite",
                no_wait=False,
                engine=options.engine,
                jobs=options.jobs,
                timeout=options.timeout,
                dry_run=options.dry_run,
                platforms=platforms,
                referrers=referrers != "none",
                new_only=referrers == "new",
            ),
            reference=reference,
            source=source,
            target=self._target,
            image=image,
            targets=(Target(item.repository, item.tag, item.target),),
            deadline=self._deadline,
            connected=lambda: self._connected_for(line),
            same_tenant=lambda: self._identity.tenant(source) == self._identity.tenant(self._target),
            quiet=self._quiet,
        )

    def _secret(self, host: str, sign_in: SignIn) -> str | None:
        if host not in self._secrets:
            self._secrets[host] = secret_of(sign_in, host)
        return self._secrets[host]

    @contextmanager
    def _connected_for(self, line: Line) -> Iterator[Connected]:
        """For the service, in the thread that asks it: one set of connections for all that this thread does."""
        clients: Clients | None = getattr(self._here, "clients", None)
        if clients is None or clients.cancellation.requested:
            self._deadline.check()
            clients = self._here.clients = self.connected().__enter__()
            self._sets.append(clients)
        yield self.request(line, clients), clients.cancellation
