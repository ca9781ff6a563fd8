# SPDX-License-Identifier: MIT
"""Help that is wrong is worse than none: every example is parsed by the parser that people meet."""

from __future__ import annotations

import pytest
import yaml
from knack.help_files import helps

import azext_acrimport._help  # noqa: F401  registers the pages

PAGES = {name: yaml.safe_load(text) for name, text in helps.items() if name.startswith("acr import")}
EXAMPLES = [
    pytest.param(example["text"], id=example["name"]) for page in PAGES.values() for example in page["examples"]
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_help_example_is_parsed(text, parse):
    """The words of the example are options and values that exist."""
    assert parse(text).command in PAGES


@pytest.mark.parametrize("command", ["acr import", "acr import-batch"])
def test_help_shows_every_option(parse, cli_ctx, command):
    """An option that no example shows is an option that nobody finds; those of core and of az are known."""
    arguments = cli_ctx.invocation.commands_loader.command_table[command].arguments
    options = {names[0] for argument in arguments.values() if (names := argument.type.settings.get("options_list"))}
    texts = [example["text"] for example in PAGES[command]["examples"]]
    options -= {"--__BATCH"}  # what the validator makes of all of them
    shown = {word for text in texts for word in text.split() if word.startswith("--")}
    assert options <= shown
