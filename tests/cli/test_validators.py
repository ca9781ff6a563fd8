# SPDX-License-Identifier: MIT
"""Command lines, and what the handler is given of them; what is typed wrong ends here, before anything is asked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from azext_acrimport._validators import validate_import
from azext_acrimport.output import errors

DIGEST = "sha256:" + "0" * 64
PROVIDER = "providers/Microsoft.ContainerRegistry/registries"
ID = f"/subscriptions/s/resourceGroups/g/{PROVIDER}/myregistry"
HUB = "--source docker.io/library/alpine:3"


@pytest.fixture
def validated(parse, cli_ctx):
    """A function from the words after ``az acr import`` to the checked namespace."""

    def validated(words: str, **config: str):
        for name, value in config.items():
            cli_ctx.config.set_value("acrimport", name, value)
        namespace = parse(f"az acr import {words}")
        validate_import(SimpleNamespace(cli_ctx=cli_ctx), namespace)
        return namespace

    return validated


@pytest.fixture
def refused(validated, monkeypatch):
    """A function from the words, which are wrong, to what is said of them."""

    def end(*said: str):
        raise SystemExit(" ".join(said))

    def refused(words: str, **config: str) -> str:
        with pytest.raises(SystemExit) as ended:
            validated(words, **config)
        return str(ended.value)

    monkeypatch.setattr(errors, "exit_for_usage", end)
    return refused


@pytest.mark.parametrize(
    ("words", "member", "value"),
    [
        (f"-n MyRegistry {HUB}", "registry_name", "myregistry"),
        (f"-n https://MyRegistry.azurecr.io/ {HUB}", "registry_name", "myregistry.azurecr.io"),
        (f"-n {ID}/ {HUB}", "registry_name", ID),
        (f"-n '{ID}\r' {HUB}", "registry_name", ID),
        (f"-n MyRegistry.azurecr.io:443 {HUB}", "registry_name", "myregistry.azurecr.io"),
        (f"-n index.docker.io {HUB}", "registry_name", "docker.io"),
        (f"-n [::1]:5000 {HUB}", "registry_name", "[::1]:5000"),
        (f"-n myregistry --source app:1 -r {ID}", "source_registry", ID),
        (f"-n myregistry {HUB} -t app:1 -t app", "target_tags", [("app", "1"), ("app", None)]),
        (f"-n myregistry {HUB} -t myregistry.azurecr.io/app:1", "target_tags", [("app", "1")]),
        (f"-n myregistry {HUB} -t MyRegistry-x1y2.azurecr.io/app:1", "target_tags", [("app", "1")]),
        (f"-n {ID} {HUB} -t myregistry.azurecr.io/app:1", "target_tags", [("app", "1")]),
        (f"-n myregistry {HUB} -t myregistry.azurecr.io:443/app:1", "target_tags", [("app", "1")]),
        (f"-n localhost:5000 {HUB} -t localhost:5000/app:1", "target_tags", [("app", "1")]),
        (f"-n myregistry {HUB} -t docker.io/library/app:1", "target_tags", [("docker.io/library/app", "1")]),
        (f"-n myregistry {HUB} -t myregistry/app:1", "target_tags", [("myregistry/app", "1")]),
        (f"-n myregistry {HUB} --repository app --repository b", "repository", ["app", "b"]),
        (f"-n myregistry {HUB} -u bob -p secret", "password", "secret"),
        (f"-n myregistry {HUB} --timeout 1.5", "timeout", 1.5),
        (f"-n myregistry {HUB} --jobs 64", "jobs", 64),
        (f"-n myregistry {HUB}", "engine", "auto"),
    ],
)
def test_value(validated, words, member, value):
    """In the form that the handler wants."""
    assert getattr(validated(words), member) == value


@pytest.mark.parametrize(
    ("registry", "source", "image"),
    [
        ("myregistry", "MyRegistry.azurecr.io/app:1", "app:1"),
        ("myregistry", "myregistry-x1y2.azurecr.io/app:1", "app:1"),
        ("myregistry.eastus.geo.azurecr.io", "myregistry.eastus.geo.azurecr.io/app", "app"),
        (ID, "myregistry.azurecr.io/app:1", "app:1"),
        ("localhost:5000", "localhost:5000/app:1", "app:1"),
        ("myregistry.azurecr.io:443", "myregistry.azurecr.io:443/app:1", "app:1"),
        ("myregistry", "myregistry/app:1", "myregistry/app:1"),
        ("myregistry", "docker.io/library/app:1", "docker.io/library/app:1"),
    ],
)
def test_source_without_the_registry_that_registry_names(validated, registry, source, image):
    """Cut by whichever of its names; a bare name and another host are parts of the repository."""
    assert validated(f"-n myregistry -r {registry} --source {source}").source_image.text == image


@pytest.mark.parametrize(
    ("words", "platforms"),
    [
        ("", []),
        ("--platform linux/amd64,linux/arm/v7 --platform linux/s390x", "linux/amd64 linux/arm/v7 linux/s390x"),
        ("--platform linux/amd64,Linux/x86_64", "linux/amd64"),
    ],
)
def test_platforms(validated, words, platforms):
    """Once or often, with commas or without."""
    expected = platforms.split() if platforms else []
    assert [str(platform) for platform in validated(f"-n myregistry {HUB} {words}").platform] == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        # registries
        (f"-n my {HUB}", "--name: 'my' is not a registry"),
        (f"-n {'a' * 260}.test {HUB}", "is not a registry"),
        (f"-n my_registry {HUB}", "--name: 'my_registry' is not a registry"),
        (f"-n /subscriptions/s {HUB}", "is not the resource ID of a container registry"),
        (f"-n {ID.replace('ContainerRegistry/registries', 'Storage/storageAccounts')} {HUB}", "is not the resource ID"),
        (f"-n {ID}/tasks/t {HUB}", "is not the resource ID"),
        ("-n myregistry --source app:1 -r my/registry", "--registry: 'my/registry' is not a registry"),
        (
            "-n myregistry --source app:1 -r /subscriptions/s/x",
            "--registry: '/subscriptions/s/x' is not the resource ID",
        ),
        # the source
        ("-n myregistry --source alpine", "registry/repository:tag"),
        ("-n myregistry --source mysourceregistry/app:1", "--source mysourceregistry.azurecr.io/app:1, or"),
        ("-n myregistry --source ./app.tar", "docker-archive:./app.tar"),
        ("-n myregistry --source app.tgz", "oci-archive:app.tgz"),
        ("-n myregistry --source localhost:5001/app:1 -r localhost:5000", "is not an image reference"),
        (f"-n myregistry --source {'a' * 240} -r {ID}", "longer than 255 characters"),
        ("-n myregistry --source docker.io/App:1", "is not an image reference"),
        (f"-n myregistry --source docker.io/app@{DIGEST[:-1]}", "is not an image reference"),
        # credentials
        (f"-n myregistry {HUB} -u bob", "A user name needs a password"),
        (f"-n myregistry {HUB} -u bob -p ''", "--password is empty"),
        (f"-n myregistry {HUB} -p ''", "--password is empty"),
        (f"-n myregistry {HUB} -p '\n'", "--password is empty"),
        (f"-n myregistry {HUB} -u bob -p @nowhere", "the file 'nowhere' cannot be read"),
        ("-n myregistry --source oci:dir:v1 -t a:1 -u bob -p x", "Files need no --username and --password"),
        # engine
        (f"-n myregistry {HUB} --no-wait --engine embedded", "--no-wait needs --engine service"),
        (f"-n myregistry {HUB} --platform linux/amd64 --engine service", "imports all platforms"),
        ("-n myregistry --source oci:dir:v1 -t a:1 --engine service", "cannot read files of this machine"),
        ("-n myregistry --source oci:dir:v1 -t a:1 --no-wait", "cannot read files of this machine"),
        # numbers
        (f"-n myregistry {HUB} --timeout 0", "--timeout takes seconds"),
        (f"-n myregistry {HUB} --timeout nan", "--timeout takes seconds"),
        (f"-n myregistry {HUB} --timeout inf", "--timeout takes seconds"),
        (f"-n myregistry {HUB} --jobs 0", "--jobs takes a number from 1 to 64"),
        (f"-n myregistry {HUB} --jobs 65", "For example: --jobs 8"),
        # targets
        (f"-n myregistry {HUB} -t app:1@{DIGEST}", "a target has a tag, never a digest"),
        (f"-n myregistry {HUB} -t App:1", "Write it as repository:tag"),
        (f"-n myregistry {HUB} --repository app:1", "For a tag: --image app:1"),
        (f"-n myregistry {HUB} -t https://myregistry.azurecr.io/app:1", "is not a tag"),
        (f"-n myregistry {HUB} -t other.azurecr.io/app:1", "--name other.azurecr.io --image app:1"),
        (f"-n myregistry {HUB} --repository other.azurecr.io/app", "--name other.azurecr.io --repository app"),
        (f"-n myregistry {HUB} --platform linux", "os/architecture[/variant]"),
        ("-n myregistry --source oci:dir:v1", "names no repository for the target"),
    ],
)
def test_wrong_usage(refused, words, said):
    """Message and hint are about the option that is wrong."""
    assert said in refused(words)


@pytest.mark.parametrize(
    ("words", "engine"),
    [
        (f"-n myregistry {HUB}", "service"),
        (f"-n myregistry.azurecr.io {HUB}", "service"),
        (f"-n {ID} {HUB}", "service"),
        (f"-n myregistry {HUB} --engine embedded", "embedded"),
        (f"-n localhost:5000 {HUB}", "auto"),
        (f"-n myregistry {HUB} --platform linux/amd64", "auto"),
        ("-n myregistry --source oci:dir:v1 -t a:1", "auto"),
        (f"-n myregistry {HUB} --no-wait", "auto"),
    ],
)
def test_configured_engine_gives_way(validated, words, engine):
    """Where the command line leaves only one, whatever it is; and what is empty is not configured."""
    assert validated(words, engine="Service").engine == engine
    if engine != "service":
        assert validated(words, engine="fast").engine == engine
    empty = validated(f"-n myregistry {HUB}", engine="", jobs="")
    assert (empty.engine, empty.jobs) == ("auto", None)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("engine", "fast", "acrimport.engine is configured as 'fast'"),
        ("jobs", "many", "acrimport.jobs is configured as 'many'"),
        ("jobs", "²", "acrimport.jobs is configured as '²'"),
        ("jobs", "①", "az config set acrimport.jobs=8"),
        ("jobs", "9" * 5000, "az config set acrimport.jobs=8"),
        ("jobs", "0", "az config set acrimport.jobs=8"),
    ],
)
def test_wrong_configuration_names_its_key(refused, name, value, said):
    """Nobody has typed it just now."""
    assert said in refused(f"-n myregistry {HUB}", **{name: value})


def test_wrong_usage_ends_with_exit_code_2(validated):
    """As az's own parser does."""
    with pytest.raises(SystemExit) as ended:
        validated(f"-n my {HUB}")
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("words", "pair"),
    [
        (f"-n myregistry {HUB}", ("env-bob", "env-secret")),
        (f"-n myregistry {HUB} -u bob", ("bob", "env-secret")),
        (f"-n myregistry {HUB} -p token", (None, "token")),
        (f"-n myregistry {HUB} -u bob -p secret", ("bob", "secret")),
        (f"-n myregistry {HUB} -u '' -p ''", ("", "")),
        ("-n myregistry --source oci:dir:v1 -t a:1", (None, None)),
    ],
)
def test_credentials_of_the_environment(validated, monkeypatch, words, pair):
    """Where none are given, a password beside a user name, and nothing for files."""
    monkeypatch.setenv("ACRIMPORT_SOURCE_USERNAME", "env-bob")
    monkeypatch.setenv("ACRIMPORT_SOURCE_PASSWORD", "env-secret\n")
    namespace = validated(words)
    assert (namespace.username, namespace.password) == pair
