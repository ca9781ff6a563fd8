# SPDX-License-Identifier: MIT
"""Files of image-syncer, ``skopeo sync`` and regsync, as far as they mean the same; what is not taken over is listed.

Passwords in them are never used.
https://github.com/AliyunContainerService/image-syncer#configure-files,
https://github.com/containers/skopeo/blob/main/docs/skopeo-sync.1.md#yaml-file-content, https://regclient.org/usage/regsync/
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from ..engine import InvalidReference, Platform
from .marked import Marked
from .targets import with_target
from .wanted import Mistakes, Wanted, WantedFile, shown

__all__ = ["read_foreign"]

SKOPEO = {"images", "images-by-tag-regex", "images-by-semver"}
REGSYNC_TAKEN = {"source", "target", "type", "tags", "platform", "platforms", "referrers"}


def read_foreign(document: Marked, name: str) -> WantedFile | None:
    """What it asks for; None when it is no file of these. Raises Mistakes when nothing in it can be imported."""
    members = document.value if document.kind == "object" else {}
    if "imports" in members:
        return None
    reader, parts = _Reader(name), members.values()
    if "sync" in members:
        reader.regsync(members)
    elif all(part.kind == "object" for part in parts) and any(part.value.keys() & SKOPEO for part in parts):
        reader.skopeo(members)
    elif _maps_images(members.get("images")):
        for key in members.keys() - {"images"}:
            reader.leave_out(members[key], key)
        reader.image_syncer(members["images"].value)
    elif _maps_images(document):
        reader.image_syncer(members)
    else:
        return None
    if not reader.found.wanted:
        raise Mistakes([f"{name}:1: nothing in it can be imported", *reader.found.left_out])
    return reader.found


def _maps_images(part: Marked | None) -> bool:
    """From references to references, or to lists of them."""
    members = part.value if part and part.kind == "object" else {}
    return bool(members) and all("/" in key and value.kind in ("string", "array") for key, value in members.items())


class _Reader:
    def __init__(self, name: str) -> None:
        self._name = name
        self.found = WantedFile(foreign=True)

    def leave_out(self, part: Marked, key: str, why: str = "") -> None:
        """Never with its value, which may be a secret."""
        line = part.key_line or part.line
        self.found.left_out.append(f"{self._name}:{line}: {shown(key)}{f': {why}' if why else ''}")

    def image_syncer(self, images: dict[str, Marked]) -> None:
        """``source[:tag,tag|:/regex/|@digest]`` to one destination or several."""
        for key, part in images.items():
            # a colon after the last slash of the name; a regex may have slashes of its own
            match = re.fullmatch(r"([^/]+(?:/[^/:@]+)+)(?::(/.*/|[^@]*))?(@\S+)?", key)
            if not match:
                self.leave_out(part, key, "not a reference")
                continue
            name, tags, digest = match[1], match[2] or "", match[3] or ""
            patterns = [tags] if tags.startswith("/") else [tag for tag in tags.split(",") if tag]
            single = f":{patterns[0]}" if len(patterns) == 1 and not tags.startswith("/") else ""
            for destination in part.value if part.kind == "array" else [part]:
                place = replace(destination, key_line=part.key_line)
                if destination.kind == "string":
                    self._add(place, key, f"{name}{single}{digest}", [] if single else patterns, destination.value)
                else:
                    self.leave_out(place, key)

    def skopeo(self, registries: dict[str, Marked]) -> None:
        """By registry: images with lists of tags, with a regex, with a range. Where to is not in the file."""
        for host, part in registries.items():
            for key, rest in part.value.items():
                if key not in SKOPEO:
                    self.leave_out(rest, f"{host}.{key}")
                    continue
                for image, tags in (rest.value if rest.kind == "object" else {}).items():
                    self._skopeo_image(key, f"{host}/{image}", tags)

    def _skopeo_image(self, key: str, source: str, tags: Marked) -> None:
        texts = [tag.text for tag in tags.value] if tags.kind == "array" else [tags.text]
        if key == "images-by-tag-regex":
            self._add(tags, source, source, [f"/{text}/" for text in texts])
        elif key == "images-by-semver":
            self._add(tags, source, source, [text if text[:1] in "<>=^~!" else f"={text}" for text in texts])
        else:
            digests = [text for text in texts if ":" in text]
            names = [text for text in texts if text and ":" not in text]
            for digest in digests:
                self._add(tags, source, f"{source}@{digest}")
            if names or not digests:
                self._add(tags, source, source, names)

    def regsync(self, members: dict[str, Marked]) -> None:
        """Steps with source and target; regular expressions are anchored there."""
        for key, part in members.items():
            if key not in ("version", "sync"):
                self.leave_out(part, key)
        steps = members["sync"].value if members["sync"].kind == "array" else []
        for number, step in enumerate(steps):
            self._step(step, f"sync[{number}]")

    def _step(self, step: Marked, key: str) -> None:
        members = step.value if step.kind == "object" else {}
        kind, source = _text(members, "type") or "image", _text(members, "source")
        target = _text(members, "target")
        if not source or kind not in ("image", "repository", "registry"):
            self.leave_out(step, key, "not a step that copies images")
            return
        for name in members.keys() - REGSYNC_TAKEN:
            self.leave_out(members[name], f"{key}.{name}")
        first = source.partition("/")[0]
        if kind != "registry" and not ("/" in source and ("." in first or ":" in first or first == "localhost")):
            source = f"docker.io/{source}"
        tags = members["tags"].value if "tags" in members and members["tags"].kind == "object" else {}
        for name in tags.keys() - {"allow", "deny", "semverRange"}:
            self.leave_out(tags[name], f"{key}.tags.{name}")
        allow = [f"/^(?:{text})$/" for text in _texts(tags.get("allow"))]
        allow += [text if text[:1] in "<>=^~!" else f"={text}" for text in _texts(tags.get("semverRange"))]
        deny = [f"/^(?:{text})$/" for text in _texts(tags.get("deny"))]
        platforms = _texts(members.get("platforms")) + _texts(members.get("platform"))
        self._add(
            step,
            key,
            source,
            allow if kind != "image" else [],
            target,
            exclude=deny,
            platforms=platforms,
            # as a step says it; without a word regsync brings none
            referrers="all" if "referrers" in members and members["referrers"].value is True else "none",
        )

    def _add(
        self,
        part: Marked,
        key: str,
        source: str,
        patterns: Iterable[str] = (),
        target: str | None = None,
        *,
        exclude: Iterable[str] = (),
        platforms: Iterable[str] = (),
        referrers: str | None = None,
    ) -> None:
        """One more that is wanted; left out, with the reason, where it cannot be."""
        try:
            wanted = Wanted.parse(source, f"{self._name}:{part.key_line or part.line}")
            wanted = wanted.with_patterns(patterns, exclude, None)
            if target and not wanted.repository:  # all of a registry, into another one
                wanted = replace(wanted, target_host=target.lower())
            elif target:
                wanted = with_target(wanted, target, dotted=True)
            if chosen := tuple(map(Platform.parse, platforms)):
                wanted = replace(wanted, platforms=chosen)
        except InvalidReference as error:
            self.leave_out(part, key, error.reason)
        except ValueError as error:
            self.leave_out(part, key, str(error))
        else:
            self.found.wanted.append(replace(wanted, referrers=referrers))


def _text(members: dict[str, Marked], key: str) -> str:
    part = members.get(key)
    return part.text if part else ""


def _texts(part: Marked | None) -> list[str]:
    if part is None:
        return []
    return [child.text for child in part.value] if part.kind == "array" else [part.text] if part.text else []
