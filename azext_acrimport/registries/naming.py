# SPDX-License-Identifier: MIT
"""What was typed, as references and repositories; and as the import service wants it written."""

from __future__ import annotations

from knack.log import get_logger

from .._options import SourceImage
from ..engine import LayoutReference, Reference
from .directory import Directory, Registry

logger = get_logger(__name__)

Destinations = dict[str, list[str]]


def source_of(
    directory: Directory, written: SourceImage, source_registry: str | None, target: str
) -> tuple[Reference, Registry, str]:
    """What is meant, where it is, and the image as it was typed, without its registry. ``target``: as it was typed."""
    if written.location:
        return written.location, directory.find_source(written.location.registry, target), _for_service(written)
    assert source_registry
    source, image = directory.find(source_registry, "source"), written.text
    if image.lower().startswith(f"{source.login_server}/"):
        logger.warning(
            "The login server %s in --source is ignored: --registry names the registry already.", source.login_server
        )
        image = image[len(source.login_server) + 1 :]
    return Reference.parse(f"{source.host}/{image}"), source, image


def destinations_of(
    reference: Reference | LayoutReference, targets: list[tuple[str, str | None]], repositories: list[str]
) -> Destinations:
    """Target repositories, each with its tags; one without tags is imported by digest only."""
    wanted: Destinations = {}
    if not targets and not repositories:
        targets = [(reference.repository, None)]
        if isinstance(reference, Reference) and reference.digest and not reference.tag:
            logger.warning(
                "The source is named by digest only, so the target gets the tag latest. For an import without a tag: "
                "--repository %s",
                reference.repository,
            )
    for repository in repositories:
        wanted.setdefault(repository, [])
    for repository, tag in targets:
        tags = wanted.setdefault(repository, [])
        tag = tag or reference.tag or "latest"
        if tag not in tags:
            tags.append(tag)
    return wanted


def typed_tags(image: str, targets: list[tuple[str, str | None]], repositories: list[str]) -> tuple[str, ...]:
    """As the service wants them, and as core fills them in where none is given."""
    if not targets and not repositories:
        return (image.partition("@")[0],)
    return tuple(f"{repository}:{tag}" if tag else repository for repository, tag in targets)


def _for_service(written: SourceImage) -> str:
    """The service does not know that Docker Hub's official images are below library/."""
    reference: Reference = written.location
    official = reference.repository.startswith("library/") and not written.text.startswith("library/")
    return f"library/{written.text}" if official else written.text
