# SPDX-License-Identifier: MIT
"""What a text names, by what Azure Resource Manager tells; and when it is not asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from azure.cli.core.cloud import CloudSuffixNotSetException
from azure.core.exceptions import HttpResponseError, ServiceRequestError

from azext_acrimport.engine import EngineError, LayoutReference, Reference
from azext_acrimport.registries import connections, directory
from azext_acrimport.registries.directory import Directory, Registry
from azext_acrimport.registries.hosts import home_of, is_acr_host
from azext_acrimport.registries.naming import targets_of
from azext_acrimport.service.request import require_target

ROOT = Path(__file__).parent.parent.parent

ACTIVE, OTHER, THIRD = "active", "other", "third"


def registry(name: str, subscription: str, group: str = "g", host: str = "", **facts) -> SimpleNamespace:
    """As the SDK gives it."""
    return SimpleNamespace(
        id=f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ContainerRegistry/registries/{name}",
        name=name,
        login_server=host or f"{name}.azurecr.io",
        sku=SimpleNamespace(name="Premium"),
        policies=SimpleNamespace(**{name: SimpleNamespace(status=status) for name, status in facts.items()}),
        public_network_access="Enabled",
    )


REGISTRIES = [
    registry("plain", ACTIVE),
    registry("Hashed", ACTIVE, "h", "hashed-a1b2.azurecr.io"),
    registry("far", OTHER),
    registry("kept", THIRD, export_policy="disabled"),
]
ID = {found.name: found.id for found in REGISTRIES}


class Arm:
    """The management SDK's registries, of one subscription; ``failures``: by subscription, what it raises."""

    def __init__(self, subscription, failures, asked) -> None:
        self.subscription = subscription or ACTIVE
        self.failures = failures
        self.asked = asked
        self.registries = self

    def _all(self, what: str):
        self.asked.append((what, self.subscription))
        if self.subscription in self.failures:
            raise self.failures[self.subscription]
        return [found for found in REGISTRIES if f"/{self.subscription}/" in found.id]

    def list(self):
        return iter(self._all("list"))

    def list_by_resource_group(self, group):
        return [found for found in self._all(f"list {group}") if f"/resourceGroups/{group}/" in found.id]

    def get(self, group, name):
        for found in self._all("get"):
            if found.name.lower() == name.lower() and f"/resourceGroups/{group}/" in found.id:
                return found
        raise refusal(404)


def refusal(status: int) -> HttpResponseError:
    """Of ARM."""
    return HttpResponseError("words of ARM", response=SimpleNamespace(status_code=status, reason="", headers={}))


@pytest.fixture
def arm(monkeypatch):
    """A function from failures by subscription to a directory, and what it has asked."""

    def made(suffix: str = ".azurecr.io", **failures):
        asked: list = []
        monkeypatch.setattr(directory, "management_client", lambda _, subscription: Arm(subscription, failures, asked))
        accounts = [{"id": name, "name": name.title()} for name in (ACTIVE, OTHER, THIRD)]
        monkeypatch.setattr(Directory, "_subscriptions", lambda self: accounts)
        monkeypatch.setattr(Directory, "_active_account", lambda self: accounts[0])
        return Directory(SimpleNamespace(cloud=Cloud(suffix))), asked

    return made


