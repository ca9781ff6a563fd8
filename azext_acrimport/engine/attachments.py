# SPDX-License-Identifier: MIT
"""What vouches for an image: manifests that refer to one of its manifests, and cosign's tags that are named after one.

Found at the source, and compared with what each destination has: only what is lacking there is read.
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .descriptor import Descriptor, Digest
from .errors import ManifestError, TagConflict
from .manifest import Manifest
from .plan import Attachment, Destination, PlanItem
from .question import Question, Questions
from .store import Target

__all__ = ["Attachments"]

# https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#tag-based-discovery
COSIGN_SUFFIXES = (".sig", ".att", ".sbom")
# Signatures of SBOMs of images are two levels.
MAX_DEPTH = 6
MAX_ATTACHMENTS = 5000


@dataclass(slots=True)
class Attachments:
    """Of one request's image. ``depths``: every digest that is known, the image's own included; it ends all loops."""

    number: int
    item: PlanItem
    depths: dict[Digest, int]
    get: Callable[[Descriptor], Questions]
    rivals: dict[tuple[Digest, str, str], Manifest] = field(default_factory=dict)

    def ask(self, subject: Descriptor) -> Questions:
        """What refers to it, and is there anything under cosign's tags for it?"""
        source = self.item.request.source
        questions: Questions = {
            Question(self.number, "referrers", descriptor=subject): lambda: source.referrers(subject.digest)
        }
        for suffix in COSIGN_SUFFIXES:
            tag = f"{subject.digest.algorithm}-{subject.digest.hex}{suffix}"
            questions[Question(self.number, "digest tag", tag=tag, descriptor=subject)] = _find(source.find, tag)
        return questions

    def offered(self, subject: Descriptor, referrers: list[Descriptor]) -> Questions:
        """The source's list. What is new is looked for at every destination, and asked about in its turn."""
        questions: Questions = {}
        for descriptor in referrers:
            if descriptor.digest not in self.depths:
                questions |= self._add(Attachment(descriptor, subject.digest))
        if not questions:
            return {}
        for destination in self.item.request.destinations:
            question = Question(self.number, "listed", destination.key, descriptor=subject)
            questions[question] = _referrers(destination, subject)
        return questions

    def listed(self, place: str, subject: Descriptor, referrers: list[Descriptor]) -> Questions:
        """A destination's list: what is not in it is read."""
        there = {descriptor.digest for descriptor in referrers}
        questions: Questions = {}
        for attachment in self.item.attached.values():
            if attachment.subject == subject.digest and attachment.descriptor.digest not in there:
                attachment.lacking.add(place)
                questions |= self.get(attachment.descriptor)
        return questions

    def tagged(self, subject: Descriptor, tag: str, found: Descriptor | None) -> Questions:
        """One of cosign's tags at the source: what names it at each destination?"""
        if found is None:
            return {}
        attachment = Attachment(found, None, tag, self.depths[subject.digest])
        questions = self._add(attachment)
        for destination in self.item.request.destinations:
            question = Question(self.number, "held", destination.key, tag, found)
            questions[question] = _held(destination.store, tag, found.digest)
        return questions

    def held(
        self, place: str, tag: str, wanted: Descriptor, answer: tuple[Descriptor | None, Manifest | None]
    ) -> Questions:
        """The same tag at a destination."""
        found, rival = answer
        if found is not None and found.digest == wanted.digest:
            return {}
        self.item.attached[wanted.digest, tag].lacking.add(place)
        if rival is not None:
            self.rivals[wanted.digest, tag, place] = rival
        return self.get(wanted)

    def got(self, manifest: Manifest) -> bool:
        """An attached manifest has been read: is it what the list said, and may its tags move? False for any other."""
        digest = manifest.descriptor.digest
        mine = [attachment for (own, _), attachment in self.item.attached.items() if own == digest]
        for attachment in mine:
            if attachment.tag:
                self._judge(attachment, manifest)
            elif manifest.subject is None or manifest.subject.digest != attachment.subject:
                self._drop(digest, f"{digest} is listed as a referrer, but refers to something else: left out")
        return bool(mine)

    def vanished(self, descriptor: Descriptor) -> bool:
        """What is listed, but not there, is no referrer. False when the digest is not an attached one."""
        if (descriptor.digest, "") not in self.item.attached:
            return False
        self._drop(descriptor.digest, f"{descriptor.digest} is listed as a referrer, but does not exist: left out")
        return True

    def _add(self, attachment: Attachment) -> Questions:
        digest, known = attachment.descriptor.digest, attachment.descriptor.digest in self.depths
        self.item.attached[digest, attachment.tag] = attachment
        self.item.result.referrers = len(self.item.attached)
        subject = attachment.subject
        above = self.depths[subject] if subject else attachment.depth
        depth = self.depths.setdefault(digest, above + 1)
        if depth > MAX_DEPTH or len(self.item.attached) > MAX_ATTACHMENTS:
            message = f"{self.item.request.identifier} has more referrers, or of more levels, than any real image"
            raise ManifestError(message, origin="source", subject=self.item.request.key)
        return {} if known else self.ask(attachment.descriptor)

    def _judge(self, attachment: Attachment, manifest: Manifest) -> None:
        """cosign adds to what a tag names. A tag that would lose something moves only by force."""
        for place in sorted(attachment.lacking):
            rival = self.rivals.get((manifest.descriptor.digest, attachment.tag, place))
            if rival is None:
                continue
            ours, theirs = _layers(manifest), _layers(rival)
            if ours <= theirs:
                attachment.lacking.discard(place)
            elif not theirs <= ours and not self.item.request.force:
                name = f"{place}:{attachment.tag}"
                raise TagConflict(name, str(rival.descriptor.digest), str(manifest.descriptor.digest))

    def _drop(self, digest: Digest, notice: str) -> None:
        del self.item.attached[digest, ""]
        self.item.result.referrers = len(self.item.attached)
        self.item.result.notices += (notice,)


def _layers(manifest: Manifest) -> set[Digest]:
    return {blob.digest for blob in manifest.blobs} - ({manifest.config.digest} if manifest.config else set())


def _find(find: Callable[[str], Descriptor | None], tag: str) -> Callable[[], Descriptor | None]:
    return lambda: find(tag)


def _referrers(destination: Destination, subject: Descriptor) -> Callable[[], object]:
    return lambda: destination.store.referrers(subject.digest)


def _held(store: Target, tag: str, wanted: Digest) -> Callable[[], tuple[Descriptor | None, Manifest | None]]:
    def asked() -> tuple[Descriptor | None, Manifest | None]:
        found = store.find(tag)
        if found is None or found.digest == wanted:
            return found, None
        return found, Manifest.parse(*store.manifest(found.digest), found.digest, origin="target")

    return asked
