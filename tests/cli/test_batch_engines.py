# SPDX-License-Identifier: MIT
"""Which engine does which image of a batch, and what the other one does for it: both engines played."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from azext_acrimport._options import BatchOptions
from azext_acrimport.batch.targets import Naming
from azext_acrimport.batch.wanted import Wanted
from azext_acrimport.engine import (
    Blocked,
    Cancellation,
    Change,
    CopyReport,
    Firewall,
    ItemResult,
    NotFound,
    Planned,
    TagConflict,
    Tally,
    TimedOut,
)
from azext_acrimport.imports import many
from azext_acrimport.imports.choice import LARGE
from azext_acrimport.imports.jobs import Jobs, Line
from azext_acrimport.job.job import Outcome
from azext_acrimport.output.catalogue import CATALOGUE, TIMED_OUT
from azext_acrimport.output.service_error import ServiceError
from azext_acrimport.registries.deadline import Deadline
from azext_acrimport.registries.directory import Registry

TARGET = Registry("target.azurecr.io", is_acr=True, resource_id="/t")
SOURCE = Registry("source.azurecr.io", is_acr=True, resource_id="/s")
FAILING = {
    "closed": Firewall("target.azurecr.io", origin="target"),
    "gone": NotFound("source.azurecr.io", origin="source"),
    "late": TimedOut(5),
}
SERVED = {
    "elsewhere": ServiceError(next(row for row in CATALOGUE if row.elsewhere), "source", "words"),
    "late": ServiceError(TIMED_OUT, "arm", "words"),
    "conflict": TagConflict("app:1", "sha256:1", "sha256:2"),
    "unseen": ServiceError(next(row for row in CATALOGUE if row.slug == "tag-conflict"), "target", "words"),
}


class Clients:
    """No connection at all."""

    def __init__(self) -> None:
        self.cancellation = Cancellation()

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancellation.cancel()

    def repository(self, origin, registry, name):
        """What a request needs of one."""
        return SimpleNamespace(registry=registry.host, repository=name)


@pytest.fixture
def done(monkeypatch, cli_ctx):
    """A function from tags to engine, status and code of each; the tag says what happens to it."""
    asked: list[list[str]] = []

    def copied(requests, cancellation, *, go_on, fail_fast, is_failure, **_):
        stops = False
        asked.append([request.identifier for request in requests])
        items = []
        for request in requests:
            tag, item = request.identifier, ItemResult(request.name, (f"app:{request.identifier}",), manifests=1)
            moving = Tally(LARGE + 1 if tag.startswith("large") else 1)
            item.bytes = moving
            if stops:
                item.end_with(Blocked())
            elif tag in FAILING:
                item.end_with(FAILING[tag])
                stops = fail_fast and is_failure(request, FAILING[tag])
            elif go_on(Planned(request, item, (), True)):
                item.status = "copied"
            items.append(item)
        return CopyReport(tuple(items), 1.0)

    def served(job, reason, view, patience=None):
        tag = job.reference.tag
        item = ItemResult(str(job.reference), tuple(target.name for target in job.targets), status="copied")
        if error := SERVED.get(tag.rpartition("-")[2]):
            item.end_with(error)
            item.changes = (Change(f"app:{tag}", "move"),)
        asked.append([f"service {tag}"])
        return Outcome(item, "service", reason)

    monkeypatch.setattr(many, "copy_images", copied)
    monkeypatch.setattr(many, "import_by_service", served)
    monkeypatch.setattr(many, "remembered", lambda cli_ctx: nullcontext())

    def done(*tags, source=SOURCE, **given):
        asked.clear()
        options = {
            "registry_name": "target", "wanted": (), "source_registry": None, "sign_ins": {}, "naming": Naming(),
            "resource_group_name": None, "on_conflict": "fail", "fail_fast": False, "shard": None, "report": None,
            "engine": "auto", "jobs": 1, "timeout": None, "dry_run": False, "platforms": (), "referrers": None, **given,
        }  # fmt: skip
        lines = [Line.of_item(Naming().item(Wanted.parse(f"{source.host}/app:{tag}"))) for tag in tags]
        identity = SimpleNamespace(tenant=lambda registry: "one")
        registries, deadline = {source.host: source}, Deadline(None)
        asked_for = BatchOptions(**options)
        jobs = Jobs(cli_ctx, asked_for, {}, identity, TARGET, registries, Clients, deadline)
        many.Run(cli_ctx, asked_for, jobs, Mock(), deadline).do(lines, Clients())
        done.asked = list(asked)
        done.changes = [change.action for line in lines for change in line.outcome.item.changes]
        done.sources = [line.outcome.item.source for line in lines]
        found = [line.outcome for line in lines]
        return [(o.engine, o.item.status, o.item.error.code if o.item.error else None) for o in found]

    return done


def test_each_image_has_its_own_engine(done):
    """Beside one another in one run; what is large and inside Azure, or closed to us, is the service's."""
    assert done("small", "large", "closed", "gone", "small2") == [
        ("embedded", "copied", None),
        ("service", "copied", None),
        ("service", "copied", None),
        ("embedded", "failed", "source-not-found"),
        ("embedded", "copied", None),
    ]
    assert done.asked == [["small", "large", "closed", "gone", "small2"], ["service large"], ["service closed"]]


