# SPDX-License-Identifier: MIT
"""One import whose sides were found: what is wanted, from where to where, connected to when that is needed, and copied
through this machine. It knows ``registries`` and ``output``; which engine is to do it is not its business."""
