# SPDX-License-Identifier: MIT
"""What content is: digests, descriptors, manifests and the names of images, as values; a blob as bytes that are
verified while they pass; and what copying asks of the places that hold all this (``store``). Knows nothing but
``errors`` and ``cancellation``.
"""
