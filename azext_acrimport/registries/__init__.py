# SPDX-License-Identifier: MIT
"""Who and where: names, hosts and resource IDs become registries; as whom we come there; how hosts are reached.

The only package that knows az's profile. Besides the engine it knows ``output``.
"""
