# SPDX-License-Identifier: MIT
"""The real az on a terminal, and in a pipeline."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import threading

import pytest

from tests.sandbox import images
from tests.support.az import program
from tests.support.rights import run_line
from tests.support.terminal import Terminal

MCR = "mcr.microsoft.com"


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals of POSIX")
def test_terminal_is_left_with_one_line(sandbox, az):
    """While a blob moves there is a drawing, in the end a line; standard output has the result alone."""
    import fcntl
    import pty
    import termios

    name, drawn = "screen/app", threading.Event()
    images.image(name, (3_000_000,)).push(sandbox.content(MCR), name, "1")
    sandbox.faults.add(method="PUT", path=f"/v2/{name}/blobs/.*", before=lambda _: drawn.wait(30))
    terminal, (ours, theirs) = Terminal(80), pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    words = [program(), "acr", "import", "-n", "myregistry", "--source", f"{MCR}/{name}:1"]
    environment = {**az.environment, "TERM": "xterm"}
    with subprocess.Popen(words, env=environment, cwd=az.folder, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        while block := _read(ours):
            terminal.write(block.replace("\r\n", "\n"))
            if re.search(r"total +\d+%", terminal.seen[-1] if terminal.seen else ""):
                drawn.set()
        stdout = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0 and drawn.is_set()
    result = json.loads(stdout)
    said = "".join(terminal.seen)
    assert f"Imported {name}:1 as {result['digest'][:19]}: " in said
    assert "total" not in said and "Importing" not in said


def _read(stream: int) -> str:
    try:
        return os.read(stream, 65_536).decode(errors="replace")
    except OSError:  # the other end is closed
        return ""


def test_pipeline_hears_of_an_error(az):
    """As an issue of the run, in the place of az's own word for it."""
    result = az("acr", "import", "-n", "myregistry", "--source", f"{MCR}/no/such:1", TF_BUILD="True")
    assert result.code == 3
    issue = f"##vso[task.logissue type=error;]{MCR}/no/such:1 (source) does not exist."
    assert [line for line in result.stderr.splitlines() if line.startswith(issue)] and "ERROR:" not in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX closes it")
@pytest.mark.parametrize(
    ("command", "code", "status"),
    [
        ("import", 0, "copied"),
        ("import-batch", 0, "copied"),
        ("import --dry-run", 0, "planned"),
        ("import --platform linux/s390x", 1, "failed"),
        ("import-batch --platform linux/s390x", 1, "failed"),
    ],
)
def test_closed_standard_error(sandbox, az, command, code, status):
    """``2>&-``, as daemons and some schedulers start programs: the result and the exit code say all that there is."""
    name = f"screen/closed-{'-'.join(command.split()).replace('/', '-')}"
    images.image(name).push(sandbox.content(MCR), name, "1")
    line = f"exec {program()} acr {command} -n myregistry --source {MCR}/{name}:1 2>&-"
    result = run_line(az, ["sh", "-c", line], az.environment)
    assert result.code == code, result
    assert [item["status"] for item in result.json.get("items", [result.json])] == [status]


@pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX closes it")
def test_wrong_usage_with_closed_standard_error(az):
    """It has no result."""
    result = run_line(
        az, ["sh", "-c", f"exec {program()} acr import -n myregistry --source nginx 2>&-"], az.environment
    )
    assert (result.code, result.stdout) == (2, "")
