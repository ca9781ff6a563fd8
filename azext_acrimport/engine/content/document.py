# SPDX-License-Identifier: MIT
"""JSON that somebody else wrote, read in bounded memory."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["parse_document"]

# Python takes up to a hundred bytes and more for each list or object, the shortest of which has two characters. A
# manifest of four megabytes that describes something has some ninety thousand of them.
MAX_NODES = 200_000


def parse_document(raw: bytes) -> Any:
    """The value. Raises ValueError for what is no JSON, is nested without end, or is nothing but brackets."""
    if raw.count(b"{") + raw.count(b"[") > MAX_NODES:
        raise ValueError("it has more lists and objects than any manifest")
    try:
        return json.loads(raw)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
