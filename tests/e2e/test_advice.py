# SPDX-License-Identifier: MIT
"""Each command line that an error advises is typed as it is printed, and does what it says.

The sources are read for what they advise, so that a new advice needs a row here.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import azext_acrimport
from azext_acrimport.service.operation import MAX_FAILURES
from tests.sandbox import images
from tests.sandbox.registry import failure
from tests.sandbox.world import (
    ALL,
    FOREIGN_SUBSCRIPTION,
    FOREIGN_TENANT,
    OWNER,
    PULL,
    READER,
    SUBSCRIPTION,
    USER,
    AzureRegistry,
    ServiceFault,
)
from tests.support.az import Az, Result
from tests.support.content import tag_digest
from tests.support.layouts import layout_files, write_tar

ACCEPTED = '{"status":"Accepted"}'
HELLO = ("--source", "mcr.microsoft.com/hello-world")
# up to the end of a sentence, or of a part of it
COMMAND = re.compile(r"\b(?:az|docker|podman|tar) (?:(?![.,;] ).)+")
# help pages hold examples, which have a test of their own
HELP = ("_help.py", "_params.py")


def texts(source: str) -> Iterator[str]:
    """What a module may say; {} for what is filled in."""
    tree = ast.parse(source)
    scopes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, scopes)]
    silent = {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            silent |= {id(part) for part in ast.walk(node)} - {id(node)}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield re.sub(r"\{\w+\}", "{}", node.value).replace("{{", "{").replace("}}", "}")


def commands(text: str) -> list[str]:
    """The command lines in it. What has neither option nor value is a name of something, but for two."""
    found = [match[0].rstrip(".") for match in COMMAND.finditer(text)]
    return [line for line in found if re.search(" --|=| [A-Z]+$", line) or line in ("az login", "docker login")]


def advised() -> set[str]:
    """All that the program advises to type."""
    modules = Path(azext_acrimport.__file__).parent.rglob("*.py")
    return {
        line
        for module in modules
        if module.name not in HELP
        for text in texts(module.read_text(encoding="utf-8"))
        for line in commands(text)
    }


class Desk:
    """Where somebody sits who reads an error and types what it advises; signed in as the owner of everything."""

    def __init__(self, sandbox, az: Az, run: Callable[..., Result], template: str) -> None:
        self.sandbox = sandbox
        self.world = sandbox.world
        self.az = az
        self.run = run
        self.folder = az.folder
        self._template = template

    def imports(self, *words: str) -> Result:
        """az acr import; 0 is wanted."""
        result = self.run("acr", "import", *words)
        assert result.code == 0, result.stderr
        return result

    def advised(self, *words: str, command: str = "import", result: Result | None = None) -> str:
        """The command line that this import, which must fail, advises."""
        result = result or self.run("acr", command, *words)
        assert result.code, "it did not fail"
        said = json.loads(result.stdout)["error"]["recommendation"] if result.stdout else result.stderr
        return self.found(" ".join(said.split()))

    def found(self, said: str) -> str:
        """As it is printed."""
        pattern = re.escape(self._template).replace(r"\{\}", r"""(?:'[^']*'|"[^"]*"|[^\s'"]+)""")
        found = re.search(f"{pattern}(?=[.,]? |[.]?$)", said)
        assert found, said
        return found[0]

    def types(self, line: str, *, succeeds: bool = True, **named: str) -> Result:
        """As it is, but for what stands in capitals for what only a person knows; a shell's $(...) and > are ours."""
        for name, value in named.items():
            line = re.sub(rf"\b{name}\b", value, line)
        line, _, file = line.partition(" > ")
        line = re.sub(r"\$\((.+)\)", lambda inner: self.types(inner[1]).stdout.strip(), line)
        words = shlex.split(line)
        assert words.pop(0) == "az"
        result = self.run(*words)
        if file:
            (self.folder / file).write_text(result.stdout)
        assert not succeeds or result.code == 0, result.stderr
        return result


ROWS: dict[str, Callable[[Desk], None]] = {}
# What no sandbox can show: a person at a browser or at a password prompt, and programs that are not ours.
BEYOND = {
    "docker login": "Docker and its password prompt",
    "docker buildx imagetools inspect IMAGE": "Docker",
}


def advice(template: str) -> Callable[[Callable[[Desk], None]], Callable[[Desk], None]]:
    """The function brings an error about that advises this, types it, and shows what it is good for."""

    def row(function: Callable[[Desk], None]) -> Callable[[Desk], None]:
        ROWS[template] = function
        return function

    return row


