# SPDX-License-Identifier: MIT
"""The rows of the comparison: which images, over which wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import images
from .images import Image, Storage

Tagged = dict[tuple[str, str], Image]


@dataclass(frozen=True)
class Row:
    """``images`` fills a storage and says what is to be copied, by (repository, tag).

    ``slow``: a link of 25 ms each way before both registries; ``far``: before the source only.
    ``again``: the target has everything already. ``extra``: only where it is asked for.
    """

    title: str
    images: Callable[[Storage], Tagged]
    tls: bool = False
    slow: bool = False
    far: bool = False
    again: bool = False
    extra: bool = False


def small(storage: Storage) -> Tagged:
    """One image."""
    return {("bench/small", "v1"): images.small(storage)}


def typical(storage: Storage) -> Tagged:
    """One image."""
    return {("bench/typical", "v1"): images.typical(storage)}


def huge(storage: Storage) -> Tagged:
    """One image."""
    return {("bench/huge", "v1"): images.huge(storage)}


def layer(storage: Storage) -> Tagged:
    """One image."""
    return {("bench/layer", "v1"): images.layer(storage)}


def repositories(storage: Storage) -> Tagged:
    """200 images, each in a repository of its own."""
    return {(f"bench/app-{n}", "v1"): image for n, image in enumerate(images.many(storage, 200))}


def tags(storage: Storage) -> Tagged:
    """200 images in one repository."""
    return {("bench/app", f"v{n}"): image for n, image in enumerate(images.many(storage, 200))}


def unchanged(storage: Storage) -> Tagged:
    """650 images in one repository."""
    return {("bench/app", f"v{n}"): image for n, image in enumerate(images.many(storage, 650))}


def one_gigabyte(storage: Storage) -> Tagged:
    """One image."""
    return {("bench/zeros", "v1"): images.zeros(storage, 10**9)}


def ten_gigabytes(storage: Storage) -> Tagged:
    """One image."""
    return {("bench/zeros", "v1"): images.zeros(storage, 10**10)}


ROWS = {
    "small": Row("one image, 3 layers, 6 MB", small),
    "typical": Row("index of 3 platforms, 8 layers each, 210 MB", typical),
    "typical-tls": Row("the same, TLS", typical, tls=True),
    "huge": Row("one image, 4 layers of 500 MB", huge),
    "huge-tls": Row("the same, TLS", huge, tls=True),
    "repositories": Row("200 images in 200 repositories, one base layer", repositories),
    "tags": Row("200 tags of one repository, one base layer", tags),
    "again": Row("second run of 200 unchanged tags", tags, again=True),
    "small-link": Row("one image of 6 MB, slow link", small, slow=True),
    "typical-link": Row("index of 3 platforms, 210 MB, slow link", typical, slow=True),
    "repositories-link": Row("200 images in 200 repositories, slow link", repositories, slow=True),
    "tags-link": Row("200 tags of one repository, slow link", tags, slow=True),
    "layer-link": Row("one image, one layer of 500 MB, slow link", layer, slow=True),
    "layer-far": Row("one image, one layer of 500 MB, slow link to the source only", layer, far=True),
    "again-link": Row("second run of 650 unchanged tags, slow link", unchanged, slow=True, again=True),
    "1-gigabyte": Row("one layer of 1 GB", one_gigabyte, extra=True),
    "10-gigabytes": Row("one layer of 10 GB", ten_gigabytes, extra=True),
}
