# SPDX-License-Identifier: MIT
"""Carrying out one step of a plan, in a worker: it knows the places, and nothing of what comes before or after."""

from __future__ import annotations

from collections.abc import Callable

from .cancellation import Cancellation
from .errors import BlobUnknown
from .plan import CopyBlob, CopyPlan, MountBlob, PutManifest, PutTag, Step
from .report import Outcome
from .stream import Body, Spare

__all__ = ["Carrier"]


class Carrier:
    """``transfers``: bytes done of each blob that is under way. ``told``: called, by the worker, when that changes."""

    def __init__(
        self, plan: CopyPlan, cancellation: Cancellation, spare: Spare | None, told: Callable[[], None] | None
    ) -> None:
        self.transfers: dict[Step, int] = {}
        self._plan = plan
        self._cancellation = cancellation
        self._spare = spare
        self._told = told

    def work(self, step: Step) -> Callable[[], Outcome]:
        """What a worker has to call. It raises EngineError."""
        return lambda: self._carry(step)

    def _carry(self, step: Step) -> Outcome:
        self._cancellation.check()
        if isinstance(step, (CopyBlob, MountBlob)):
            return self._bring_blob(step)
        self._put(step)
        return "copied"

    def _bring_blob(self, step: CopyBlob | MountBlob) -> Outcome:
        from_repository = step.from_repository if isinstance(step, MountBlob) else ""
        try:
            return self._plan.targets[step.target].bring_blob(step.descriptor, self._body(step), from_repository)
        finally:
            self.transfers.pop(step, None)

    def _push_blob(self, step: CopyBlob) -> None:
        """Whatever the target says that it has."""
        try:
            self._plan.targets[step.target].put_blob(step.descriptor, self._body(step))
        finally:
            self.transfers.pop(step, None)

    def _body(self, step: CopyBlob | MountBlob) -> Body:
        body = self._plan.sources[step.source].blob(step.descriptor)
        return body.observed(lambda done: self._observe(step, done), self._cancellation, self._spare)

    def _put(self, step: PutManifest | PutTag) -> None:
        """Put a manifest. When the target misses something that it said it had, bring that once, and put again."""
        try:
            self._put_once(step)
        except BlobUnknown:
            manifest = self._plan.manifests[step.descriptor.digest]
            for blob in manifest.blobs:
                self._push_blob(CopyBlob(blob, step.target, step.source))
            for child in manifest.manifests:
                if child.digest in self._plan.manifests:
                    self._put(PutManifest(child, step.target, step.source))
            self._put_once(step)

    def _put_once(self, step: PutManifest | PutTag) -> None:
        manifest = self._plan.manifests[step.descriptor.digest]
        target = self._plan.targets[step.target]
        media_type = manifest.descriptor.media_type
        if isinstance(step, PutTag):
            target.tag(step.tag, step.descriptor.digest, media_type, manifest.raw)
        else:
            target.put_manifest(step.descriptor.digest, media_type, manifest.raw)

    def _observe(self, step: Step, done: int) -> None:
        self.transfers[step] = done
        if self._told:
            self._told()
