# SPDX-License-Identifier: MIT
"""The az side without a process: core's context, with a configuration folder of its own, and our loader."""

from __future__ import annotations

import shlex

import pytest

pytest.importorskip("azure.cli.core", reason="azure-cli is not installed for this Python")


@pytest.fixture
def cli_ctx(tmp_path, monkeypatch):
    """A core context that nobody has signed in to."""
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path))
    from azure.cli.core.mock import DummyCli

    return DummyCli()


@pytest.fixture
def parse(cli_ctx):
    """A function from a command line to az's namespace; validators have not run."""
    import azext_acrimport

    invocation = cli_ctx.invocation_cls(
        cli_ctx=cli_ctx,
        parser_cls=cli_ctx.parser_cls,
        commands_loader_cls=azext_acrimport.get_command_loader(cli_ctx),
        help_cls=cli_ctx.help_cls,
    )
    cli_ctx.invocation = invocation
    loader = invocation.commands_loader
    loader.load_command_table(None)
    loader.skip_applicability = True
    for name in loader.command_table:
        loader.load_arguments(name)
    for command in loader.command_table.values():
        command.load_arguments()
        command.arguments.pop("cmd", None)  # az fills it in when it calls the handler
    loader._update_command_definitions()
    invocation.parser.load_command_table(loader)

    def parse(command_line: str):
        words = shlex.split(command_line)
        assert words.pop(0) == "az"
        return invocation.parser.parse_args(words)

    return parse
