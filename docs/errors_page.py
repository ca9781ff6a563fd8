# SPDX-License-Identifier: MIT
"""Writes errors.md from the tables that the program uses: python -m docs.errors_page"""

from __future__ import annotations

import re
from pathlib import Path

from azext_acrimport import engine
from azext_acrimport.output import advice, catalogue, problem, service_error

PAGE = Path(__file__).with_name("errors.md")

HEAD = """# Errors

<!-- made by python -m docs.errors_page -->

Each error has a code that does not change: it stands at the end of the message, and in the member `error` of the
result beside `side`, `message`, `recommendation` and `correlationId`. A code begins with the side: `source`, `target`,
`arm` for Azure Resource Manager and its import service, nothing for this machine.

Exit code 3: the source or a registry does not exist. 2: the command line is wrong. 1: all else.

## Of this machine and of registries

| Code | Meaning |
|---|---|
"""
SERVICE = """
## Of the import service

What Azure says is matched against these, in this order. "Elsewhere": the embedded engine does not have this trouble.

| Code | Meaning | What to do | Elsewhere |
|---|---|---|---|
"""
# What a docstring says of an attribute is for who uses the engine as a library.
ATTRIBUTE = re.compile(r"(?<=[.;]) ``\w+``(?=:| in )")
CANCELLED = "| `cancelled` | Ctrl-C or SIGTERM: what is complete stays, and the same command does the rest. |"


def text() -> str:
    """The page."""
    tables = (service_error.ServiceError, problem.Problem)
    kinds = sorted((kind for kind in advice.ADVICE if kind not in tables), key=lambda kind: kind.slug)
    local = (engine.InvalidReference, engine.TimedOut, engine.Blocked, engine.Cancelled)
    rows = [
        f"| `{kind.slug if kind in local else f'SIDE-{kind.slug}'}` | {_meaning(kind)} |"
        for kind in kinds
        if not issubclass(kind, engine.Cancelled)
    ]
    beside = problem.Problem.__subclasses__()
    rows += [
        f"| `{'' if kind.side == 'local' else f'{kind.side}-'}{kind.slug}` | {_meaning(kind)} |" for kind in beside
    ]
    rows.append(CANCELLED)
    service = [
        f"| `{_side(row)}-{row.slug}` | {row.meaning} | {_what_to_do(row)} | {'yes' if row.elsewhere else 'no'} |"
        for row in (*catalogue.CATALOGUE, *catalogue.OWN)
    ]
    return HEAD + "\n".join(rows) + "\n" + SERVICE + "\n".join(service) + "\n"


def _side(row: catalogue.Known) -> str:
    return "SIDE" if row.side == "named" else row.side


def _meaning(kind: type) -> str:
    """The first paragraph."""
    paragraph = " ".join((kind.__doc__ or "").partition("\n\n")[0].split())
    return ATTRIBUTE.split(paragraph)[0].replace("``", "`")


def _what_to_do(row: catalogue.Known) -> str:
    facts = {name: name.upper() for name in ("name", "repository", "identity", "operation")}
    return row.advice.format(**facts).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(text(), "utf-8")
