# SPDX-License-Identifier: MIT
"""What one option, one line of a list or one entry of a file asks for, as a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ..engine import Digest, InvalidReference, Platform, Reference, is_registry_host, parse_repository_tag
from .regexes import Found
from .selection import Pattern, Selection

__all__ = ["Mistakes", "RegistrySettings", "Wanted", "WantedFile", "shown"]

LOCAL = ("oci:", "oci-archive:", "docker-archive:")
MAX_SHOWN = 80
# cosign's tags, and those under which registries without the referrers API list what refers to an image
ATTACHED = re.compile(r"sha(?:256|512)-[0-9a-f]{64,128}(?:\.\w+)?")


class Mistakes(ValueError):
    """All that is wrong with what was given; each of them says where."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


@dataclass(frozen=True, slots=True)
class Wanted:
    """One source and where it goes. ``repository`` is empty for a whole registry.

    ``registry`` is empty where ``--registry`` names it. ``target``: repository, and tag or None, both final.
    ``target_host``: the registry that stands before a target that names one.
    ``platforms`` and ``referrers`` are None where the command's own options say it. ``where``: for messages.
    """

    registry: str
    repository: str = ""
    tag: str | None = None
    digest: Digest | None = None
    selection: Selection = Selection()
    target: tuple[str, str | None] | None = None
    target_host: str = ""
    platforms: tuple[Platform, ...] | None = None
    referrers: str | None = None
    where: str = ""

    @classmethod
    def parse(cls, text: str, where: str = "", *, within: bool = False) -> Wanted:
        """``registry``, ``registry/repository[:tag][@digest]``; ``within`` a registry that is named elsewhere.

        Raises InvalidReference.
        """
        if text.startswith(LOCAL):
            raise InvalidReference(text, "a batch reads registries; for files there is az acr import")
        if within:
            repository, tag, digest = parse_repository_tag(text)
            return cls("", repository, tag, digest, where=where)
        host, _, rest = text.partition("/")
        if not rest and _is_registry(host.lower()):
            return cls(Reference.parse(f"{host}/any").registry, where=where)
        reference = Reference.parse(text)
        _, tag, digest = parse_repository_tag(rest)
        return cls(reference.registry, reference.repository, tag, digest, where=where)

    @classmethod
    def of_file(cls, text: str, where: str, *, within: bool) -> Wanted:
        """As ``parse``; a file may name several registries, and what names none may be ``within`` one."""
        try:
            return cls.parse(text, where)
        except InvalidReference:
            if not within or text.startswith(LOCAL):
                raise
            return cls.parse(text, where, within=True)

    @property
    def is_one(self) -> bool:
        """Whether it is a single image, named by tag or digest."""
        return bool(self.tag or self.digest)

    @property
    def name(self) -> str:
        """As people would write it."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}".strip("/")

    def tags(self, listed: Sequence[str], found: Found) -> list[Wanted]:
        """Each of its images. ``listed``: the tags of its repository, where they were asked for.

        Where no tag is named, what vouches for other images is none: it comes along with them.
        """
        if self.is_one:
            return [self]
        if not self.selection.tags:
            listed = [tag for tag in listed if not ATTACHED.fullmatch(tag)]
        return [replace(self, tag=tag) for tag in self.selection.of(listed, found)]

    def with_patterns(self, tags: Iterable[str], exclude: Iterable[str], newest: int | None) -> Wanted:
        """The same, with these where it has none; of a single image they have nothing to select. Raises ValueError."""
        patterns, without, own = tuple(map(Pattern.parse, tags)), tuple(map(Pattern.parse, exclude)), self.selection
        if self.is_one:
            return self
        selection = Selection(own.tags or patterns, own.exclude or without, own.newest or newest)
        return replace(self, selection=selection)


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """What a file says of a registry. Secrets by reference: a variable's name, or a file's."""

    username: str | None = None
    password_env: str | None = None
    password_file: str | None = None
    plain_http: bool = False


@dataclass(slots=True)
class WantedFile:
    """A file, read. ``foreign``: of another tool; ``left_out``: what it says and this one does not do.

    ``where``: the target, for messages.
    """

    target: str | None = None
    where: str = ""
    wanted: list[Wanted] = field(default_factory=list)
    registries: dict[str, RegistrySettings] = field(default_factory=dict)
    foreign: bool = False
    left_out: list[str] = field(default_factory=list)


# A user name and a password before a host, as URLs have them; a tag before a digest is none.
CREDENTIALS = re.compile(r"[^\s/@:]+:[^\s@]+@(?!sha[0-9]+:)(?=[^\s@/]*[.:/]|localhost)")


def shown(text: str, *, whole: bool = False) -> str:
    """Foreign text in a message: printable, not too long, and nothing that a pipeline takes for a command."""
    text = CREDENTIALS.sub("REDACTED@", text)
    most = len(text) if whole else MAX_SHOWN
    plain = "".join(character if character.isprintable() else " " for character in text[:most]).replace("##", "# #")
    return plain if len(text) <= most else f"{plain}…"


def _is_registry(text: str) -> bool:
    """``alpine:3`` could be a host with a port; nobody means that."""
    return is_registry_host(text) and ("." in text or text.startswith(("localhost", "[")))
