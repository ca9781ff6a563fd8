# SPDX-License-Identifier: MIT
"""Content in files of this machine, as Source: OCI image layouts, in a folder or in an archive, and what
``docker save`` writes. Nothing is unpacked to the disk, and nothing leads out of the place that was named.
"""
