# SPDX-License-Identifier: MIT
"""Options of a batch and its file, put together; what contradicts itself ends here, before anything is asked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from azext_acrimport import _batch_validator as batch_validator
from azext_acrimport import _validators as validators
from azext_acrimport._batch_validator import validate_batch
from azext_acrimport.output import errors

HUB = "--source docker.io/library/alpine"
FILE = """
version: 1
target: other.azurecr.io
defaults: {platforms: [linux/amd64]}
imports: [{source: ghcr.io/a/b, tags: ["1"]}, {source: docker.io/c, target: x}]
registries:
  ghcr.io: {username: bot, passwordEnv: GHCR}
  quay.io: {username: bot, passwordEnv: NOT_SET}
  empty.test: {username: bot, passwordFile: empty.txt}
  nothing.test: {username: bot, passwordFile: nothing.txt}
  folder.test: {username: bot, passwordFile: .}
"""


@pytest.fixture
def checked(parse, cli_ctx, tmp_path, monkeypatch):
    """A function from the words after ``az acr import-batch`` to the options; FILE stands for a batch file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GHCR", "ghcr-secret")
    (tmp_path / "batch.yaml").write_text(FILE)
    (tmp_path / "wrong.yaml").write_text(FILE.replace("other.azurecr.io", "x!"))
    (tmp_path / "sync.yaml").write_text("sync: [{source: old.test, target: other.azurecr.io, type: registry}]")
    (tmp_path / "empty.txt").write_text("\r\n")

    def checked(words: str, **config: str):
        for name, value in config.items():
            cli_ctx.config.set_value("acrimport", name, value)
        namespace = parse(f"az acr import-batch {words}")
        validate_batch(SimpleNamespace(cli_ctx=cli_ctx), namespace)
        return namespace.batch

    return checked


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (f"-n MyRegistry {HUB}", lambda o: o.registry_name == "myregistry"),
        ("--file batch.yaml", lambda o: o.registry_name == "other.azurecr.io"),
        ("-n myregistry --file batch.yaml", lambda o: o.registry_name == "myregistry"),
        (f"-n myregistry --file batch.yaml {HUB}", lambda o: [w.repository for w in o.wanted] == ["library/alpine",
         "a/b", "library/c"]),
        (f"-n myregistry {HUB} {HUB} --source docker.io/alpine:3", lambda o: len(o.wanted) == 2),
        ("--file batch.yaml --tags 2", lambda o: [[p.text for p in w.selection.tags] for w in o.wanted] == [["1"],
         ["2"]]),
        ("--file batch.yaml --exclude 3 --newest 4", lambda o: {(s.exclude[0].text, s.newest) for w in o.wanted for s in
         [w.selection]} == {("3", 4)}),
        ("-n myregistry -r source", lambda o: (o.wanted[0].name, o.source_registry) == ("", "source")),
        ("-n myregistry -r source --source a:1", lambda o: (o.wanted[0].repository, o.wanted[0].tag) == ("a", "1")),
        ("-n myregistry -r localhost:5000 --source localhost:5000/a:1", lambda o: o.wanted[0].repository == "a"),
        ("-n myregistry -r source --source Source.azurecr.io/a:1", lambda o: o.wanted[0].repository == "a"),
        (f"-n myregistry {HUB} --prefix MyRegistry.azurecr.io/base/", lambda o: o.naming.prefix == "base/"),
        (f"-n myregistry {HUB} --force", lambda o: o.on_conflict == "overwrite"),
        (f"-n myregistry {HUB}", lambda o: (o.on_conflict, o.referrers, o.shard) == ("fail", None, None)),
        (f"-n myregistry {HUB} --shard 2/3", lambda o: o.shard == (2, 3)),
        (f"-n myregistry {HUB} --platform linux/amd64,linux/arm64", lambda o: len(o.platforms) == 2),
        (f"-n myregistry {HUB} -u bob -p secret", lambda o: o.sign_ins["docker.io"].password == "secret"),
        ("-n myregistry -r source -u bob -p secret", lambda o: o.sign_ins["source"].username == "bob"),
        ("--file batch.yaml", lambda o: o.sign_ins["ghcr.io"].variable == "GHCR"),
    ],
)  # fmt: skip
def test_options_and_file_are_put_together(checked, words, found):
    """What is typed comes first; of a registry that nothing is read from, no secret is wanted."""
    assert found(checked(words))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (HUB, "The target registry is missing"),
        ("-n myregistry", "nothing to import"),
        (f"-n my_registry {HUB}", "is not a registry"),
        ("-n myregistry --source oci:folder", "a batch reads registries"),
        (f"-n myregistry {HUB} --newest 0", "--newest takes 1 or more"),
        (f"-n myregistry {HUB} --tags '/(/'", "not a regular expression"),
        (f"-n myregistry {HUB} --shard 0/3", "is not I/N"),
        (f"-n myregistry {HUB} --shard ''", "is not I/N"),
        (f"-n myregistry {HUB} --jobs 65", "from 1 to 64"),
        (f"-n myregistry {HUB} --timeout 0", "--timeout takes seconds"),
        (f"-n myregistry {HUB} --force --on-conflict fail", "Leave one of them out"),
        (f"-n myregistry {HUB} -u bob", "A user name needs a password"),
        (f"-n myregistry {HUB} --source quay.io/a -u bob -p secret", "are for one registry"),
        (f"-n myregistry {HUB} --platform linux/amd64 --engine service", "imports all platforms"),
        ("-n myregistry --file batch.yaml --engine service", "the file asks for some"),
        ("-n myregistry --file batch.yaml --source quay.io/a", "NOT_SET is not set"),
        ("-n myregistry --file batch.yaml -r quay.io --source a", "NOT_SET is not set"),
        ("-n myregistry --file batch.yaml --source empty.test/a", "empty.txt is empty"),
        ("-n myregistry --file batch.yaml --source nothing.test/a", "nothing.txt cannot be read"),
        ("-n myregistry --file batch.yaml --source folder.test/a", "passwordFile: . cannot be read"),
        ("--file wrong.yaml", "wrong.yaml:3: target: 'x!' is not a registry"),
        ("-n myregistry --file missing.yaml", "cannot be read"),
        (f"-n myregistry --file '' {HUB}", "--file: '' cannot be read"),
        (f"-n myregistry {HUB} --report ''", "ends neither in .json nor in .xml"),
        (f"-n myregistry {HUB} --prefix other.azurecr.io/base/", "--prefix base/"),
        ("-n myregistry --file sync.yaml", "are in registries other than myregistry"),
        (f"-n myregistry {HUB} --report folder/report.xml", "cannot be written"),
    ],
)
def test_what_contradicts_itself_is_wrong_usage(checked, monkeypatch, words, said):
    """And no secret is in what is said."""

    def end(*told: str):
        raise SystemExit(" ".join(told))

    monkeypatch.setattr(errors, "exit_for_usage", end)
    with pytest.raises(SystemExit) as ended:
        checked(words)
    assert said in str(ended.value) and "secret" not in str(ended.value).replace("a secret", "")


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("other", True),
        ("OTHER.azurecr.io", True),
        ("other-h4sh.azurecr.io", True),
        ("other.eastus.geo.azurecr.io", True),
        ("/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/Other", True),
        ("another", False),
        ("other.test", False),
        ("other.azurecr.io:443", True),
        ("other.azurecr.io:5000", False),
        ("localhost:5000", False),
    ],
)
def test_target_that_the_file_names_otherwise_is_said(checked, monkeypatch, name, same):
    """A registry under another of its names is no difference."""
    said = []
    monkeypatch.setattr(batch_validator.logger, "warning", lambda *words: said.append(words))
    checked(f"-n {name} --file batch.yaml")
    assert (said == []) == same


