# SPDX-License-Identifier: MIT
"""Both sides of an import, found and connected: what they have to do with each other."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace

import pytest

from azext_acrimport._options import ImportOptions, SourceImage
from azext_acrimport.engine import (
    Ahead,
    Cancellation,
    Reference,
    RegistryHints,
    RegistryRepository,
    TimedOut,
    Transport,
    parse_location,
)
from azext_acrimport.job import sides as sides_module
from azext_acrimport.job.clients import Clients
from azext_acrimport.job.sides import Sides
from azext_acrimport.registries.credentials import Identity
from azext_acrimport.registries.deadline import Deadline
from azext_acrimport.registries.directory import Registry
from azext_acrimport.registries.hints import RememberedHints
from azext_acrimport.registries.hosts import most_likely_host

TARGET = Registry("target.azurecr.io", is_acr=True, subscription="ours")
NEAR = Registry("near.azurecr.io", is_acr=True, subscription="another of ours")
FAR = Registry("far.azurecr.io", is_acr=True, subscription="theirs")
TENANTS = {"ours": "tenant", "another of ours": "tenant", "theirs": "tenant of theirs"}


@pytest.fixture
def sides_of(cli_ctx, monkeypatch):
    """A function from a source to both sides of an import from there."""

    def sides_of(source: Registry) -> Sides:
        reference = Reference(source.host, "app", "1")
        monkeypatch.setattr(sides_module.Directory, "find_target", lambda *_: TARGET)
        monkeypatch.setattr(sides_module, "source_of", lambda *_: (reference, source, "app:1"))
        monkeypatch.setattr(Identity, "tenant", lambda _, registry: TENANTS[registry.subscription])
        options = ImportOptions(
            registry_name="target",
            source_image=SourceImage("app:1", reference),
            source_registry=None,
            username=None,
            password=None,
            target_tags=[("copy", "1")],
            repositories=[],
            resource_group_name=None,
            force=False,
            no_wait=False,
            engine="auto",
            jobs=1,
            timeout=None,
            dry_run=False,
            platforms=(),
            referrers=True,
        )
        return Sides(cli_ctx, options, Deadline())

    return sides_of


@pytest.fixture
def job_from(sides_of):
    """A function from a source to the job of an import from there."""
    return lambda source: sides_of(source).find()


@pytest.mark.parametrize(("source", "same"), [(NEAR, True), (FAR, False)], ids=["one tenant", "two"])
def test_tenants_are_those_of_the_subscriptions(job_from, source, same):
    """The service may copy within one only."""
    assert job_from(source).same_tenant() is same


@pytest.mark.parametrize(("source", "together"), [(TARGET, True), (NEAR, False)], ids=["one registry", "two"])
def test_one_registry_counts_both_sides_together(cli_ctx, job_from, source, together):
    """It limits how often an identity asks for referrers, of one image as of many."""
    with job_from(source).connected() as (request, _):
        here, there = request.source._client, request.destinations[0].store._client
    assert (here.referrers_pace is there.referrers_pace) is together
    with Clients(cli_ctx, Identity(cli_ctx, Deadline()), Deadline(), {}, RegistryHints()) as clients:
        here, there = clients.client("source", source), clients.client("target", TARGET)
    assert (here.referrers_pace is there.referrers_pace) is together


def test_both_sides_know_what_earlier_azs_have_left(cli_ctx, sides_of, monkeypatch):
    """Of one image, and of many."""
    hints = RegistryHints()
    monkeypatch.setattr(sides_module, "hints_for", lambda *_: nullcontext(hints))
    with Clients(cli_ctx, Identity(cli_ctx, Deadline()), Deadline(), {}, hints) as clients:
        many = [clients.client("source", NEAR), clients.client("target", TARGET)]
    with sides_of(NEAR) as sides, sides.find().connected() as (request, _):
        one = [request.source._client, request.destinations[0].store._client]
    assert [of._foresight._hints is hints for of in (*many, *one)] == [True] * 4


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Target", "target.azurecr.io"),
        ("target.azurecr.io", "target.azurecr.io"),
        (
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/target",
            "target.azurecr.io",
        ),
        ("target.westus.geo.azurecr.io", "target.westus.geo.azurecr.io"),
        ("localhost:5000", ""),
        ("target.corp", ""),
    ],
)
def test_host_of_a_registry_is_guessed(cli_ctx, text, host):
    """Of Azure's, by their names; a wrong guess costs a connection."""
    assert most_likely_host(cli_ctx, text) == host