class Cloud:
    """With a suffix for login servers, or without any."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix
        self.suffixes = self

    @property
    def acr_login_server_endpoint(self) -> str:
        if not self._suffix:
            raise CloudSuffixNotSetException("no suffix")
        return self._suffix


@pytest.mark.parametrize(
    ("text", "group", "host", "named"),
    [
        ("plain", None, "plain.azurecr.io", "plain"),
        ("plain.azurecr.io", None, "plain.azurecr.io", "plain"),
        ("hashed", None, "hashed-a1b2.azurecr.io", "Hashed"),
        ("hashed-a1b2.azurecr.io", "h", "hashed-a1b2.azurecr.io", "Hashed"),
        ("plain", "g", "plain.azurecr.io", "plain"),
        ("plain.eastus.geo.azurecr.io", "g", "plain.eastus.geo.azurecr.io", "plain"),
        (ID["far"], None, "far.azurecr.io", "far"),
        ("far.azurecr.io", None, "far.azurecr.io", None),
        ("localhost:5000", None, "localhost:5000", None),
        ("registry.contoso.com", "g", "registry.contoso.com", None),
    ],
)
def test_target(arm, text, group, host, named):
    """By name, login server, regional endpoint or ID; of a host outside Azure nothing is asked."""
    found, asked = arm()
    target = found.find_target(text, group)
    assert (target.host, target.resource_id) == (host, ID.get(named, ""))
    assert found.is_asking.is_set() == bool(asked)
    assert target.is_acr == host.endswith(".azurecr.io")
    assert bool(asked) == target.is_acr


@pytest.mark.parametrize(
    ("text", "group", "failure", "code", "said"),
    [
        ("nobody", None, {}, "target-registry-not-found", "subscription 'Active' (active)"),
        ("far", None, {}, "target-registry-not-found", "far.azurecr.io"),
        ("plain", "h", {}, "target-registry-not-found", "words of ARM"),
        ("plain.azurecr.io", "h", {}, "target-registry-not-found", "resource group 'h'"),
        ("plain.azurecr.io", "no", {ACTIVE: refusal(404)}, "target-registry-not-found", "resource group 'no'"),
        (ID["plain"].replace("plain", "gone"), None, {}, "target-registry-not-found", "words of ARM"),
        ("plain", None, {ACTIVE: refusal(403)}, "arm-denied", "login server"),
        (ID["plain"], None, {ACTIVE: refusal(403)}, "arm-denied", "words of ARM"),
        ("plain", None, {ACTIVE: refusal(429)}, "arm-throttled", "limits requests"),
        ("plain", None, {ACTIVE: refusal(503)}, "arm-unreachable", "503"),
        ("plain", None, {ACTIVE: ServiceRequestError("('tuple', 1)")}, "arm-unreachable", "ServiceRequestError"),
    ],
)
def test_target_that_is_not_found(arm, text, group, failure, code, said):
    """Where it was looked for, and which side's trouble it is; never the words of a library."""
    found, _ = arm(**failure)
    with pytest.raises(EngineError) as caught:
        found.find_target(text, group)
    assert caught.value.code == code
    assert said in f"{caught.value.message} {caught.value.advice}"
    assert "tuple" not in caught.value.message


@pytest.mark.parametrize("text", ["plain", ID["plain"], "plain.azurecr.io"])
@pytest.mark.parametrize("answer", [None, {}, {"value": None}, SimpleNamespace(id="/x"), SimpleNamespace(id=5)])
def test_answer_of_another_form_is_not_azures(arm, monkeypatch, text, answer):
    """As the SDK hands on whatever JSON has come: somebody else's, of which nothing is known, and no traceback."""
    found, _ = arm()
    for name in ("list", "get"):
        monkeypatch.setattr(Arm, name, lambda *_: [answer] if len(_) == 1 else answer)
    if text == "plain.azurecr.io":  # it is asked itself then
        assert found.find_target(text).host == text
        return
    with pytest.raises(EngineError, match="something else answered") as caught:
        found.find_target(text)
    assert caught.value.code == "arm-unreachable"


@pytest.mark.parametrize("status", [403, 429, 503])
def test_login_server_is_enough_where_arm_does_not_tell(arm, status):
    """The registry itself is asked then; for the service, which only ARM can ask, its trouble is told as it was."""
    found, _ = arm(**{ACTIVE: refusal(status)})
    target = found.find_target("plain.azurecr.io")
    assert target == Registry("plain.azurecr.io", is_acr=True)
    with pytest.raises(EngineError) as caught:
        require_target(target)
    codes = {403: "target-registry-not-found", 429: "arm-throttled", 503: "arm-unreachable"}
    assert caught.value.code == codes[status]