@advice(
    "az account get-access-token --tenant TENANT --resource https://containerregistry.azure.net --query accessToken "
    "--output tsv > token.txt"
)
def source_of_another_tenant(desk: Desk) -> None:
    desk.world.guests[FOREIGN_TENANT] = {OWNER.id}
    desk.sandbox.add_registry(
        AzureRegistry(
            "guestregistry", tenant=FOREIGN_TENANT, subscription=FOREIGN_SUBSCRIPTION, rights={OWNER.id: PULL}
        )
    )
    images.image("guest").push(desk.sandbox.content("guestregistry.azurecr.io"), "app", "1")
    words = ("-n", "myregistry", "--source", "guestregistry.azurecr.io/app:1", "-t", "guest:1")
    desk.types(desk.advised(*words), TENANT=FOREIGN_TENANT)
    desk.imports(*words, "--password", "@token.txt")


@advice("az login")
def nobody_is_signed_in(desk: Desk) -> None:
    """Here without a browser, so with a code that the sandbox takes for typed in."""
    words = ("-n", "myregistry", *HELLO, "-t", "signed/in:1")
    desk.types("az logout --username " + OWNER.id)
    desk.types(desk.advised(*words))
    desk.imports(*words)


@advice("az account list --output table")
def subscription_that_az_does_not_know(desk: Desk) -> None:
    words = ("-n", "myregistry", *HELLO, "-t", "subscription:1", "--subscription")
    listed = desk.types(desk.advised(*words, "nosuch")).stdout
    account = json.loads(desk.types("az account show --output json").stdout)
    assert account["name"] in listed and account["id"] in listed
    desk.imports(*words, account["name"])


@advice("az login --tenant TENANT")
def target_of_another_tenant(desk: Desk) -> None:
    desk.world.guests[FOREIGN_TENANT] = {USER.id}
    desk.sandbox.add_registry(
        AzureRegistry("theirregistry", tenant=FOREIGN_TENANT, subscription=FOREIGN_SUBSCRIPTION, rights={USER.id: ALL})
    )
    words = ("-n", "theirregistry.azurecr.io", *HELLO, "-t", "their:1")
    desk.types(desk.advised(*words), TENANT=FOREIGN_TENANT)
    desk.imports(*words)


@advice('az role assignment create --role "{}" --assignee {} --scope $(az acr show --name {} --query id --output tsv)')
def right_to_push_is_missing(desk: Desk) -> None:
    desk.sandbox.sign_in(desk.az.config, READER)
    line = desk.advised("-n", "myregistry", *HELLO, "-t", "role:1")
    desk.sandbox.sign_in(desk.az.config)
    is_asked_for_at(desk, line, "myregistry")


@advice(
    'az role assignment create --role "Container Registry Data Importer and Data Reader" --assignee {} '
    "--scope $(az acr show --name {} --query id --output tsv)"
)
def role_at_the_source_is_missing(desk: Desk) -> None:
    is_asked_for_at(desk, service_says(desk, 403, "LinkedAuthorizationFailed", "linked scope(s)"), "mysourceregistry")


def is_asked_for_at(desk: Desk, line: str, registry: str) -> None:
    """The sandbox assigns no roles: az has understood the words, has the registry's ID, and asks who that may be.

    Its answer to words that it does not take is 2.
    """
    mark = desk.sandbox.log.mark()
    result = desk.types(line, succeeds=False, IDENTITY=OWNER.id)
    assert result.code == 1 and "graph.microsoft.com" in result.stderr
    assert desk.sandbox.log.find(since=mark, path=desk.world.registries[registry].id)


def service_says(desk: Desk, status: int, code: str, text: str) -> str:
    """The advice after an import by the service, whose operation ends so."""
    desk.world.service_faults = [ServiceFault(failed=(status, code, text))]
    words = ("--source", "mysourceregistry.azurecr.io/app/web:v1", "--engine", "service", "-t", "service:1")
    return desk.advised("-n", "myregistry", *words)


@advice("tar --list --file {}")
def archive_without_what_was_asked_for(desk: Desk) -> None:
    """Also where its name has a blank."""
    archive = desk.folder / "two words.tar"
    write_tar(archive, layout_files((images.image("archived"), "1")))
    line = desk.advised("-n", "myregistry", "--source", f"oci-archive:{archive}:2", "-t", "archived:1")
    listed = subprocess.run(shlex.split(line), check=True, capture_output=True, text=True).stdout
    assert "index.json" in listed


