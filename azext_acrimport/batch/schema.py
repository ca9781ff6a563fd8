# SPDX-License-Identifier: MIT
"""The form of a batch file: ``schema.json``, which editors use as it is, and a walk along it that finds all mistakes.

Of JSON Schema it knows what stands in that file; a word that it does not know is a bug, found by its first use.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .marked import Marked
from .wanted import shown

__all__ = ["SCHEMA", "mistakes_in"]

SCHEMA = Path(__file__).with_name("schema.json")
SECRETS = ("password", "token", "secret", "accesstoken", "pass", "identitytoken", "auth")
SAID = {"$schema", "$ref", "$defs", "title", "description"}
MEMBERS = {"properties", "additionalProperties"}
WORDS = {
    "object": "a mapping (key: value)",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "boolean": "true or false",
    "number": "a number",
    "null": "nothing",
}


def mistakes_in(document: Marked, name: str) -> list[str]:
    """Each with file, line, key and what was expected; none when it is as the schema says."""
    schema = json.loads(SCHEMA.read_text("utf-8"))
    return list(_Walk(schema, name).along(document, schema, ""))


class _Walk:
    def __init__(self, root: dict[str, Any], name: str) -> None:
        self._root = root
        self._name = name

    def along(self, part: Marked, schema: dict[str, Any], key: str) -> Iterator[str]:
        if "$ref" in schema:
            schema = {**self._root["$defs"][schema["$ref"].rpartition("/")[2]], **schema}
        for word, wanted in schema.items():
            if word not in SAID and word not in MEMBERS:
                yield from getattr(self, f"_{word}")(part, wanted, key)
        if part.kind == "object" and not schema.keys().isdisjoint(MEMBERS):
            yield from self._members(part, schema.get("properties", {}), schema["additionalProperties"], key)

    def _at(self, part: Marked, key: str, said: str) -> str:
        return f"{self._name}:{part.line}: {key or 'the whole file'}: {said}"

    def _type(self, part: Marked, wanted: str, key: str) -> Iterator[str]:
        if part.kind == wanted:
            return
        said = f"expected {WORDS[wanted]}, found {WORDS[part.kind]}"
        if part.text and not key.startswith("registries"):  # there it may be a secret in a wrong place
            found = shown(part.text)
            said += f'; put it in quotes: "{found}"' if wanted == "string" else f" ({found})"
        yield self._at(part, key, said)

    def _const(self, part: Marked, wanted: Any, key: str) -> Iterator[str]:
        if part.value != wanted or isinstance(part.value, bool):
            found = shown(part.text) if part.kind == "integer" else WORDS[part.kind]
            yield self._at(part, key, f"expected {wanted}, found {found}")

    def _enum(self, part: Marked, wanted: list[str], key: str) -> Iterator[str]:
        if part.value not in wanted:
            found = shown(part.text) or WORDS[part.kind]
            yield self._at(part, key, f"expected one of {', '.join(wanted)}, found {found}")

    def _minLength(self, part: Marked, wanted: int, key: str) -> Iterator[str]:  # noqa: N802
        if isinstance(part.value, str) and len(part.value.strip()) < wanted:
            yield self._at(part, key, "expected a text, found an empty one")

    def _minimum(self, part: Marked, wanted: int, key: str) -> Iterator[str]:
        if part.kind == "integer" and part.value < wanted:
            yield self._at(part, key, f"expected {wanted} or more, found {shown(part.text)}")

    def _minItems(self, part: Marked, wanted: int, key: str) -> Iterator[str]:  # noqa: N802
        if part.kind == "array" and len(part.value) < wanted:
            yield self._at(part, key, "expected at least one entry, found an empty list")

    def _items(self, part: Marked, wanted: dict[str, Any], key: str) -> Iterator[str]:
        if part.kind == "array":
            for number, child in enumerate(part.value):
                yield from self.along(child, wanted, f"{key}[{number}]")

    def _required(self, part: Marked, wanted: list[str], key: str) -> Iterator[str]:
        if part.kind == "object":
            for name in wanted:
                if name not in part.value:
                    yield self._at(part, f"{key}.{name}".lstrip("."), "it is missing")

    def _members(self, part: Marked, wanted: dict[str, Any], others: Any, key: str) -> Iterator[str]:
        for name, child in part.value.items():
            below = f"{key}.{shown(name)}".lstrip(".")
            if name in wanted:
                yield from self.along(child, wanted[name], below)
            elif others:
                yield from self.along(child, others, below)
            else:
                yield self._at(Marked(None, child.key_line), below, _unknown(name, list(wanted)))


def _unknown(name: str, wanted: list[str]) -> str:
    if name.lower().replace("_", "").replace("-", "") in SECRETS:
        return "a secret never stands in the file; name a variable with passwordEnv, or a file with passwordFile"
    near = difflib.get_close_matches(name, wanted, 1)
    return f"this key is not known; {f'is {near[0]} meant?' if near else 'expected ' + ', '.join(wanted)}"