@pytest.mark.parametrize(
    ("text", "far"),
    [("plain.azurecr.io", False), ("far.azurecr.io", True), ("far", True), ("kept.azurecr.io", True)],
)
def test_source_is_looked_for_in_all_subscriptions(arm, text, far):
    """So that its export policy is known, whatever subscription az works with."""
    found, asked = arm()
    source = found.find_source(text)
    assert source.resource_id == ID[text.partition(".")[0]]
    assert (source.far, source.export_disabled) == (far, text.startswith("kept"))
    assert len(asked) == (3 if far else 1)


def test_subscription_that_tells_nothing_hides_no_other(arm):
    """Neither the active one nor one before."""
    found, _ = arm(**{ACTIVE: refusal(403), OTHER: refusal(403)})
    assert found.find_source("kept.azurecr.io").export_disabled


@pytest.mark.parametrize(
    "text",
    [ID["far"].replace(OTHER, "unknown"), ID["far"]],
    ids=["a subscription that az does not know", "one in which ARM does not show it"],
)
def test_id_that_az_cannot_see_is_passed_on(arm, text):
    """As core does: the service may see it."""
    found, _ = arm(**{OTHER: refusal(403)})
    source = found.find_source(text)
    assert (source.unseen, source.resource_id, source.host) == (True, text, "far.azurecr.io")


@pytest.mark.parametrize("name", ["plain", "plain.azurecr.io"])
def test_group_whose_name_is_no_text_is_not_there(arm, name):
    """A part of a character, which the SDK cannot ask for."""
    group = "g\udcff"
    found, _ = arm(**{ACTIVE: UnicodeEncodeError("utf-8", group, 1, 2, "surrogates not allowed")})
    with pytest.raises(EngineError, match="the name of its group is no text") as caught:
        found.find_target(name, group)
    assert caught.value.code == "target-registry-not-found"


def test_source_that_is_nowhere_names_where_it_was_looked_for(arm):
    """By name; of a login server the registry itself tells."""
    found, _ = arm()
    with pytest.raises(EngineError, match=r"subscription 'Active' \(active\) and in 2 other subscriptions"):
        found.find_source("nobody")
    assert found.find_source("nobody.azurecr.io") == Registry("nobody.azurecr.io", is_acr=True)


@pytest.mark.parametrize(
    ("text", "host", "is_acr", "asked"),
    [("plain", "plain.azurecr.io", True, 1), ("plain.azurecr.io", "plain.azurecr.io", True, 1),
     ("registry.contoso.com", "registry.contoso.com", False, 1), ("localhost:5000", "localhost:5000", False, 0)],
)  # fmt: skip
def test_cloud_without_a_suffix(arm, text, host, is_acr, asked):
    """Only ARM can tell which host is a registry of it."""
    found, requests = arm(suffix="")
    target = found.find_target(text)
    assert (target.host, target.is_acr, len(requests)) == (host, is_acr, asked)


@pytest.mark.parametrize(
    ("suffix", "host", "is_acr", "home"),
    [
        (".azurecr.io", "a.azurecr.io", True, ""),
        (".azurecr.io", "a-x1.azurecr.io", True, ""),
        (".azurecr.io", "a.eastus.geo.azurecr.io", True, "a.azurecr.io"),
        (".azurecr.io", "a.b.eastus.geo.azurecr.io", True, ""),
        (".azurecr.io", "azurecr.io", False, ""),
        (".azurecr.io", "evilazurecr.io", False, ""),
        (".azurecr.io", "a.azurecr.io:5000", False, ""),
        (".azurecr.io", "a.azurecr.io.evil.org", False, ""),
        ("azurecr.cn", "a.azurecr.cn", True, ""),
        ("", "a.azurecr.io", False, ""),
    ],
)
def test_what_a_host_tells(suffix, host, is_acr, home):
    """An Entra token goes to no other."""
    cli_ctx = SimpleNamespace(cloud=Cloud(suffix))
    assert (is_acr_host(cli_ctx, host), home_of(cli_ctx, host)) == (is_acr, home)