def test_destination_in_the_target_is_not_worth_a_word(checked, monkeypatch):
    """Files of other tools name it with each image."""
    said = []
    monkeypatch.setattr(validators.logger, "warning", lambda *words: said.append(words))
    assert checked("-n other --file sync.yaml").wanted[0].name == "old.test"
    assert said == []


def test_password_of_the_environment_is_for_one_registry(checked, monkeypatch, tmp_path):
    """It is a default, and never shown to a second one."""
    monkeypatch.setenv("ACRIMPORT_SOURCE_USERNAME", "bob")
    monkeypatch.setenv("ACRIMPORT_SOURCE_PASSWORD", "secret")
    assert checked(f"-n myregistry {HUB}").sign_ins["docker.io"].username == "bob"
    assert checked(f"-n myregistry {HUB} --source quay.io/a:1").sign_ins == {}
    (tmp_path / "one.yaml").write_text(FILE.replace(", {source: docker.io/c, target: x}", ""))
    assert checked("--file one.yaml").sign_ins["ghcr.io"].variable == "GHCR"
    assert checked("--file one.yaml -u eve -p other").sign_ins["ghcr.io"].username == "eve"


def test_configured_engine_gives_way_to_platforms_of_the_file(checked, tmp_path):
    """As it does to those of the command line; elsewhere it counts."""
    assert checked("--file batch.yaml", engine="service").engine == "auto"
    (tmp_path / "whole.yaml").write_text(FILE.replace("platforms: [linux/amd64]", ""))
    assert checked("--file whole.yaml").engine == "service"


def test_configured_target_gives_way_to_the_file(cli_ctx, request):
    """It is for who says nothing."""
    cli_ctx.config.set_value("defaults", "acr", "configured")  # az reads it when it declares the options
    checked = request.getfixturevalue("checked")
    assert checked("--file batch.yaml").registry_name == "other.azurecr.io"
    assert checked(HUB).registry_name == "configured"


def test_report_takes_its_place_last(checked, tmp_path):
    """Nothing is left of it where another option is wrong."""
    options = checked(f"-n myregistry {HUB} --report report.xml")
    assert len([path for path in tmp_path.iterdir() if "report" in path.name]) == 1
    options.report.close()
    with pytest.raises(SystemExit):
        checked("-n myregistry --file batch.yaml --source quay.io/a --report report.xml")
    assert not [path for path in tmp_path.iterdir() if "report" in path.name]
