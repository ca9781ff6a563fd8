# SPDX-License-Identifier: MIT
"""What is known of an image before anything of it is written."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..content.descriptor import Descriptor
from ..content.digest import Digest
from .report import ItemResult
from .request import CopyRequest

__all__ = ["Attachment", "Planned"]


@dataclass(slots=True)
class Attachment:
    """A manifest that vouches for another one (``of``): by its subject, or by its ``tag`` where it has one.

    ``lacking``: the places (``registry/repository``) that do not have it.
    """

    descriptor: Descriptor
    of: Digest
    tag: str = ""
    lacking: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Planned:
    """An image of which all is known that must be done. ``counted``: the result's blobs and bytes tell what would
    happen to each.
    """

    request: CopyRequest
    result: ItemResult
    attachments: tuple[Attachment, ...]
    counted: bool
