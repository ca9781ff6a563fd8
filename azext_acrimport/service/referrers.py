# SPDX-License-Identifier: MIT
"""What refers to an image follows it by the service, too: found from here, imported by digest, many at a time."""

from __future__ import annotations

from dataclasses import replace

from ..engine import Attachment, AuthError, CredentialError, Denied, ItemResult, NetworkError, Planned, Unauthorized
from ..job.embedded import copy_here
from ..job.job import Job
from ..output.progress import ProgressView
from .operation import Operation
from .request import begun, waited

# Operations at once: ARM limits what one identity may ask it in a while.
AT_ONCE = 10

UNSEEN = "Whether anything refers to the image cannot be seen from here, so only the image was imported."


def import_referrers(job: Job, item: ItemResult, timeout: float | None, view: ProgressView) -> bool:
    """Bring what the target lacks; True when there was something. Raises what kept it from being brought.

    The image must be at the target: then all that a plan for it still holds is what refers to it.
    """
    lacking = left = _lacking(job, item)
    while left:
        some, left = left[:AT_ONCE], left[AT_ONCE:]
        for operation in [_begun(job, entry, timeout) for entry in some]:
            waited(operation, timeout, view)
    return bool(lacking)


def _lacking(job: Job, item: ItemResult) -> list[Attachment]:
    """Found by a plan of the embedded engine, which is never carried out. Only a closed door is no failure here."""
    lacking: list[Attachment] = []

    def only_look(planned: Planned) -> bool:
        lacking.extend(attachment for attachment in planned.attachments if attachment.lacking)
        return False

    job = job.renewed()
    planned = copy_here(replace(job, request=replace(job.request, identifier=str(item.digest))), only_look)
    if isinstance(planned.error, (Denied, Unauthorized, NetworkError, AuthError, CredentialError)):
        item.notices += (UNSEEN,)
    elif planned.error:
        raise planned.error
    item.referrers = 0 if planned.error else planned.referrers
    return lacking


def _begun(job: Job, entry: Attachment, timeout: float | None) -> Operation:
    image = f"{job.request.source.repository}@{entry.descriptor.digest}"
    places = [place.partition("/")[2] for place in sorted(entry.lacking)]
    tags = [f"{place}:{entry.tag}" for place in places] if entry.tag else []
    # a tag that moves here is one that holds fewer signatures than the source's: the plan has looked
    return begun(job, image, tags, [] if tags else places, force=bool(tags), timeout=timeout)
