# SPDX-License-Identifier: MIT
"""``python -m tests.sandbox --dir DIR``: run it by hand. One JSON line says how to use it; SIGTERM, Ctrl-C or, with
``--until-eof``, the end of standard input ends it.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from .sandbox import Sandbox


def main() -> None:
    """Start, say so, wait, stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="folder for content, log, CA and az configuration")
    parser.add_argument("--registry", choices=("embedded", "docker-registry"), default="embedded")
    parser.add_argument("--seed", action="store_true", help="start with the images that the examples name")
    parser.add_argument("--cloud-shell", action="store_true", help="also answer at Cloud Shell's fixed port")
    parser.add_argument("--line", type=float, metavar="MB", help="megabytes a second that get through; default: all")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input ends")
    options = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    line = options.line * 1e6 if options.line else None
    folder = options.dir.resolve()
    with Sandbox(folder, registry=options.registry, cloud_shell=options.cloud_shell, line=line) as sandbox:
        if options.seed:
            sandbox.seed()
        config = sandbox.folder / "azure"
        sandbox.sign_in(config)
        environment = {**sandbox.environment(), "AZURE_CONFIG_DIR": str(config)}
        ready = {"environment": environment, "plain": sandbox.plain.address, "log": str(sandbox.log.path)}
        print(json.dumps(ready), flush=True)
        if options.until_eof:
            threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
        ended.wait()


if __name__ == "__main__":
    main()
