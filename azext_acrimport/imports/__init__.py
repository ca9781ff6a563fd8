# SPDX-License-Identifier: MIT
"""A command, from its options to its result: find the sides, choose the engine, have it done, say what became of it.
It knows all other packages; only ``custom`` knows it."""
