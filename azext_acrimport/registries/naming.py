# SPDX-License-Identifier: MIT
"""What was typed, as references and targets; and as the import service wants it written."""

from __future__ import annotations

from collections.abc import Iterable

from knack.log import get_logger

from .._options import ImportOptions, SourceImage, Target
from ..engine import LayoutReference, Reference
from .directory import Directory, Registry

logger = get_logger(__name__)


def source_of(
    directory: Directory, written: SourceImage, source_registry: str | None
) -> tuple[Reference, Registry, str]:
    """What is meant, where it is, and the image as it was typed, without its registry."""
    if isinstance(written.location, Reference):
        return written.location, directory.find_source(written.location.registry), _for_service(written)
    assert source_registry
    source, image = directory.find_source(source_registry), written.text
    if image.lower().startswith(f"{source.login_server}/"):
        logger.warning(
            "The login server %s in --source is ignored: --registry names the registry already.", source.login_server
        )
        image = image[len(source.login_server) + 1 :]
    return Reference.parse(f"{source.host}/{image}"), source, image


def targets_of(reference: Reference | LayoutReference, image: str, options: ImportOptions) -> tuple[Target, ...]:
    """Where it is to be, each once. ``image``: as typed; a tag that is left out is the source's, else latest."""
    fallback = reference.tag or "latest"
    if options.names_targets:
        targets = [Target(repository, None, repository) for repository in options.repositories]
        targets += [
            Target(repository, tag or fallback, f"{repository}:{tag}" if tag else repository)
            for repository, tag in options.target_tags
        ]
        return tuple({target.name: target for target in targets}.values())
    return (Target(reference.repository, fallback, image.partition("@")[0]),)


def tags_by_repository(targets: Iterable[Target]) -> dict[str, list[str]]:
    """Each repository once, with the tags that it gets; none of it is imported by digest only."""
    wanted: dict[str, list[str]] = {}
    for target in targets:
        tags = wanted.setdefault(target.repository, [])
        if target.tag:
            tags.append(target.tag)
    return wanted


def _for_service(written: SourceImage) -> str:
    """The service does not know that Docker Hub's official images are below library/."""
    assert isinstance(written.location, Reference)
    official = written.location.repository.startswith("library/") and not written.text.startswith("library/")
    return f"library/{written.text}" if official else written.text
