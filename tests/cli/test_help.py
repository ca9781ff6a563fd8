# SPDX-License-Identifier: MIT
"""Help that is wrong is worse than none: every example is parsed by the parser that people meet, and every page keeps
the rules that azdev's linter has for extensions (https://github.com/Azure/azure-cli-dev-tools).
"""

from __future__ import annotations

import re
import sys

import pytest
import yaml
from knack.help_files import helps

import azext_acrimport._help  # noqa: F401  registers the pages

PAGES = {name: yaml.safe_load(text) for name, text in helps.items() if name.startswith("acr import")}
EXAMPLES = [
    pytest.param(name, example["text"], id=example["name"])
    for name, page in PAGES.items()
    for example in page["examples"]
]
COMMAND = re.compile(r"\baz acr import(?:-batch|-wait)? [^|)\n]*")
# az indents examples by eight; what is no wider than this stands whole on 80 columns as well
WIDEST = 72
# One option of them at least is no longer; a text in angle brackets is a tag to the web pages that are made of it.
LONGEST_OPTION = 22
TAG = re.compile(r"<[^<>\n]+>")
# what the validator makes of all options, and what az itself has
NOT_OURS = {"batch", "cmd", "acquire_policy_token", "change_reference", "subscription"}


@pytest.mark.parametrize(("page", "text"), EXAMPLES)
def test_help_example_is_parsed(page, text, parse, tmp_path, monkeypatch):
    """The words of the example are options and values that exist; a password is never among them. After wrong usage az
    shows it on one line, which can be typed as well.
    """
    monkeypatch.chdir(tmp_path)
    for name in ("token", "password"):
        (tmp_path / f"{name}.txt").write_text("secret")
    commands = COMMAND.findall(text.replace("\\\n", " "))
    assert all(line.endswith(("\\", "|", "&&")) for line in text.strip().splitlines()[:-1])
    assert f"az {page} " in text and commands
    for command in commands:
        given = parse(command)
        assert given.command in PAGES
    assert all(word.startswith("@") for word in re.findall(r"--password (\S+)", text))
    assert max(map(len, text.splitlines())) <= WIDEST


@pytest.mark.parametrize("page", PAGES)
def test_page_says_in_one_line_what_it_is_about(page):
    """And so does each example."""
    assert len(PAGES[page]["short-summary"]) < 110
    for entry in PAGES[page]["examples"]:
        assert len(entry["name"]) <= WIDEST + 4, entry


@pytest.mark.parametrize("command", ["acr import", "acr import-batch"])
def test_help_shows_every_option(parse, cli_ctx, command):
    """An option that no example shows is an option that nobody finds; those of core and of az are known."""
    arguments = cli_ctx.invocation.commands_loader.command_table[command].arguments
    options = {names[0] for argument in arguments.values() if (names := argument.type.settings.get("options_list"))}
    texts = [example["text"] for example in PAGES[command]["examples"]]
    options -= {"--__BATCH"}  # what the validator makes of all of them
    shown = {word for text in texts for word in text.split() if word.startswith("--")}
    assert options <= shown


@pytest.mark.parametrize("command", PAGES)
def test_options_keep_the_rules_of_azs_linter(parse, cli_ctx, command):
    """Each has help, a long name and a group; no name is long, oddly written, or a resource group's but one."""
    arguments = cli_ctx.invocation.commands_loader.command_table[command].arguments
    ours = {name: argument for name, argument in arguments.items() if name not in NOT_OURS}
    for name, argument in ours.items():
        settings = argument.type.settings
        options, group = settings.get("options_list") or [f"--{name.replace('_', '-')}"], settings.get("arg_group")
        assert settings.get("help") and not TAG.search(re.sub("`[^`]*`", "", settings["help"])), name
        assert all(option.startswith("--") or len(option) == 2 for option in options), name
        assert min(len(option.lstrip("-")) for option in options) <= LONGEST_OPTION, name
        assert not any("_" in option for option in options), name
        assert name == "resource_group_name" or not any(option.endswith("resource-group") for option in options), name
        required = name in ("registry_name", "source_image") or command == "acr import-wait"
        assert required or group in ("Source", "Target", "Content", "Engine", "Output"), name


@pytest.mark.parametrize(("columns", "width"), [(200, 100), (100, 100), (80, 80), (None, 100)])
@pytest.mark.parametrize("command", PAGES)
def test_page_is_as_wide_as_its_reader_sees(request, cli_ctx, command, columns, width, capsys, monkeypatch):
    """No wider than a terminal, and than az makes it. Lines break at hyphens, and half of an option or of
    docker-archive: is nothing that can be looked for.
    """
    long = [PAGES[command]["long-summary"], *(entry["long-summary"] for entry in PAGES[command].get("parameters", ()))]
    monkeypatch.setenv("COLUMNS", str(columns or 80))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: columns is not None)
    parse = request.getfixturevalue("parse")
    loader = cli_ctx.invocation.commands_loader
    loader.cmd_to_loader_map = {name: [loader] for name in loader.command_table}
    with pytest.raises(SystemExit):
        parse(f"az {command} -h")
    page = capsys.readouterr().out.splitlines()
    assert "Target Arguments" in page or command == "acr import-wait"
    assert not [line for line in page if re.search(r"\w-$", line)]
    assert set(" ".join(long).split()) <= set(" ".join(page).split())
    assert width - 8 < max(map(len, page)) <= width


def test_options_that_have_values_to_offer_offer_them(parse, cli_ctx):
    """Registries, platforms, files."""
    table = cli_ctx.invocation.commands_loader.command_table
    for command, names in {
        "acr import": ("registry_name", "source_registry", "platform"),
        "acr import-batch": ("registry_name", "source_registry", "platform", "file", "report"),
    }.items():
        for name in names:
            assert callable(table[command].arguments[name].type.settings["completer"]), name


@pytest.mark.parametrize(
    "words",
    ["docker.io/library", "docker.io/contoso/app:1.0 --username", "mcr.microsoft.com", "mysourceregistry.azurecr.io",
     "--registry $id", "closed to the public", "web@$digest", "service principal", "--username puller",
     "--password @token.txt", "registry.contoso.com:5000", "ghcr.io/contoso/charts", ".eastus.geo.",
     "--source myregistry.azurecr.io", "--file -",
     "oci-archive:", "docker-archive:", "az cloud set"],
)  # fmt: skip
def test_situation_has_an_example(words):
    """Of each kind of source, of signing in, of target."""
    assert any(words in f"{entry['name']} {' '.join(entry['text'].replace(chr(92), ' ').split())}"
               for page in PAGES.values() for entry in page["examples"])  # fmt: skip
