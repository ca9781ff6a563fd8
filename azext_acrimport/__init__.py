# SPDX-License-Identifier: MIT
"""An Azure CLI extension that makes ``az acr import`` a complete tool.

az calls ``get_command_loader``. Nothing is imported before that, so the engine can be used without az.
"""

from __future__ import annotations

from typing import Any


def get_command_loader(cli_ctx: Any) -> Any:
    """The loader class of the extension's commands."""
    from .commands import AcrImportCommandsLoader

    return AcrImportCommandsLoader
