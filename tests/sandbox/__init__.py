# SPDX-License-Identifier: MIT
"""A stand-in for Azure and the registries of the world, on loopback. See README.md beside this file."""
