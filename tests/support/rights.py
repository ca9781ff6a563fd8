# SPDX-License-Identifier: MIT
"""az as one may run it who is not root, as tests often are: with folders that are shut."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.az import Az, Result, program

IS_ROOT = os.name != "nt" and os.geteuid() == 0
LOST = "-dac_override,-dac_read_search"

without_rights = pytest.mark.skipif(
    os.name == "nt" or (IS_ROOT and not shutil.which("setpriv")), reason="nothing is shut to root without setpriv"
)


def as_user(az: Az, *words: str, **environment: str) -> Result:
    """Run az, which then may read what permissions allow, and no more."""
    setpriv = ["setpriv", f"--bounding-set={LOST}", f"--inh-caps={LOST}"] if IS_ROOT else []
    return run_line(az, [*setpriv, program(), *words], {**az.environment, **environment})


def run_line(az: Az, line: list[str], environment: dict[str, str]) -> Result:
    """Run any command line where that az runs."""
    ended = subprocess.run(
        line,
        env=environment,
        cwd=az.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=100,
        text=True,
        encoding="utf-8",
    )
    return Result(ended.returncode, ended.stdout, ended.stderr)


@contextmanager
def shut(path: Path) -> Iterator[Path]:
    """Nobody may look into it meanwhile."""
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        yield path
    finally:
        path.chmod(mode)
