# SPDX-License-Identifier: MIT
"""The real az in a process of its own, with a configuration and extensions of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import forked_az

# What a process needs to run at all; everything else of the user's environment stays out.
KEPT = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")

# What Python reads before anything else.
AT_START = ("PYTHON", "LANG", "LC_")


def program() -> str:
    """The az of this virtual environment, or the one that ACRIMPORT_AZ names."""
    beside = Path(sys.executable).with_name("az.cmd" if os.name == "nt" else "az")
    return os.environ.get("ACRIMPORT_AZ", str(beside))


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output; fails when anything else is in it."""
        return json.loads(self.stdout)


class Az:
    """Call it with the words after ``az``."""

    def __init__(self, folder: Path, environment: dict[str, str], extensions: Path | None = None) -> None:
        self.folder = folder
        self.config = folder / "azure"
        self.config.mkdir(parents=True, exist_ok=True)
        self.environment = {
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            "HOME": str(folder),
            "AZURE_CONFIG_DIR": str(self.config),
            "AZURE_EXTENSION_DIR": str(extensions or folder / "extensions"),
            **environment,
        }

    def __call__(self, *words: str, stdin: str = "", **environment: str) -> Result:
        """Run to the end, forked where there is a server for it. Keyword arguments are its environment variables."""
        if not any(name.startswith(AT_START) for name in environment):
            ended = forked_az.run(words, {**self.environment, **environment}, str(self.folder), stdin)
            if ended:
                return Result(*ended)
        with self.start(*words, **environment) as process:
            stdout, stderr = process.communicate(stdin, timeout=100)
        return Result(process.returncode, stdout, stderr)

    @contextmanager
    def many(self) -> Iterator[Callable[..., Result]]:
        """One process for many command lines: a function from the words after ``az`` to what they left behind."""
        pipe, log = subprocess.PIPE, self.config.parent / "many.log"
        command = [sys.executable, str(Path(__file__).with_name("many.py"))]
        with log.open("w") as stream:
            process = subprocess.Popen(
                command,
                env=self.environment,
                cwd=self.folder,
                stdin=pipe,
                stdout=pipe,
                stderr=stream,
                text=True,
                encoding="utf-8",
            )
        assert process.stdin and process.stdout

        def run(*words: str) -> Result:
            start = log.stat().st_size
            process.stdin.write(f"{json.dumps(words)}\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            return Result(answer["code"], answer["stdout"], log.read_bytes()[start:].decode())

        try:
            yield run
        finally:
            process.stdin.close()
            process.wait(30)
            process.stdout.close()

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Only start it; its pipes are open. It is a process of its own, that gets signals."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [program(), *words],
            env={**self.environment, **environment},
            cwd=self.folder,  # in the checkout the sources would be imported, whatever is installed
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            encoding="utf-8",
            preexec_fn=None if os.name == "nt" else _listening,
        )


def _listening() -> None:
    """A shell that puts the tests into the background makes all their children deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
