# SPDX-License-Identifier: MIT
"""YAML with the line of each part, read without trust: no aliases, no tags, no repeated keys, bounded in every way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .wanted import Mistakes, shown

__all__ = ["MAX_BYTES", "Marked", "read_yaml"]

# A hundred thousand items; more is refused before it is parsed.
MAX_BYTES = 10_000_000
# Our own form needs five.
MAX_DEPTH = 20
STRING = "tag:yaml.org,2002:str"


@dataclass(slots=True)
class Marked:
    """A part of a document. ``value``: str, int, float, bool or None; a list of parts; a dict from keys to parts.

    ``text``: of a scalar as it was written; ``key_line``: of the key before it. Lines count from 1.
    """

    value: Any
    line: int
    text: str = ""
    key_line: int = 0

    @property
    def kind(self) -> str:
        """In the words of JSON Schema."""
        kinds = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
        return kinds.get(type(self.value), "null")

    def plain(self) -> Any:
        """Without marks."""
        if isinstance(self.value, dict):
            return {key: part.plain() for key, part in self.value.items()}
        return [part.plain() for part in self.value] if isinstance(self.value, list) else self.value


def read_yaml(text: str, name: str) -> Marked:
    """The only document of the text. Raises Mistakes with ``name`` and line."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder(yaml, name).built(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise Mistakes([f"{name}:{line}: this is not YAML: {shown(error.problem or 'it cannot be read')}"]) from None
    except yaml.reader.ReaderError as error:  # of a character; it counts bytes of what it was given
        line = text.encode()[: error.position].count(b"\n") + 1
        raise Mistakes([f"{name}:{line}: this is not YAML: {shown(error.reason)}"]) from None


class _Builder:
    """From events, so that depth and aliases are seen before anything grows."""

    def __init__(self, yaml: Any, name: str) -> None:
        self._yaml = yaml
        self._name = name
        self._resolver = yaml.resolver.Resolver()
        self._documents = 0

    def built(self, events: Iterator[Any]) -> Marked:
        yaml = self._yaml
        root = Marked(None, 1)
        open_parts: list[tuple[Marked, list[Marked]]] = []
        for event in events:
            line = event.start_mark.line + 1
            if isinstance(event, yaml.AliasEvent):
                raise self._mistake(line, "aliases (*name) are not read; write it out")
            if isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    raise self._mistake(line, "a file holds one document; here a second one begins")
            if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self._refuse_tag(event, line)
                if len(open_parts) == MAX_DEPTH:
                    raise self._mistake(line, f"it is nested more than {MAX_DEPTH} deep")
                part = Marked({} if isinstance(event, yaml.MappingStartEvent) else [], line)
                open_parts.append((part, []))
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                part, children = open_parts.pop()
                part.value = self._mapping(children) if isinstance(part.value, dict) else children
                self._place(part, open_parts, root)
            elif isinstance(event, yaml.ScalarEvent):
                self._place(self._scalar(event, line), open_parts, root)
        return root

    def _place(self, part: Marked, open_parts: list[tuple[Marked, list[Marked]]], root: Marked) -> None:
        if open_parts:
            open_parts[-1][1].append(part)
        else:
            root.value, root.line, root.text = part.value, part.line, part.text

    def _scalar(self, event: Any, line: int) -> Marked:
        yaml = self._yaml
        self._refuse_tag(event, line)
        quoted = bool(event.style)  # of a plain one it is empty, or None without libyaml
        tag = STRING if quoted else self._resolver.resolve(yaml.ScalarNode, event.value, (True, False))
        if tag == STRING or tag.endswith((":timestamp", ":merge", ":value")):
            return Marked(event.value, line, event.value)
        node = yaml.ScalarNode(tag, event.value)
        try:
            return Marked(yaml.constructor.SafeConstructor().construct_object(node), line, event.value)
        except (ValueError, OverflowError, yaml.YAMLError):
            return Marked(event.value, line, event.value)

    def _mapping(self, children: list[Marked]) -> dict[str, Marked]:
        pairs: dict[str, Marked] = {}
        for key, part in zip(children[::2], children[1::2], strict=True):
            if isinstance(key.value, (dict, list)):
                raise self._mistake(key.line, "a key must be a text")
            if key.text in pairs:
                raise self._mistake(key.line, f"the key '{shown(key.text)}' is here a second time")
            part.key_line = key.line
            pairs[key.text] = part
        return pairs

    def _refuse_tag(self, event: Any, line: int) -> None:
        if event.tag and event.tag != "!":
            raise self._mistake(line, f"tags ({shown(event.tag)}) are not read")

    def _mistake(self, line: int, said: str) -> Mistakes:
        return Mistakes([f"{self._name}:{line}: {said}"])