SHOW = 'az acr show --name {} --query "{public:publicNetworkAccess,rules:networkRuleSet}"'


@advice(SHOW)
def registry_behind_a_firewall(desk: Desk) -> None:
    line = desk.advised("-n", "closedregistry", *HELLO, "--engine", "embedded")
    assert desk.types(line).json["public"] == "Disabled"


@advice("az acr repository show-tags --name {} --repository {}")
def tag_that_is_not_there(desk: Desk) -> None:
    words = ("-n", "myregistry", "-t", "shown:1", "--source")
    line = desk.advised(*words, "mysourceregistry.azurecr.io/app/web:v9")
    (tag,) = desk.types(line).json
    desk.imports(*words, f"mysourceregistry.azurecr.io/app/web:{tag}")


def locked(desk: Desk, name: str) -> tuple[str, ...]:
    """An import that a lock refuses."""
    images.image("locked").push(desk.sandbox.content("mysourceregistry.azurecr.io"), "locked", "1")
    desk.imports("-n", "myregistry", *HELLO, "-t", "locked:1", "--force")
    desk.world.registries["myregistry"].attributes = {name: {"writeEnabled": False}}
    return "-n", "myregistry", "--source", "mysourceregistry.azurecr.io/locked:1", "--force"


@advice("az acr repository update --name {} --repository {} --write-enabled true")
def repository_that_is_locked(desk: Desk) -> None:
    words = locked(desk, "locked")
    desk.types(desk.advised(*words))
    assert desk.imports(*words).json["status"] == "updated"


@advice("az acr repository update --name {} --image {} --write-enabled true")
def tag_that_is_locked(desk: Desk) -> None:
    words = locked(desk, "locked:1")
    desk.types(desk.advised(*words))
    assert desk.imports(*words).json["status"] == "updated"


@advice("az acr manifest restore --registry {} --name {} --digest {}")
def manifest_that_was_deleted(desk: Desk) -> None:
    registry = desk.world.registries["myregistry"]
    digest = tag_digest(desk.sandbox.content("mcr.microsoft.com"), "hello-world", "latest")
    registry.soft_delete, registry.deleted = True, {f"restored@{digest}"}
    words = ("-n", "myregistry", *HELLO, "-t", "restored:1")
    desk.types(desk.advised(*words))
    desk.imports(*words)
    registry.soft_delete = False


@advice("az acr repository show --name {} --repository {} --query changeableAttributes")
def refusal_that_does_not_say_what_is_locked(desk: Desk) -> None:
    desk.imports("-n", "myregistry", *HELLO, "-t", "shown:2")
    refused = failure(405, "REGISTRY_DISALLOWED_OPERATION", "The operation is disallowed.")
    desk.sandbox.faults.add(host="myregistry.azurecr.io", method="PUT", path="/v2/shown/.*", answer=refused, times=99)
    line = desk.advised("-n", "myregistry", "--source", "mysourceregistry.azurecr.io/app/web:v1", "-t", "shown:3")
    assert desk.types(line).json["writeEnabled"] is True


@advice("az acr list --output table")
def registry_that_is_not_there(desk: Desk) -> None:
    line = desk.advised("-n", "nosuchregistry", *HELLO)
    assert "myregistry.azurecr.io" in desk.types(line).stdout.split()


@advice('az acr list --query "[].id" --output tsv')
def resource_id_that_is_none(desk: Desk) -> None:
    """And one in another group."""
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups"
    wrong = f"{group}/elsewhere/providers/Microsoft.ContainerRegistry/registries/myregistry"
    for name in (f"{group}/sandbox", wrong):
        (right,) = (
            line for line in desk.types(desk.advised("-n", name, *HELLO)).stdout.split() if line.endswith("/myregistry")
        )
        desk.imports("-n", right, *HELLO, "-t", "by/id:1")


@advice("az acr encryption show --name {}")
def key_that_is_lost(desk: Desk) -> None:
    desk.types(service_says(desk, 400, "InvalidParameters", "CMK_ERROR: the Key Encryption Key is not accessible"))


@advice("az acr update --name {} --allow-trusted-services true")
def source_that_keeps_the_service_out(desk: Desk) -> None:
    registry = desk.world.registries["mysourceregistry"]
    registry.trusted_services = False
    line = service_says(desk, 400, "InvalidParameters", "client with IP is not allowed access. aka.ms/acr/firewall")
    desk.types(line)
    assert registry.trusted_services


