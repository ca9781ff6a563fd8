# SPDX-License-Identifier: MIT
"""Regular expressions of users, with a bound on their time: in a process of their own, since nothing else ends one.

``(a+)+$`` needs minutes for a tag of 40 letters, and Python's ``re`` holds all threads meanwhile.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Collection, Mapping

__all__ = ["compiled", "search_all"]

# Longer ones are programs.
MAX_LENGTH = 500
# Seconds for all of them. A hundred thousand tags need less than one where nothing goes wrong.
PATIENCE = 10.0

CHILD = """
import json, re, sys
for pattern, names in json.load(sys.stdin.buffer).items():
    search = re.compile(pattern).search
    print(json.dumps([pattern, [name for name in names if search(name)]]), flush=True)
"""

Found = dict[str, frozenset[str]]


def compiled(pattern: str) -> str:
    """The same, found to be one. Raises ValueError."""
    if len(pattern) > MAX_LENGTH:
        raise ValueError(f"a regular expression has at most {MAX_LENGTH} characters")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


def search_all(wanted: Mapping[str, Collection[str]]) -> Found:
    """By pattern, the names in which it is found. Raises ValueError when that takes too long."""
    if not wanted:
        return {}
    asked = json.dumps({pattern: sorted(names) for pattern, names in wanted.items()})
    command = [sys.executable, "-I", "-S", "-c", CHILD]
    try:
        done = subprocess.run(command, input=asked.encode(), capture_output=True, timeout=PATIENCE, check=True)
    except subprocess.TimeoutExpired as error:
        ended = {json.loads(line)[0] for line in (error.stdout or b"").splitlines(True) if line.endswith(b"\n")}
        slow = next(pattern for pattern in wanted if pattern not in ended)
        raise ValueError(
            f"the regular expression /{slow}/ takes longer than {PATIENCE:.0f} s; write it without a repetition "
            "inside a repetition"
        ) from None
    return {pattern: frozenset(names) for pattern, names in map(json.loads, done.stdout.splitlines())}
