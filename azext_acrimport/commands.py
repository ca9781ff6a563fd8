# SPDX-License-Identifier: MIT
"""The command table. Loaded for every ``az acr …``, so it imports nothing that costs time."""

from __future__ import annotations

import sys
from shutil import get_terminal_size
from typing import Any

from azure.cli.core import AzCommandsLoader
from azure.cli.core.commands import CliCommandType

from . import _help  # noqa: F401  az finds help pages by what this import registers

# Names of options take half of that; what explains them needs some room beside them.
NARROWEST = 60


class AcrImportCommandsLoader(AzCommandsLoader):
    """Commands below ``az acr``; ``import`` takes the place of core's."""

    # az remembers under this name which extension a command belongs to, and looks for an extension so named
    __module__ = "azext_acrimport"

    def __init__(self, cli_ctx: Any = None) -> None:
        handlers = CliCommandType(operations_tmpl="azext_acrimport.custom#{}")
        super().__init__(cli_ctx=cli_ctx, custom_command_type=handlers)

    def load_command_table(self, args: Any) -> Any:
        """What ``az`` can call."""
        from ._batch_validator import validate_batch
        from ._validators import validate_import, validate_wait
        from .output.tables import batch_rows, result_rows

        with self.command_group("acr") as group:
            group.custom_command(
                "import",
                "import_image",
                validator=validate_import,
                table_transformer=result_rows,
            )
            group.custom_command(
                "import-batch",
                "import_batch",
                validator=validate_batch,
                table_transformer=batch_rows,
            )
            group.custom_command("import-wait", "import_wait", validator=validate_wait, table_transformer=result_rows)
        return self.command_table

    def load_arguments(self, command: str) -> None:
        """The options of the commands."""
        from ._params import load_arguments

        load_arguments(self)
        self._fit_help()

    def _fit_help(self) -> None:
        """az breaks the lines of each page at 100 columns, which a narrower terminal then breaks once more."""
        page = getattr(getattr(self.cli_ctx, "invocation", None), "help", None)
        if page is not None and sys.stdout.isatty():
            page.textwrap_width = min(max(get_terminal_size().columns, NARROWEST), page.textwrap_width)