@pytest.mark.parametrize(("name", "is_used"), [("target", True), ("target.westus.geo.azurecr.io", False)])
@pytest.mark.parametrize("is_known", [False, True])
def test_target_is_greeted_while_azure_is_asked_for_it(sides_of, monkeypatch, name, is_used, is_known):
    """What it says is for the first who asks there; of another host than was thought nobody hears.

    Where earlier azs have left how one signs in there only a connection is opened.
    """
    said = Ahead(lambda: None)
    greeted: list[tuple[Transport, str]] = []
    opened: list[tuple[Transport, str]] = []
    monkeypatch.setattr(sides_module, "greet", lambda host, way: greeted.append((way, f"https://{host}/v2/")) or said)
    monkeypatch.setattr(Transport, "open_ahead", lambda self, url, count: opened.append((self, url)))
    monkeypatch.setattr(Transport, "fetch", lambda *_, **__: pytest.fail("it was asked"))
    known = ("https://target.azurecr.io/oauth2/token", "target.azurecr.io") if is_known else None
    monkeypatch.setattr(RememberedHints, "token_service", lambda *_: known)
    sides = sides_of(NEAR)
    monkeypatch.setattr(RegistryRepository, "enter_ahead", lambda *_: None)
    sides._options = replace(sides._options, jobs=None, registry_name=name)
    with sides:
        job = sides.find()
        assert (len(greeted), len(opened)) == (not is_known, is_known)
        ((early, url),) = greeted + opened
        assert url == f"https://{most_likely_host(sides._cli_ctx, name)}/v2/"
        used, told = [], []
        for _ in range(2):
            with job.connected() as (request, cancellation):
                client = request.destinations[0].store._client
                assert client.transport.cancellation is cancellation
                used.append(client.transport is early)
                told.append(client._foresight._greeting is said)
    assert (used, told) == ([is_used, False], [is_used and not is_known, False])


@pytest.mark.parametrize("change", [{"jobs": 1}, {"no_wait": True}, {"engine": "service"}])
def test_target_is_not_greeted_where_this_machine_may_not_go_there(sides_of, monkeypatch, change):
    """Or where one thing is done after the other."""
    monkeypatch.setattr(Transport, "open_ahead", lambda *_, **__: pytest.fail("it was opened"))
    monkeypatch.setattr(sides_module, "greet", lambda *_: pytest.fail("it was asked"))
    monkeypatch.setattr(RegistryRepository, "enter_ahead", lambda *_: None)
    sides = sides_of(NEAR)
    sides._options = replace(sides._options, **{"jobs": None, **change})
    with sides:
        sides.find()


@pytest.mark.parametrize("asks", [True, False], ids=["Azure is asked", "it is known without"])
def test_what_costs_time_is_done_while_azure_answers(sides_of, monkeypatch, asks):
    """Not before it is asked, which costs time itself, and in any case."""
    asked, done = threading.Event(), threading.Event()

    def find_target(directory, *_):
        if asks:
            assert not done.wait(0.1)
            asked.set(), directory.is_asking.set()
            assert done.wait(30)
        return TARGET

    def meanwhile():
        assert asked.is_set() == asks
        done.set()

    sides = sides_of(NEAR)
    monkeypatch.setattr(sides_module.Directory, "find_target", find_target)
    monkeypatch.setattr(sides_module, "most_likely_host", lambda *_: "")
    monkeypatch.setattr(RegistryRepository, "enter_ahead", lambda *_: None)
    sides._options = replace(sides._options, jobs=None)
    with sides:
        assert sides.find(meanwhile).target == TARGET
    assert done.is_set()


def test_archive_is_looked_through_within_the_deadline(cli_ctx, monkeypatch):
    """As everything else; the error is that of the time."""

    def looked_through(reference, cancellation):
        while True:
            cancellation.check()
            assert cancellation.left is not None

    monkeypatch.setattr(sides_module, "open_location", looked_through)
    both = Sides(cli_ctx, None, Deadline(0.01))
    with pytest.raises(TimedOut):
        both._opened_files(parse_location("oci-archive:app.tar"), Cancellation())
