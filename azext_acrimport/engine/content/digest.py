# SPDX-License-Identifier: MIT
"""``algorithm:hex``: how OCI content is named. https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

__all__ = ["Digest"]

# The two algorithms that the image specification registers, with the length of their hexadecimal form.
ALGORITHMS = {"sha256": 64, "sha512": 128}


@dataclass(frozen=True, slots=True)
class Digest:
    """``algorithm:hex``; https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests"""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Raises ValueError when the text is no digest of a registered algorithm."""
        algorithm, _, encoded = text.partition(":")
        length = ALGORITHMS.get(algorithm)
        if length is None:
            raise ValueError(f"'{text}' is not a digest of a known algorithm (sha256, sha512)")
        if len(encoded) != length or not re.fullmatch("[0-9a-f]+", encoded):
            raise ValueError(f"'{text}' is not {length} lower-case hexadecimal digits after '{algorithm}:'")
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, raw: bytes, algorithm: str = "sha256") -> Digest:
        """The digest of these bytes."""
        return cls(algorithm, hashlib.new(algorithm, raw).hexdigest())

    def __hash__(self) -> int:
        return hash(self.hex)

    def hasher(self) -> Any:
        """A new hash object of this digest's algorithm."""
        return hashlib.new(self.algorithm)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"
