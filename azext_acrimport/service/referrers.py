# SPDX-License-Identifier: MIT
"""What refers to an image follows it by the service, too: found from here, imported by digest, many at a time."""

from __future__ import annotations

from dataclasses import replace

from .._options import Target
from ..engine import (
    Attachment,
    AuthError,
    CredentialError,
    Denied,
    Digest,
    ItemResult,
    NetworkError,
    Planned,
    Unauthorized,
)
from ..job.embedded import copy_here
from ..job.job import Job
from ..progress.view import ProgressView
from ..registries.deadline import Deadline
from .operation import Operation
from .request import begun, waited

# Operations at once: ARM limits what one identity may ask it in a while.
AT_ONCE = 10

UNSEEN = "Whether anything refers to the image cannot be seen from here, so only the image was imported."


def import_referrers(job: Job, item: ItemResult, digest: Digest, deadline: Deadline, view: ProgressView) -> bool:
    """Bring what the target lacks; True when there was something. Raises what kept it from being brought.

    The image must be at the target: then all that a plan for it still holds is what refers to it.
    """
    lacking = left = _lacking(job, item, digest)
    while left:
        some, left = left[:AT_ONCE], left[AT_ONCE:]
        for operation in [_begun(job, entry, deadline) for entry in some]:
            waited(operation, deadline, view)
    return bool(lacking)


def _lacking(job: Job, item: ItemResult, digest: Digest) -> list[Attachment]:
    """Found by a plan of the embedded engine, which is never carried out. Only a closed door is no failure here."""
    lacking: list[Attachment] = []

    def only_look(planned: Planned) -> bool:
        lacking.extend(attachment for attachment in planned.attachments if attachment.lacking)
        return False

    planned = copy_here(job, only_look, instead=lambda request: replace(request, identifier=str(digest)))
    if isinstance(planned.error, (Denied, Unauthorized, NetworkError, AuthError, CredentialError)):
        item.notices += (UNSEEN,)
    elif planned.error:
        raise planned.error
    item.referrers = None if planned.error else planned.referrers
    return lacking


def _begun(job: Job, entry: Attachment, deadline: Deadline) -> Operation:
    places = [place.partition("/")[2] for place in sorted(entry.lacking)]
    targets = [Target(place, entry.tag or None, f"{place}:{entry.tag}" if entry.tag else place) for place in places]
    # a tag that moves here is one that holds fewer signatures than the source's: the plan has looked
    image = f"{job.reference.repository}@{entry.descriptor.digest}"
    return begun(job, image, targets, force=bool(entry.tag), deadline=deadline)
