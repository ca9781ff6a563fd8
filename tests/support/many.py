# SPDX-License-Identifier: MIT
"""The real az for many command lines in one process: lists of words in, one a line; exit code and output out."""

from __future__ import annotations

import io
import json
import sys


def main() -> None:
    """Until standard input ends. What a command says to people stays on standard error."""
    from azure.cli.core import get_default_cli

    for line in sys.stdin:
        output = io.StringIO()
        try:
            code = get_default_cli().invoke(json.loads(line), out_file=output)
        except SystemExit as end:
            code = end.code
        sys.stderr.flush()
        print(json.dumps({"code": code, "stdout": output.getvalue()}), flush=True)


if __name__ == "__main__":
    main()
