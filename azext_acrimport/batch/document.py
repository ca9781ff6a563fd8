# SPDX-License-Identifier: MIT
"""``--file``: a batch file, a file of another tool, a plain list, or one of these on standard input."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..engine import InvalidReference, Platform
from ..registries.hosts import plain_host
from .foreign import read_foreign
from .lists import read_list
from .marked import MAX_BYTES, Marked, read_yaml
from .schema import mistakes_in
from .targets import with_target
from .wanted import Mistakes, RegistrySettings, Wanted, WantedFile, shown

__all__ = ["read_file"]

# a key of a mapping, an entry of a list, or what begins a document; no reference looks so
YAML_BEGINS = re.compile(r"""(?:---|%|\{|\[(?![0-9a-fA-F:.]+\](?::\d+)?/)|-\s|['"]|[^\s#'"]+:(?:\s|$))""")
YAML_NAMES = (".yaml", ".yml", ".json")


def read_file(path: str, *, within: bool = False) -> WantedFile:
    """``-`` is standard input; ``within``: as in ``Wanted.of_file``.

    Raises Mistakes for what it says, and OSError where it cannot be read.
    """
    name = "standard input" if path == "-" else shown(path, whole=True)
    raw = _read(Path(path)) if path != "-" else sys.stdin.buffer.read(MAX_BYTES + 1) if sys.stdin else b""
    if len(raw) > MAX_BYTES:
        raise Mistakes([f"{name}: it is larger than {MAX_BYTES:,} bytes"])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise Mistakes([f"{name}:{line}: it is not UTF-8 text"]) from None
    if not path.lower().endswith(YAML_NAMES) and not _looks_like_yaml(text):
        return read_list(text, name, within=within)
    document = read_yaml(text, name)
    folder = Path() if path == "-" else Path(path).parent
    return read_foreign(document, name) or _Batch(document, name, folder, within).read()


def _read(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _looks_like_yaml(text: str) -> bool:
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return YAML_BEGINS.match(first) is not None


class _Batch:
    """A document that should be a batch. What has the wrong type is the schema's business, and passed over here."""

    def __init__(self, document: Marked, name: str, folder: Path, within: bool) -> None:
        self._document = document
        self._source = partial(Wanted.of_file, where="", within=within)
        self._name = name
        self._folder = folder
        self._mistakes = mistakes_in(document, name)

    def read(self) -> WantedFile:
        """Raises Mistakes, in the order of the lines."""
        members = _dict(self._document)
        target = members.get("target")
        found = WantedFile(_string(target), f"{self._name}:{target.line}: target" if target else "")
        defaults = _dict(members.get("defaults"))
        self._values(defaults, {}, "defaults", 0)
        for number, entry in enumerate(_list(members.get("imports"))):
            wanted = self._wanted(_dict(entry), defaults, f"imports[{number}]")
            found.wanted += [wanted] if wanted else []
        for host, part in _dict(members.get("registries")).items():
            self._registry(found, host, part)
        self._mistakes += self._repeated(found.wanted)
        if self._mistakes:
            raise Mistakes(sorted(dict.fromkeys(self._mistakes), key=_line))
        return found

    def _wanted(self, entry: dict[str, Marked], defaults: dict[str, Marked], key: str) -> Wanted | None:
        source, target = entry.get("source"), entry.get("target")
        if source is None or not _string(source):
            self._values(entry, {}, key, 0)
            return None
        wanted = self._checked(source, f"{key}.source", self._source, str(source.value))
        if wanted is None:
            self._values(entry, {}, key, 0)
            return None
        for name in ("tags", "exclude", "newest"):
            if wanted.is_one and name in entry:
                self._say(entry[name], f"{key}.{name}", "the source names one image already")
        values = self._values(entry, defaults, key, source.line)
        patterns = [values.pop(name) for name in ("tags", "exclude", "newest")]
        wanted = replace(wanted, where=f"{self._name}:{source.line}", **values)
        try:
            wanted = wanted.with_patterns(*patterns)
        except ValueError:
            return None  # it has been said
        if target and _string(target):
            wanted = self._checked(target, f"{key}.target", with_target, wanted, str(target.value)) or wanted
        return wanted

    def _values(self, entry: dict[str, Marked], defaults: dict[str, Marked], key: str, line: int) -> dict[str, Any]:
        """What may stand in an entry and in the defaults, checked where it stands."""
        both = {**defaults, **entry}
        for name in ("tags", "exclude"):
            for number, part in enumerate(_list(entry.get(name))):
                if _string(part):
                    self._checked(part, f"{key}.{name}[{number}]", _pattern, part.value)
        platforms = [
            self._checked(part, f"{key}.platforms[{number}]", Platform.parse, part.value)
            for number, part in enumerate(_list(entry.get("platforms")))
            if _string(part)
        ]
        if "platforms" not in entry:  # those of the defaults have been judged there
            platforms = [_or_none(Platform.parse, text) for text in _strings(both.get("platforms"))]
        newest, referrers = both.get("newest"), both.get("referrers")
        return {
            "tags": _strings(both.get("tags")),
            "exclude": _strings(both.get("exclude")),
            "newest": newest.value if newest and newest.kind == "integer" else None,
            "platforms": tuple(filter(None, platforms)) if "platforms" in both else None,
            "referrers": _string(referrers),
        }

    def _registry(self, found: WantedFile, host: str, part: Marked) -> None:
        members, key = _dict(part), f"registries.{shown(host)}"
        registry = plain_host(host.lower().rstrip("/"))
        if not registry:
            self._say(Marked(None, part.key_line), key, "expected a registry's host, such as registry:5000")
            return
        texts = {name: _string(members.get(name)) for name in ("username", "passwordEnv", "passwordFile")}
        for name, text in texts.items():
            if name != "username" and "\0" in (text or ""):  # YAML can write it
                self._say(members[name], f"{key}.{name}", "a NUL character is in no name of a variable or a file")
        password = texts["passwordEnv"] or texts["passwordFile"]
        if texts["passwordEnv"] and texts["passwordFile"]:
            self._say(members["passwordFile"], f"{key}.passwordFile", "passwordEnv names the password already")
        if texts["username"] and not password and not {"passwordEnv", "passwordFile"} & members.keys():
            said = "a user name needs passwordEnv or passwordFile"
            self._say(members["username"], f"{key}.username", said)
        plain = members.get("plainHttp")
        file = texts["passwordFile"]
        found.registries[registry] = RegistrySettings(
            username=texts["username"],
            password_env=texts["passwordEnv"],
            password_file=str(self._folder / file) if file else None,
            plain_http=bool(plain and plain.value is True),
        )

    def _repeated(self, wanted: list[Wanted]) -> Iterator[str]:
        """Two images for one target, as far as the file alone tells."""
        seen: dict[tuple[str, str], Wanted] = {}
        for one in wanted:
            if not one.target:
                continue
            repository, tag = one.target[0], one.target[1] or (one.tag or "latest" if one.is_one else None)
            if tag is None:
                continue
            other = seen.setdefault((repository, tag), one)
            if replace(other, where="") != replace(one, where=""):
                line = other.where.rpartition(":")[2]
                yield f"{one.where}: the target {repository}:{tag} is that of line {line} already"

    def _checked(self, part: Marked, key: str, read: Callable[..., Any], *arguments: Any) -> Any:
        """What ``read`` returns; None, and a mistake, where it raises."""
        try:
            return read(*arguments)
        except InvalidReference as error:
            self._say(part, key, f"{shown(error.text)}: {error.reason}")
        except ValueError as error:
            self._say(part, key, str(error))
        return None

    def _say(self, part: Marked, key: str, said: str) -> None:
        self._mistakes.append(f"{self._name}:{part.line}: {key}: {said}")


def _pattern(text: str) -> Any:
    from .selection import Pattern

    return Pattern.parse(text)


def _or_none(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except ValueError:
        return None


def _line(mistake: str) -> int:
    number = re.search(r":(\d+): ", mistake)
    return int(number[1]) if number else 0


def _dict(part: Marked | None) -> dict[str, Marked]:
    return part.value if part and part.kind == "object" else {}


def _list(part: Marked | None) -> list[Marked]:
    return part.value if part and part.kind == "array" else []


def _string(part: Marked | None) -> str | None:
    return part.value if part and part.kind == "string" else None


def _strings(part: Marked | None) -> list[str]:
    return [child.value for child in _list(part) if child.kind == "string"]