def test_service_whose_trouble_is_its_own_is_followed_by_this_machine(done):
    """Once, and only where this machine was not refused before."""
    assert done("large-elsewhere", "small") == [("embedded", "copied", None), ("embedded", "copied", None)]
    assert done.asked == [["large-elsewhere", "small"], ["service large-elsewhere"], ["large-elsewhere"]]


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("embedded", [("embedded", "copied", None), ("embedded", "failed", "target-firewall")]),
        ("service", [("service", "copied", None), ("service", "copied", None)]),
    ],
)
def test_engine_that_is_named_is_the_only_one(done, engine, expected):
    """Whatever happens."""
    assert done("large", "closed", engine=engine) == expected


@pytest.mark.parametrize("tag", ["1-conflict", "1-unseen"])
def test_conflict_that_the_service_met_is_skipped_and_changes_nothing(done, tag):
    """As one that this machine has met; also where it cannot see what the tag names."""
    assert done(tag, engine="service", on_conflict="skip") == [("service", "skipped", None)]
    assert done.changes == ["none"]


@pytest.mark.parametrize(
    ("tags", "more", "states"),
    [
        ("closed small", {}, "copied copied"),
        ("closed gone small", {}, "blocked failed blocked"),
        ("large gone", {}, "blocked failed"),
        ("large-elsewhere large", {}, "copied copied"),
        ("1-conflict 2", {"engine": "service", "on_conflict": "skip"}, "skipped copied"),
        ("1-conflict 2", {"engine": "service"}, "failed blocked"),
        ("closed small", {"engine": "embedded"}, "failed blocked"),
    ],
)
def test_first_failure_stops_both_engines(done, tags, more, states):
    """What the other engine does, or what is to be skipped, is none."""
    assert [status for _, status, _ in done(*tags.split(), fail_fast=True, **more)] == states.split()


def test_source_is_told_as_it_was_asked_for(done):
    """Its tag, too, where the digest says what is copied."""
    digest = f"sha256:{'0' * 64}"
    done(f"1@{digest}")
    assert (done.asked, done.sources) == ([[digest]], [f"{SOURCE.host}/app:1@{digest}"])


def test_images_from_outside_stay_here(done):
    """However large they are."""
    assert done("large", source=Registry("docker.io")) == [("embedded", "copied", None)]


def test_dry_run_writes_nothing_and_asks_the_service_where_it_would(done):
    """The service's own look finds what would keep it."""
    assert done("small", "large", dry_run=True)[0] == ("embedded", "planned", None)
    assert done.asked == [["small", "large"], ["service large"]]


def test_what_time_has_ended_is_cancelled(done):
    """Not failed."""
    assert done("late") == [("embedded", "cancelled", "timeout")]
