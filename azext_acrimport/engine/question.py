# SPDX-License-Identifier: MIT
"""What planning wants to know, as values: who asks knows nothing of who carries the questions to the registries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from .descriptor import Descriptor
from .pool import Done

__all__ = ["Question", "Questions", "answer_of"]

# The source's faults are heard before the target's; what is there before what was read.
Kind = Literal[
    "resolve", "read", "tag", "select", "writable", "find", "referrers", "digest tag", "listed", "held", "get", "blob"
]


@dataclass(frozen=True, slots=True)
class Question:
    """What one request (by its number) wants to know."""

    number: int
    kind: Kind
    place: str = ""
    tag: str = ""
    descriptor: Descriptor | None = None

    @property
    def order(self) -> int:
        """Which answers of one round are heard first."""
        return get_args(Kind).index(self.kind)


Questions = dict[Question, Callable[[], Any]]


def answer_of(done: Done) -> Any:
    """The value, or the exception that came in its place."""
    if done.error is not None:
        raise done.error
    return done.value
