# SPDX-License-Identifier: MIT
"""Where each image goes: names in the target registry, and what cannot be one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..engine import InvalidReference, Reference, is_registry_host, parse_repository_tag
from .wanted import Mistakes, Wanted, shown

__all__ = ["Item", "Naming", "distinct", "parse_target", "with_target"]


@dataclass(frozen=True, slots=True)
class Item:
    """One image and its target. ``wanted``: what asked for it; it names this one image."""

    wanted: Wanted
    repository: str
    tag: str

    @property
    def target(self) -> str:
        """As people would write it."""
        return f"{self.repository}:{self.tag}"

    @property
    def source_repository(self) -> str:
        """With its registry."""
        return f"{self.wanted.registry}/{self.wanted.repository}"

    @property
    def identifier(self) -> str:
        """The digest where there is one, else the tag."""
        return str(self.wanted.digest or self.wanted.tag)


@dataclass(frozen=True, slots=True)
class Naming:
    """``prefix`` is joined as it is written; ``strip_prefix`` is cut first, at a ``/`` or at the whole path."""

    prefix: str = ""
    strip_prefix: str = ""

    def repository(self, source: str) -> str:
        """Of a source repository that names no target."""
        cut = self.strip_prefix.rstrip("/")
        if cut and source.startswith(f"{cut}/"):
            source = source[len(cut) + 1 :]
        elif source == cut:
            source = ""
        return f"{self.prefix}{source}" if source else self.prefix.rstrip("/")

    def foreseen(self, wanted: Wanted) -> tuple[str, ...]:
        """The target, as far as it can be told before anything is listed."""
        if not wanted.is_one:
            return (":".join(filter(None, wanted.target)),) if wanted.target else ()
        try:
            return (self.item(wanted).target,)
        except ValueError:
            return ()

    def item(self, wanted: Wanted) -> Item:
        """Of one image. Raises ValueError for what is no name in a registry."""
        repository, tag = wanted.target or (self.repository(wanted.repository), None)
        tag = tag or wanted.tag or "latest"
        try:
            parse_repository_tag(f"{repository}:{tag}")
            Reference.parse(f"registry.invalid/{repository}:{tag}")
        except InvalidReference as error:
            raise ValueError(f"{wanted.name} would become {shown(repository) or 'nothing'}: {error.reason}") from None
        return Item(wanted, repository, tag)


def parse_target(text: str, wanted: Wanted) -> tuple[str, str | None]:
    """``repository`` or ``repository:tag``, of something that is wanted. Raises ValueError."""
    try:
        repository, tag, digest = parse_repository_tag(text)
    except InvalidReference as error:
        raise ValueError(f"the target {shown(error.text)}: {error.reason}") from None
    if digest:
        raise ValueError(f"the target {shown(text)}: a target has a tag, never a digest")
    if not wanted.repository:
        raise ValueError(f"the target {shown(text)}: a whole registry has many repositories; leave the target out")
    exact = wanted.selection.tags[0] if len(wanted.selection.tags) == 1 else None
    if tag and not wanted.is_one and not (exact and exact.kind == "exact"):
        raise ValueError(f"the target {shown(text)} has a tag, but the source may have many; name one tag of it")
    return repository, tag


def with_target(wanted: Wanted, text: str, *, dotted: bool = False) -> Wanted:
    """The same, with this target; a host with a port may stand before it, and where ``dotted`` any host.

    Raises ValueError.
    """
    host, slash, rest = text.partition("/")
    if slash and is_registry_host(host.lower()) and (dotted or ":" in host):
        return replace(wanted, target=parse_target(rest, wanted), target_host=host.lower())
    return replace(wanted, target=parse_target(text, wanted))


def distinct(items: Iterable[Item]) -> list[Item]:
    """The same once. Raises Mistakes where two sources have one target."""
    found: dict[tuple[str, str], Item] = {}
    mistakes = []
    for item in items:
        other = found.setdefault((item.repository, item.tag), item)
        if _anonymous(other) != _anonymous(item):
            places = " and ".join(filter(None, dict.fromkeys((other.wanted.where, item.wanted.where))))
            mistakes.append(f"{places}: {other.wanted.name} and {item.wanted.name} would both become {item.target}")
    if mistakes:
        raise Mistakes(mistakes)
    return list(found.values())


def _anonymous(item: Item) -> Wanted:
    """What it is, whoever asked for it, and with which patterns."""
    blank = Wanted("")
    return replace(item.wanted, where="", selection=blank.selection, target=None, target_host="")