@advice("az acr update --name {} --allow-exports true")
def source_that_lets_nothing_out(desk: Desk) -> None:
    words = ("-n", "myregistry", "--source", "secretregistry.azurecr.io/app/web:v1", "-t", "secret:1")
    desk.types(desk.advised(*words))
    desk.imports(*words)
    desk.world.registries["secretregistry"].export_enabled = False


@advice("az acr import-wait --operation {}")
def service_that_takes_long(desk: Desk) -> None:
    fault = ServiceFault(bodies=[ACCEPTED] * 100_000)
    desk.world.service_faults = [fault]
    begun = desk.imports("-n", "myregistry", *HELLO, "-t", "waited:1", "--no-wait")
    waited = desk.run("acr", "import-wait", "--operation", begun.json["operation"], "--timeout", "1")
    line = desk.advised(result=waited)
    fault.bodies.clear()
    assert desk.types(line).json["status"] == "copied"


@advice("az acr import-wait --operation '{}'")
def service_of_which_nothing_more_is_heard(desk: Desk) -> None:
    """For a while, or by choice, or because of Ctrl-C, which only a process of its own can hear."""
    for number, status in enumerate((429, 503)):
        desk.world.service_faults = [ServiceFault(bodies=[status] * MAX_FAILURES)]
        line = desk.advised("-n", "myregistry", *HELLO, "--engine", "service", "-t", f"waited/{number}:1")
        assert desk.types(line).json["status"] == "copied"
    handed_over = desk.imports("-n", "myregistry", *HELLO, "-t", "waited:3", "--no-wait")
    assert desk.types(desk.found(" ".join(handed_over.stderr.split()))).json["status"] == "copied"
    if os.name == "nt":
        return  # signals of POSIX
    desk.world.service_faults = [ServiceFault(bodies=[ACCEPTED] * 3)]
    desk.world.service_pause, mark = 30, desk.sandbox.log.mark()
    process = desk.az.start("acr", "import", "-n", "myregistry", *HELLO, "--engine", "service", "-t", "waited:2")
    while not desk.sandbox.log.find(since=mark, path=".*/operationResults/.*"):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    desk.world.service_pause = 0.01
    line = desk.advised(result=Result(process.returncode, stdout, stderr))
    assert desk.types(line).json["status"] == "copied"


@advice("az config set acrimport.engine=auto")
def engine_that_is_configured_wrongly(desk: Desk) -> None:
    desk.types("az config set acrimport.engine=both")
    desk.types(desk.advised("-n", "myregistry", *HELLO, "-t", "configured:1"))
    desk.imports("-n", "myregistry", *HELLO, "-t", "configured:1")


@advice("az config set acrimport.jobs=8")
def jobs_that_are_configured_wrongly(desk: Desk) -> None:
    desk.types("az config set acrimport.jobs=many")
    desk.types(desk.advised("-n", "myregistry", *HELLO, "-t", "configured:2"))
    desk.imports("-n", "myregistry", *HELLO, "-t", "configured:2")


@advice("az configure --defaults acr=NAME")
def batch_without_a_target(desk: Desk) -> None:
    words = ("--source", "mcr.microsoft.com/hello-world:latest", "--prefix", "default/")
    desk.types(desk.advised(*words, command="import-batch"), NAME="myregistry")
    assert desk.run("acr", "import-batch", *words).code == 0
    desk.types("az configure --defaults acr=''")


@pytest.fixture(scope="module")
def office(sandbox, extensions, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Az, Callable[..., Result]]]:
    """az in one process for all that is typed here."""
    az = Az(tmp_path_factory.mktemp("advice"), sandbox.environment(), extensions=extensions)
    sandbox.world.service_pause = 0.01
    with az.many() as run:
        yield az, run
    sandbox.world.service_pause = 1
    sandbox.world.guests.clear()


def test_whatever_is_advised_is_typed_here():
    """And nothing else: a row without its advice is out of date."""
    assert advised() == {*ROWS, *BEYOND}


@pytest.mark.parametrize("template", ROWS, ids=[function.__name__ for function in ROWS.values()])
def test_advice_does_what_it_says(sandbox, office, template):
    """As it is printed."""
    az, run = office
    if template.startswith("az login") and sys.platform != "linux":
        pytest.skip("a browser would open")
    sandbox.sign_in(az.config)
    ROWS[template](Desk(sandbox, az, run, template))
