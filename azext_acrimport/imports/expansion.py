# SPDX-License-Identifier: MIT
"""From what is wanted to single images: catalogs and tags are listed, patterns applied, names made."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from knack.log import get_logger

from ..batch.regexes import Found, search_all
from ..batch.targets import Item, Naming, distinct
from ..batch.wanted import Mistakes, Wanted, shown
from ..engine import EngineError, RegistryClient, list_repositories, list_tags
from ..job.clients import Clients
from ..job.parallel import each
from ..output import problem
from ..registries.directory import Directory, Registry

logger = get_logger(__name__)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# Questions at once where nobody says how many; they wait for round trips and need nothing else.
AT_ONCE = 16


@dataclass(slots=True)
class Refused:
    """Something that is wanted and could not be looked at: a registry, or a repository that does not list its tags."""

    wanted: Wanted
    error: EngineError


@dataclass(slots=True)
class Expansion:
    """In the order of the sources. ``unmatched``: what people should hear of patterns that match nothing."""

    registries: dict[str, Registry] = field(default_factory=dict)
    entries: list[Item | Refused] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)

    @property
    def items(self) -> list[Item]:
        """Those that can be tried."""
        return [entry for entry in self.entries if isinstance(entry, Item)]


class Expander:
    """``jobs``: questions at once; with one there is no thread."""

    def __init__(self, directory: Directory, clients: Clients, naming: Naming, jobs: int | None) -> None:
        self._directory = directory
        self._clients = clients
        self._naming = naming
        self._at_once = min(jobs or AT_ONCE, AT_ONCE)
        self._registries: dict[str, Registry | EngineError] = {}

    def expand(self, wanted: Sequence[Wanted], source: Registry | None, target: Registry) -> Expansion:
        """Raises Mistakes for names that are none, and for two images with one target.

        ``source``: that of what names no registry.
        """
        wanted = self._located(wanted, source, target)
        parts = self._repositories(wanted)
        expansion = self._images(parts)
        expansion.registries = {
            host: found for host, found in self._registries.items() if not isinstance(found, EngineError)
        }
        kept = {id(item) for item in distinct(expansion.items)}
        expansion.entries = [entry for entry in expansion.entries if isinstance(entry, Refused) or id(entry) in kept]
        return expansion

    def _located(self, wanted: Sequence[Wanted], source: Registry | None, target: Registry) -> list[Wanted]:
        """Each registry is looked up once."""
        if source:
            wanted = [one if one.registry else _within(source, one) for one in wanted]
            self._registries[source.host] = source
        hosts = {one.registry for one in wanted} - self._registries.keys()
        deadline = self._clients.deadline
        looked_up = self._at_the_same_time(
            hosts, lambda host: deadline.wait_for(partial(self._directory.find_source, host))
        )
        self._registries |= looked_up
        for host, found in self._registries.items():
            if isinstance(found, Registry) and found.host == target.host:
                self._registries[host] = target
            elif isinstance(found, Registry) and found.keeps_from(target):
                self._registries[host] = problem.export_disabled(host)
        return list(wanted)

    def _repositories(self, wanted: Iterable[Wanted]) -> list[Wanted | Refused]:
        """Whole registries become their repositories; of one that could not be found nothing is asked."""
        wanted = list(wanted)
        whole = {one.registry for one in wanted if not one.repository}
        catalogs = self._at_the_same_time(whole, lambda host: list_repositories(self._client(host)))
        parts: list[Wanted | Refused] = []
        for one in wanted:
            found = catalogs.get(one.registry) if not one.repository else None
            registry = self._registries[one.registry]
            found = registry if isinstance(registry, EngineError) else found
            if isinstance(found, EngineError):
                parts.append(Refused(one, found))
            elif found is not None:
                parts += [replace(one, repository=name) for name in found]
            else:
                parts.append(one)
        return parts

    def _images(self, parts: Sequence[Wanted | Refused]) -> Expansion:
        wanted = [part for part in parts if isinstance(part, Wanted) and not part.is_one]
        places = {(one.registry, one.repository) for one in wanted if one.selection.needs_listing}
        listings = self._at_the_same_time(places, lambda place: list_tags(self._client(place[0], place[1]), place[1]))
        found = _searched(wanted, listings)
        expansion, mistakes = Expansion(), []
        for part in parts:
            listed = listings.get((part.registry, part.repository), ()) if isinstance(part, Wanted) else ()
            if isinstance(part, Refused):
                expansion.entries.append(part)
            elif isinstance(listed, EngineError) and not part.is_one and part.selection.needs_listing:
                expansion.entries.append(Refused(part, listed))
            else:
                try:
                    tags = part.tags(() if isinstance(listed, EngineError) else listed, found)
                    expansion.entries += [self._naming.item(one) for one in tags]
                except ValueError as error:
                    mistakes.append(f"{part.where}: {error}".removeprefix(": "))
                if not part.is_one and part.selection.needs_listing and not isinstance(listed, EngineError):
                    patterns = part.selection.unmatched(listed, found)
                    expansion.unmatched += [
                        f"{part.name}: nothing matches {shown(pattern.text)}" for pattern in patterns
                    ]
        if mistakes:
            raise Mistakes(dict.fromkeys(mistakes))
        return expansion

    def _client(self, host: str, repository: str = "") -> RegistryClient:
        found = self._registries[host]
        if isinstance(found, EngineError):
            raise found
        return self._clients.client("source", found, repository)

    def _at_the_same_time(self, keys: Iterable[K], ask: Callable[[K], V]) -> dict[K, V | EngineError]:
        """The answers, or the errors. Raises what is neither; Ctrl-C ends all of them."""

        answers: dict[K, V | EngineError] = {}
        deadline = self._clients.deadline

        def quietly(key: K) -> None:
            try:
                answers[key] = ask(key)
            except EngineError as error:
                deadline.check()  # then it is no answer
                answers[key] = error

        each([partial(quietly, key) for key in sorted(keys)], self._at_once, deadline.check)  # type: ignore[type-var]
        return answers


def _searched(wanted: Iterable[Wanted], listings: dict[tuple[str, str], Sequence[str] | EngineError]) -> Found:
    """All regular expressions of the batch in one go. Raises Mistakes."""
    names: dict[str, set[str]] = {}
    for one in wanted:
        listed = listings.get((one.registry, one.repository), ())
        exact = {pattern.text for pattern in one.selection.tags if pattern.kind == "exact"}
        for expression in one.selection.regexes:
            names.setdefault(expression, set()).update(exact, () if isinstance(listed, EngineError) else listed)
    try:
        return search_all(names)
    except ValueError as error:
        raise Mistakes([str(error)]) from None


def _within(source: Registry, one: Wanted) -> Wanted:
    """Of --registry, whose login server may stand before the repository once more."""
    again, cut, rest = one.repository.partition(f"{source.login_server}/")
    if cut and not again:
        logger.warning(
            "The login server %s in %s is ignored: --registry names the registry already.",
            source.login_server,
            one.where or "--source",
        )
        one = replace(one, repository=rest)
    return replace(one, registry=source.host)
