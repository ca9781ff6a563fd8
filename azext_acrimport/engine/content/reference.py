# SPDX-License-Identifier: MIT
"""How people name an image: ``registry/repository[:tag][@digest]``."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from ..errors import InvalidReference
from .digest import Digest

__all__ = ["DOCKER_HUB", "REPOSITORY", "TAG", "Reference", "fallback_tag", "is_registry_host", "parse_repository_tag"]

# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::([0-9]{{1,5}}))?")

DIGESTS = re.compile(r"(?:@sha[0-9]+:[^@/]*)*$")

# "Many clients impose a limit of 255 characters on the length of the concatenation of the registry hostname, / and
# the name value": the specification's own words for why longer names are not portable.
MAX_NAME = 255

DOCKER_HUB = "docker.io"
DOCKER_HUB_API = "registry-1.docker.io"
DOCKER_HUB_NAMES = frozenset({DOCKER_HUB, "index.docker.io", "registry.hub.docker.com", DOCKER_HUB_API})


@dataclass(frozen=True, slots=True)
class Reference:
    """An image in a registry. ``str()`` gives a text that ``parse`` reads back to an equal value."""

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read ``host/repository[:tag][@digest]``; no tag and no digest means ``latest``. Raises InvalidReference.

        The host must be written: a bare ``nginx`` is refused, not taken for Docker Hub's.
        """
        _refuse_credentials(text)
        if "://" in text:
            raise InvalidReference(text, "it starts with a scheme; leave out everything up to ://")
        host, slash, rest = text.partition("/")
        if not slash or not rest:
            # a colon may stand before a port or before a tag, so a dot decides
            if is_registry_host(host.lower()) and "." in host.partition(":")[0]:
                raise InvalidReference(text, "the repository is missing")
            raise InvalidReference(text, f"the registry is missing; for Docker Hub write docker.io/{text}")
        host = _normal_host(host)
        if not is_registry_host(host):
            raise InvalidReference(text, f"'{host}' is not a registry host; for Docker Hub write docker.io/{text}")
        try:
            repository, tag, digest = _split(rest)
        except ValueError as error:
            raise InvalidReference(text, str(error)) from None
        if host == DOCKER_HUB and "/" not in repository:
            repository = f"library/{repository}"
        if len(host) + 1 + len(repository) > MAX_NAME:
            raise InvalidReference(text, f"registry and repository together are longer than {MAX_NAME} characters")
        if tag is None and digest is None:
            tag = "latest"
        return cls(host, repository, tag, digest)

    @property
    def host(self) -> str:
        """The host (with port) that serves the registry API."""
        return DOCKER_HUB_API if self.registry == DOCKER_HUB else self.registry

    @property
    def identifier(self) -> str:
        """What follows ``/manifests/``: the digest where there is one, else the tag."""
        return str(self.digest) if self.digest else self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


def is_registry_host(text: str) -> bool:
    """True for what can only be a host: a dot, a port, ``localhost`` or an IPv6 literal, and well-formed."""
    if not ("." in text or ":" in text or text == "localhost"):
        return False
    match = HOST.fullmatch(text)
    if not match or (match[1] and not 0 < int(match[1]) < 65536):
        return False
    if text.startswith("["):
        try:
            ipaddress.IPv6Address(text[1 : text.index("]")])
        except ValueError:
            return False
    return True


def fallback_tag(subject: Digest) -> str:
    """Under which a registry without the referrers API lists what refers to this manifest.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
    """
    return f"{subject.algorithm[:32]}-{subject.hex[:64]}"


def parse_repository_tag(text: str) -> tuple[str, str | None, Digest | None]:
    """Read ``repository[:tag][@digest]``, without a registry. Raises InvalidReference."""
    _refuse_credentials(text)
    try:
        return _split(text)
    except ValueError as error:
        raise InvalidReference(text, str(error)) from None


def _refuse_credentials(text: str) -> None:
    """Raises InvalidReference for ``user:password@host/...``, as URLs have it, and does not repeat what is secret.

    What is only a mistake after ``repository:tag@`` is said as it was written.
    """
    head, at, tail = DIGESTS.sub("", text).rpartition("@")
    host, slash, rest = head.partition("/")
    before = rest if slash and is_registry_host(host.lower()) else head
    begins_a_name = "/" in tail or (":" in before and is_registry_host(tail.lower()))
    if at and begins_a_name and (":" in before or "/" not in head):
        reason = "what stands before the @ is not a registry host; user name and password are given apart"
        raise InvalidReference(f"REDACTED@{text[len(head) + 1 :]}", reason)


def _normal_host(host: str) -> str:
    host = host.lower()
    if host.endswith(":443") and not host.startswith("["):
        host = host[:-4]  # the default port of https; some registries compare the Host header literally
    return DOCKER_HUB if host in DOCKER_HUB_NAMES else host


def _split(rest: str) -> tuple[str, str | None, Digest | None]:
    name, at, digest_text = rest.partition("@")
    digest = Digest.parse(digest_text) if at else None
    repository, colon, tag_text = name.partition(":")
    tag = tag_text if colon else None
    if not repository:
        raise ValueError("the repository is missing")
    if not REPOSITORY.fullmatch(repository):
        why = "repositories are lower-case" if repository.lower() != repository else "a character is not allowed"
        raise ValueError(f"'{repository}' is not a repository name ({why})")
    if tag is not None and not TAG.fullmatch(tag):
        raise ValueError(f"'{tag}' is not a tag")
    return repository, tag, digest
