# SPDX-License-Identifier: MIT
"""A failure of Azure's side: from what it said to a row of the catalogue, the side that is to blame, and its words.

Their texts are English envelopes. Inside may be the answer that the source registry gave to the service ("Invalid
message Unauthorized …", then that registry's own JSON): then the source is to blame, whatever the envelope names.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..engine import Cancelled, EngineError, foreign_text, redact_url
from .catalogue import CATALOGUE, UNKNOWN, Known

GUID = r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}"
CORRELATION = re.compile(rf"Correlation ?ID:?\s*'?({GUID})'?\.?", re.IGNORECASE)
OPERATION = re.compile(r"Operation (registries-[0-9a-f-]+) failed\.?", re.IGNORECASE)
ENVELOPE = re.compile(r"Deployment failed\.|Resource /subscriptions/\S+|\bCode: \w+|Message:", re.IGNORECASE)
# Who asked, and, where there is one, the object id that a role assignment takes.
CLIENT = re.compile(r"client '([^']+)'(?: with object id '([^']+)')?", re.IGNORECASE)
# What it puts before the answer of the source: until 2024, and since.
RELAYED = re.compile(r"Invalid message|error occurred when getting", re.IGNORECASE)
# More of it is not read by anybody.
MAX_WORDS = 600
# What is relayed is at the front of it.
MAX_TEXT = 16 * 1024


class ServiceGoesOn(Cancelled):
    """Ctrl-C while the service works. ``operation``: where to ask how it is getting on."""

    verbatim = frozenset({"operation"})

    def __init__(self, operation: str) -> None:
        super().__init__("Interrupted here; the import service goes on, and may still succeed.")
        self.operation = operation


class ServiceError(EngineError):
    """A failure of Azure's side. ``words``: what it said, without its envelope; ids as they stood in it. Where it said
    nothing that is worth ``quoted``, they are ours, as sentences.

    ``registry``: the login server that is to blame; the target's where none is. ``sure``: "confirmed" or "likely", when
    the source was asked as well.
    """

    verbatim = frozenset({"operation"})

    def __init__(
        self,
        known: Known,
        side: str,
        words: str,
        *,
        arm_code: str = "",
        request_id: str = "",
        operation: str = "",
        registry: str = "",
        quoted: bool = False,
    ) -> None:
        super().__init__(f"{known.meaning} {words}".strip(), subject=registry)
        self.origin = side  # type: ignore[assignment]  # the engine has no side called arm
        self.known = known
        self.words = words
        self.arm_code = arm_code
        self.request_id = request_id
        self.operation = operation
        self.registry = registry
        self.quoted = quoted
        self.sure = ""

    @property
    def code(self) -> str:
        """As for every error: side and kind."""
        return f"{self.origin}-{self.known.slug}"


def understand(
    text: str, *, arm_code: str = "", source: str = "", target: str = "", request_id: str = ""
) -> ServiceError:
    """The error behind a text of the service. ``source`` and ``target``: login servers, to tell which side it names."""
    text = text[:MAX_TEXT]  # before any pattern runs over it
    whole = f"{arm_code} {text}"
    correlation, operation = CORRELATION.search(text), OPERATION.search(text)
    known = next((row for row in CATALOGUE if re.search(row.pattern, whole, re.IGNORECASE | re.DOTALL)), UNKNOWN)
    side = _side(known, whole, source, target)
    return ServiceError(
        known,
        side,
        _words(text),
        arm_code=arm_code,
        request_id=correlation[1] if correlation else request_id,
        operation=operation[1] if operation else "",
        registry=source if side == "source" else target,
        quoted=True,
    )


def _side(known: Known, text: str, source: str, target: str) -> str:
    if known.side != "named":
        return known.side
    if RELAYED.search(text):
        return "source"
    named = re.search(known.pattern, text, re.IGNORECASE)
    host = (named[1] if named and named.re.groups else "").lower().strip("'\".")
    return "source" if host and host == source and host != target else "target"


def _words(text: str) -> str:
    """What is left without the envelope; of a registry's JSON its codes and messages."""
    head, brace, rest = text.partition('{"errors"')
    plain = re.sub(r"https?://\S+", lambda match: redact_url(match[0]), head)
    for pattern in (CORRELATION, OPERATION, ENVELOPE):
        plain = pattern.sub(" ", plain)
    said = " ".join(plain.split()).strip(" .:")
    words = filter(None, (said, _registry_words(brace + rest) if brace else ""))
    return foreign_text(". ".join(words), MAX_WORDS)


def _registry_words(text: str) -> str:
    try:
        errors: Any = json.JSONDecoder().raw_decode(text)[0]["errors"]
        said = [(entry.get("code", ""), entry.get("message", "")) for entry in errors]
        return "; ".join(" ".join(part for part in parts if isinstance(part, str)).strip() for parts in said)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return " ".join(text.split())
