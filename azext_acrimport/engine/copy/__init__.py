# SPDX-License-Identifier: MIT
"""Copying: the story of an image (``image``), many of them (``images``), and what they share: who has which blob, what
has been read, how fast a host may be asked (``limits``), the driver of it all. Knows ``content`` and its ``store``, and
no kind of place.
"""
