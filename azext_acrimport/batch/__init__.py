# SPDX-License-Identifier: MIT
"""What a batch is asked to do, before anybody is asked for an image: options, files and lists become wanted sources,
listings become items with their targets, items are dealt out to shards; and the report at the end. It knows ``engine``
and ``output``, asks no registry, and changes nothing but the report's file."""
