# SPDX-License-Identifier: MIT
"""Pages for people, and what makes their pictures and tables."""