@pytest.mark.parametrize(
    ("source", "tags", "repositories", "names", "typed"),
    [
        ("h.io/app/web:v1", [], [], ["app/web:v1"], ["app/web:v1"]),
        ("h.io/app/web", [], [], ["app/web:latest"], ["app/web"]),
        (f"h.io/app/web@sha256:{'0' * 64}", [], [], ["app/web:latest"], ["app/web"]),
        (f"h.io/app/web:v1@sha256:{'0' * 64}", [], [], ["app/web:v1"], ["app/web:v1"]),
        ("h.io/app:v1", [("b", None), ("b", "v1"), ("c", "2")], [], ["b:v1", "c:2"], ["b:v1", "c:2"]),
        ("h.io/app:v1", [("b", "1")], ["b", "c"], ["b", "c", "b:1"], ["b", "c", "b:1"]),
        ("h.io/app", [("b", None)], [], ["b:latest"], ["b"]),
    ],
)
def test_targets(source, tags, repositories, names, typed):
    """In full, and as the service is asked for them; each once."""
    options = SimpleNamespace(target_tags=tags, repositories=repositories, names_targets=bool(tags or repositories))
    targets = targets_of(Reference.parse(source), source.partition("/")[2], options)
    assert [target.name for target in targets] == names
    assert [target.typed for target in targets] == typed


def test_target_of_an_archive():
    """Its own name, without the registry it was tagged for."""
    options = SimpleNamespace(target_tags=[], repositories=[], names_targets=False)
    archive = LayoutReference("docker-archive", "app.tar", "docker.io/team/app:1")
    assert [target.name for target in targets_of(archive, "", options)] == ["team/app:1"]


@pytest.mark.parametrize(
    ("public", "action", "closed"),
    [("Enabled", "Allow", False), ("Enabled", "Deny", True), ("Disabled", "Allow", True), ("Enabled", None, False)],
)
def test_registry_that_is_closed_to_some_networks(public, action, closed):
    """By either of ARM's two ways to say so."""
    found = registry("rules", ACTIVE)
    found.public_network_access = public
    found.network_rule_set = SimpleNamespace(default_action=action) if action else None
    assert directory._from_arm(found).closed == closed


def test_every_authority_of_a_host_is_trusted(tmp_path, monkeypatch):
    """Whatever the files are called."""
    folder = tmp_path / "containers" / "certs.d" / "registry.corp:5000"
    folder.mkdir(parents=True)
    for name in ("a.crt", "ca.crt", "z.crt"):
        (folder / name).write_text(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    authorities, certificate = connections._certificates("registry.corp:5000", "source")
    assert ([path.name for path in authorities], certificate) == (["a.crt", "ca.crt", "z.crt"], None)


def test_authorities_in_a_place_that_cannot_be_looked_into_are_not_there(tmp_path, monkeypatch):
    """Nor is that a reason to end."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ("long" * 2000)))
    assert connections._certificates("registry.corp:5000", "source") == ([], None)


# Each child is a fresh process that has not made a model yet; the threads change as often as they can.
TWO_AT_ONCE = """
import os, sys, threading
from azure.mgmt.containerregistry.models import Registry as Model
from azext_acrimport.registries import directory

def look():
    begun.wait()
    try:
        assert directory._from_arm(Model(directory.EXAMPLE)).host == "example.azurecr.io"
    except BaseException as error:
        wrong.append(error)

sys.setswitchinterval(1e-6)
bad = 0
for _ in range(200):
    if os.fork() == 0:
        directory.prepare_models()
        wrong, begun = [], threading.Barrier(2)
        threads = [threading.Thread(target=look) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os._exit(len(wrong))
    bad += os.waitstatus_to_exitcode(os.wait()[1]) > 0
sys.exit(bad)
"""


@pytest.mark.skipif(os.name == "nt", reason="processes are forked")
def test_both_sides_may_be_looked_up_at_once():
    """Without what is prepared one in twenty went wrong, in a traceback."""
    done = subprocess.run([sys.executable, "-c", TWO_AT_ONCE], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
