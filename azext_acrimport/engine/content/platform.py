# SPDX-License-Identifier: MIT
"""Which machine an image is for. https://github.com/opencontainers/image-spec/blob/main/image-index.md"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

__all__ = ["Platform", "platform_of"]

PLATFORM = re.compile(r"([a-z0-9]+)/([a-z0-9_-]+)(?:/([a-z0-9.]+))?(?::([a-z0-9.]+))?")
# How machines call themselves, and how images do.
# https://github.com/opencontainers/image-spec/blob/main/image-index.md#platform-variants
ARCHITECTURES = {
    "aarch64": ("arm64", None),
    "armel": ("arm", "v6"),
    "armhf": ("arm", "v7"),
    "i386": ("386", None),
    "x86-64": ("amd64", None),
    "x86_64": ("amd64", None),
}
USUAL_VARIANTS = {"amd64": "v1", "arm64": "v8"}


@dataclass(frozen=True, slots=True)
class Platform:
    """``os/architecture[/variant][:version of the os]``, of one image in an index or as somebody asks for it."""

    os: str
    architecture: str
    variant: str | None = None
    os_version: str | None = None

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Raises ValueError. ``linux/amd64``, ``linux/arm/v7``, ``windows/amd64:10.0.20348``."""
        match = PLATFORM.fullmatch(text.strip().lower())
        if not match:
            raise ValueError(f"'{text}' is not a platform")
        system, architecture, variant, version = match.groups()
        architecture, implied = ARCHITECTURES.get(architecture, (architecture, None))
        return cls(system, architecture, variant or implied, version)

    def includes(self, other: Platform) -> bool:
        """True when an image for ``other`` is what this asks for: a part that is not named may be anything.

        An unnamed variant of amd64 and arm64 is the first one that there was, as everybody takes it.
        """
        if (self.os, self.architecture) != (other.os, other.architecture):
            return False
        usual = USUAL_VARIANTS.get(self.architecture)
        if self.variant and self.variant != (other.variant or usual):
            return False
        # versions of Windows are told apart by their first parts: 10.0.20348 includes 10.0.20348.2655
        return not self.os_version or f"{other.os_version or ''}.".startswith(f"{self.os_version}.")

    def __str__(self) -> str:
        version = f":{self.os_version}" if self.os_version else ""
        return "/".join(filter(None, (self.os, self.architecture, self.variant))) + version


def platform_of(value: Any) -> Platform | None:
    """From the member of a descriptor, or from an image's config, where the same names are used."""
    if not isinstance(value, dict):
        return None

    def text(name: str) -> str:
        named = value.get(name)
        return named if isinstance(named, str) else ""

    return Platform(text("os"), text("architecture"), text("variant") or None, text("os.version") or None)
