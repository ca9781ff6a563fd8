# SPDX-License-Identifier: MIT
"""What people see on standard error while images move, and when they have moved: a drawing on a terminal, lines in a
log, the commands of Azure Pipelines. It knows the engine's values only; nothing here asks or decides anything."""
