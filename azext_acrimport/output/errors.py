# SPDX-License-Identifier: MIT
"""From what went wrong to what az shows: an error with its code, the member ``error`` of a result, an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from azure.cli.core import azclierror

from .. import engine
from ..engine import EngineError
from ..progress.amounts import counted
from .advice import advice_for
from .az_errors import az_errors
from .signals import interruptible


def to_azclierror(error: EngineError, *, many: bool = False, moved: bool = False) -> azclierror.AzCLIError:
    """The az exception for it: message with the stable code, and recommendation, as ``advice_for`` has them."""
    kind, message, recommendation = advice_for(error, many=many, moved=moved)
    return kind(f"{message} [{error.code}]", recommendation=_for_people(recommendation))


def _for_people(recommendation: str) -> str | None:
    """Where standard error is closed az would print it to standard output, behind the result."""
    return recommendation if sys.stderr else None


def to_json(error: EngineError, *, many: bool = False, moved: bool = False) -> dict[str, str | None]:
    """The member ``error`` of a result."""
    _, message, recommendation = advice_for(error, many=many, moved=moved)
    return {
        "code": error.code,
        "side": error.origin,
        "message": message,
        "recommendation": recommendation,
        "correlationId": getattr(error, "request_id", "") or None,
    }


@contextmanager
def told_apart() -> Iterator[None]:
    """Whatever a person, a network or Azure can do to a command leaves this block as an EngineError."""
    try:
        with interruptible(), az_errors():
            yield
    except KeyboardInterrupt:
        raise interrupted() from None


def raise_after_output(cli_ctx: Any, error: EngineError, *, many: bool = False, moved: bool = False) -> None:
    """az prints a result or an error, not both, unless the error comes when the result is out."""
    from knack.events import EVENT_CLI_SUCCESSFUL_EXECUTE

    def fail(*_: Any, **__: Any) -> None:
        cli_ctx.unregister_event(EVENT_CLI_SUCCESSFUL_EXECUTE, fail)
        raise to_azclierror(error, many=many, moved=moved)

    cli_ctx.register_event(EVENT_CLI_SUCCESSFUL_EXECUTE, fail)


def exit_for_usage(message: str, recommendation: str) -> NoReturn:
    """End as az's own parser does when the command line is wrong: exit code 2."""
    # what was typed may be no text at all
    message = "\n".join(map(engine.foreign_text, message.split("\n")))
    error = azclierror.InvalidArgumentValueError(message, recommendation=_for_people(recommendation))
    error.print_error()
    error.send_telemetry()
    sys.exit(2)


def batch_interrupted(complete: int, count: int) -> engine.Cancelled:
    """Ctrl-C: so many images of so many."""
    verb = "is" if 1 in (complete, count) else "are"
    return engine.Cancelled(f"Interrupted. {complete} of {counted(count, 'image')} {verb} complete.")


def interrupted(item: engine.ItemResult | None = None) -> engine.Cancelled:
    """Ctrl-C: what is complete, what is not."""
    written = item.written if item else ()
    left = [target for target in item.targets if target not in written] if item else []
    copied = item.blobs.copied if item else 0
    if not written:
        return engine.Cancelled(f"Interrupted. No tag was written; {counted(copied, 'blob')} copied.")
    rest = f" Not written: {', '.join(left)}." if left else ""
    return engine.Cancelled(f"Interrupted. Complete: {', '.join(written)}.{rest}")
