# SPDX-License-Identifier: MIT
"""One request's way to its plan: its tag is resolved, its manifests are read, and the target is asked what it has.

A walk asks nobody itself. It names its questions, and hears the answers to all of them before it names the next ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from .attachments import Attachments
from .descriptor import Descriptor, Digest
from .errors import EngineError, ManifestError, NotFound, TagConflict
from .manifest import Manifest
from .plan import CopyRequest, Destination, PlanItem
from .platforms import ATTESTED, Selection, select
from .pool import Done
from .question import Question, Questions, answer_of
from .report import ItemResult

__all__ = ["Walk"]

# Indexes of indexes exist (two levels); nobody has been seen to need more, and a loop is impossible with digests.
MAX_DEPTH = 6
# The largest known indexes have some hundred children; this is where an index becomes a way to keep us busy.
MAX_MANIFESTS = 5000
# All manifests of an image are kept until they are pushed.
MAX_MANIFEST_BYTES_IN_ALL = 64 * 1024 * 1024


@dataclass(slots=True)
class Walk:
    """What is known so far of one request's image; ``number`` marks its questions among those of others.

    ``frugal``: ask the target first, and where it has no such tag, read the source's manifest without a HEAD before it.
    """

    number: int
    request: CopyRequest
    frugal: bool = False
    item: PlanItem = field(init=False)
    root: Descriptor | None = None
    present: dict[tuple[str, Digest], bool] = field(default_factory=dict)
    depths: dict[Digest, int] = field(default_factory=dict)
    existing: dict[tuple[str, str], Digest | None] = field(default_factory=dict)
    selection: Selection | None = None
    # every tag names the image already: what is left to ask is whether something new vouches for it
    settled: bool = False
    attachments: Attachments = field(init=False)
    size: int = 0
    raw: bytes | None = None

    def __post_init__(self) -> None:
        self.item = PlanItem(self.request, ItemResult(self.request.name, self.request.target_names))
        self.attachments = Attachments(self.number, self.item, self.depths, self._get)

    def first(self) -> Questions:
        """What the source's tag names, and what each target tag names: one HEAD each."""
        tags: Questions = {
            Question(self.number, "tag", destination.key, tag): _find(destination, tag)
            for destination in self.request.destinations
            for tag in destination.tags
        }
        if self.frugal and all(destination.tags for destination in self.request.destinations):
            return tags
        return {**self._resolve(), **tags}

    def _resolve(self) -> Questions:
        source, identifier = self.request.source, self.request.identifier
        return {Question(self.number, "resolve"): lambda: source.resolve(identifier)}

    def _resolve_or_read(self) -> Questions:
        """The source's turn, when the target has told what it has."""
        source, identifier = self.request.source, self.request.identifier
        if any(self.existing.values()) or self.request.platforms or ":" in identifier:
            return self._resolve()
        return {Question(self.number, "read"): lambda: source.read(identifier)}

    def hear(self, answers: list[tuple[Question, Done]]) -> Questions:
        """Take in the answers to all open questions; the next questions, none when the walk has ended."""
        questions: Questions = {}
        try:
            for question, done in sorted(answers, key=lambda answer: answer[0].order):
                if isinstance(done.error, NotFound) and self._is_nothing(question):
                    continue
                questions |= self._hear(question, answer_of(done))
            kinds = {question.kind for question, _ in answers}
            if self.root is None:
                questions |= self._resolve_or_read()
            elif "resolve" in kinds and self.request.platforms:
                questions |= self._select()
            elif kinds & {"resolve", "read", "select"}:
                questions |= self._judge_tags()
            elif self.settled:
                questions |= self._look_deeper()
        except EngineError as error:
            self.item.result.error = error
            self.item.result.status = "failed"
            return {}
        return questions

    def _hear(self, question: Question, value: Any) -> Questions:
        if question.kind in ("resolve", "read"):
            descriptor, self.raw = (value, None) if question.kind == "resolve" else value
            self.root = _pinned(descriptor, self.request.identifier)
            self.item.result.digest = self.item.result.source_digest = self.root.digest
        elif question.kind == "select":
            self._selected(value)
        elif question.kind == "tag":
            self.existing[question.place, question.tag] = value.digest if value else None
        elif question.descriptor:
            return self._hear_of(question, question.descriptor, value)
        return {}

    def _hear_of(self, question: Question, descriptor: Descriptor, value: Any) -> Questions:
        if question.kind == "find":
            return self._found(question.place, descriptor, value is not None)
        if question.kind == "referrers":
            return self.attachments.offered(descriptor, value)
        if question.kind == "listed":
            return self.attachments.listed(question.place, descriptor, value)
        if question.kind == "digest tag":
            return self.attachments.tagged(descriptor, question.tag, value)
        if question.kind == "held":
            return self.attachments.held(question.place, question.tag, descriptor, value)
        return self._got(descriptor, *value)

    def _is_nothing(self, question: Question) -> bool:
        descriptor = question.descriptor
        return question.kind == "get" and descriptor is not None and self.attachments.vanished(descriptor)

    def _select(self) -> Questions:
        source, root, wanted, name = self.request.source, self.root, self.request.platforms, self.request.name
        assert root
        return {Question(self.number, "select"): lambda: select(source, root, wanted, name)}

    def _selected(self, selection: Selection) -> None:
        """From here on the smaller index is the image."""
        self.selection = selection
        digest = selection.root.descriptor.digest
        if digest != self.item.result.source_digest:
            wanted = ", ".join(map(str, self.request.platforms))
            self.item.result.notices += (
                f"Only {wanted}: the index is a smaller one, {digest} instead of {self.item.result.source_digest}",
            )
        self.root = selection.root.descriptor
        self.item.result.digest = digest

    def _judge_tags(self) -> Questions:
        """Refuse a missing right and a conflict before anything moves; keep only the tags that must be written."""
        assert self.root
        moved, left = [], []
        self.settled = True
        for destination in self.request.destinations:
            destination.store.require_push()
            tags = []
            for tag in destination.tags:
                digest = self.existing[destination.key, tag]
                if digest == self.root.digest:
                    self.present[destination.key, self.root.digest] = True
                    continue
                if digest is not None:
                    name = f"{destination.key}:{tag}"
                    if not self.request.force:
                        raise TagConflict(name, str(digest), str(self.root.digest))
                    moved.append(name)
                tags.append(tag)
            self.settled &= bool(destination.tags) and not tags
            if tags or not destination.tags or self.request.referrers:
                left.append(Destination(destination.store, tuple(tags)))
        self.item.moved_tags = frozenset(moved)
        self.item.request = replace(self.request, destinations=tuple(left))
        if self.settled and not self.request.referrers:
            self.item.result.status = "unchanged"
            return {}
        self.depths[self.root.digest] = 0
        if self.settled:
            return {**self._ask_of_root(), **self._look_deeper()}
        return {
            **self._writable(self.root),
            **self._find_root(self.root),
            **self._get(self.root),
            **self._ask_of_root(),
        }

    def _ask_of_root(self) -> Questions:
        """What refers to the whole. An index that was written anew is not what they refer to."""
        assert self.root
        if not self.request.referrers or self.item.result.digest != self.item.result.source_digest:
            return {}
        return self.attachments.ask(self.root)

    def _look_deeper(self) -> Questions:
        """Of an image that is there, its platforms are asked about only when the whole lacks something."""
        assert self.root
        lacks = self.request.force or any(attachment.lacking for attachment in self.item.attached.values())
        made = self.item.result.digest != self.item.result.source_digest
        if self.root.is_index and (lacks or made) and self.root.digest not in self.item.manifests:
            return self._get(self.root)
        return {}

    def _found(self, place: str, descriptor: Descriptor, found: bool) -> Questions:
        self.present[place, descriptor.digest] = found
        # a child that seemed to be everywhere was not read with its siblings
        return {} if found or self._is_fresh() or descriptor == self.root else self._get(descriptor)

    def _got(self, descriptor: Descriptor, raw: bytes, media_type: str) -> Questions:
        known = self.item.manifests.get(descriptor.digest)
        if known:
            self.attachments.got(known)
            return {}
        served_as = descriptor.media_type if self.depths[descriptor.digest] else media_type
        manifest = Manifest.parse(raw, served_as, descriptor.digest)
        self.item.manifests[descriptor.digest] = manifest
        self.item.result.manifests += not self.attachments.got(manifest)
        self.size += len(raw)
        if manifest.foreign:
            self.item.result.notices += (f"{len(manifest.foreign)} foreign layer(s) of {descriptor.digest} left out",)
        questions: Questions = {}
        depth = self.depths[descriptor.digest] + 1
        for child in manifest.manifests:
            if child.digest in self.depths:
                continue
            self.depths[child.digest] = depth
            if self.settled:
                self.present |= {(d.key, child.digest): True for d in self.item.request.destinations}
            questions |= self._find_everywhere(child)
            if self.request.referrers and ATTESTED not in child.annotations:
                questions |= self.attachments.ask(child)
            if self._is_fresh() or child.is_index:
                questions |= self._get(child)
        if depth > MAX_DEPTH or len(self.depths) > MAX_MANIFESTS or self.size > MAX_MANIFEST_BYTES_IN_ALL:
            raise ManifestError(
                f"{self.request.identifier} has more manifests, or nests them deeper, than any real image",
                origin="source",
                subject=self.request.key,
            )
        return questions

    def _is_fresh(self) -> bool:
        """True when a destination lacks the root: then its children are worth reading before they are looked for."""
        assert self.root
        return not all(self.present.get((d.key, self.root.digest)) for d in self.item.request.destinations)

    def _writable(self, root: Descriptor) -> Questions:
        def asked(destination: Destination) -> Callable[[], None]:
            tags = [tag for tag in destination.tags if f"{destination.key}:{tag}" in self.item.moved_tags]
            return lambda: destination.store.require_writable(tags, root.digest)

        return {
            Question(self.number, "writable", destination.key): asked(destination)
            for destination in self.item.request.destinations
        }

    def _find_root(self, root: Descriptor) -> Questions:
        """Where none of its tags exists, one image hardly does, and its few blobs are looked for when it is their turn.

        Of an index it is worth knowing: its images need not be read then.
        """

        def likely(destination: Destination) -> bool:
            known = [self.existing[destination.key, tag] for tag in destination.tags]
            return root.is_index or not known or any(known) or destination.key == self.request.key

        places = {destination.key for destination in self.item.request.destinations if likely(destination)}
        return {question: work for question, work in self._find_everywhere(root).items() if question.place in places}

    def _find_everywhere(self, descriptor: Descriptor) -> Questions:
        return {
            Question(self.number, "find", destination.key, descriptor=descriptor): _find(
                destination, str(descriptor.digest)
            )
            for destination in self.item.request.destinations
            if (destination.key, descriptor.digest) not in self.present
        }

    def _get(self, descriptor: Descriptor) -> Questions:
        source = self.request.source
        question = Question(self.number, "get", descriptor=descriptor)
        if self.raw is not None and descriptor == self.root:
            content = self.raw, descriptor.media_type
            return {question: lambda: content}
        made = self.selection.read.get(descriptor.digest) if self.selection else None
        if made:
            return {question: lambda: (made.raw, made.descriptor.media_type)}
        return {question: lambda: source.manifest(descriptor.digest, descriptor.size)}


def _find(destination: Destination, identifier: str) -> Callable[[], Descriptor | None]:
    return lambda: destination.store.find(identifier)


def _pinned(resolved: Descriptor, identifier: str) -> Descriptor:
    """When the user named a digest it is that one, whatever algorithm the registry prefers to state."""
    try:
        return Descriptor(resolved.media_type, Digest.parse(identifier), -1)
    except ValueError:
        return resolved
