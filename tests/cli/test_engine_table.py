# SPDX-License-Identifier: MIT
"""The table of engines, fact by fact; tests/e2e/test_engines.py has the rows with the real az."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from azext_acrimport.engine import (
    Cancelled,
    Denied,
    Firewall,
    ItemResult,
    NetworkError,
    TimedOut,
    TlsError,
    Unauthorized,
)
from azext_acrimport.imports import choice
from azext_acrimport.imports.choice import LARGE, TABLE, Facts
from azext_acrimport.job.job import Outcome
from azext_acrimport.output.catalogue import CATALOGUE, OWN, TIMED_OUT
from azext_acrimport.output.service_error import ServiceError, understand
from azext_acrimport.registries.deadline import Deadline
from azext_acrimport.registries.directory import Registry
from azext_acrimport.service.image import import_by_service

TARGET = Registry("target.azurecr.io", is_acr=True, resource_id="/t")
SOURCE = Registry("source.azurecr.io", is_acr=True, resource_id="/s")
UNSEEN = Registry("source.azurecr.io", is_acr=True, resource_id="/s", unseen=True)


# outside Azure, and whether the service may reach it
PLACES = [
    ("docker.io", True),
    ("registry.hub.docker.com", True),
    ("registry.contoso.com", True),
    ("registry.contoso.com:5000", False),
    ("localhost", False),
    ("10.1.2.3", False),
    ("[2001:db8::1]", False),
    ("harbor.corp", False),
    ("nas.local", False),
]


def refusal(kind: type, side: str) -> Exception:
    """Of one side."""
    if kind is NetworkError:
        return NetworkError("host", "timeout", origin=side)
    return kind("host", "words", origin=side) if kind is TlsError else kind("host", origin=side)


def chosen(error=None, moving: int = 0, **facts) -> tuple[str, str]:
    """Engine, and the first words of its reason."""
    options = SimpleNamespace(no_wait=False, password=facts.pop("password", None), platforms=facts.pop("platforms", ()))
    job = SimpleNamespace(
        **{
            "options": options,
            "source": SOURCE,
            "target": TARGET,
            "same_tenant": lambda: True,
            **facts,
        }
    )
    row = next(row for row in TABLE if row.holds(Facts(job, error, moving)))
    return row.engine, row.reason


@pytest.mark.parametrize(
    ("kind", "side", "engine"),
    [
        (Denied, "target", "service"),
        (Firewall, "target", "service"),
        (NetworkError, "target", "service"),
        (TlsError, "target", "embedded"),
        (Unauthorized, "target", "embedded"),
        (Firewall, "source", "service"),
        (NetworkError, "source", "service"),
        (TlsError, "source", "embedded"),
        (Denied, "source", "embedded"),
        (Unauthorized, "source", "embedded"),
    ],
)
def test_closed_doors(kind, side, engine):
    """A door that is closed here may be open for the service; a wrong password is wrong for both."""
    assert chosen(refusal(kind, side))[0] == engine
    alone, reason = chosen(refusal(kind, side), target=Registry(TARGET.host, is_acr=True))
    assert alone == "embedded"
    assert (reason == "this machine reaches both registries") != (kind in (NetworkError, TlsError))
    for host, public in PLACES:
        outside = chosen(refusal(kind, side), source=Registry(host))[0]
        silent = public and kind is NetworkError
        assert outside == (engine if side == "target" or silent else "embedded"), host


@pytest.mark.parametrize(
    ("facts", "engine"),
    [
        ({}, "service"),
        ({"moving": LARGE}, "embedded"),
        ({"same_tenant": lambda: False}, "embedded"),
        ({"password": "secret"}, "embedded"),
        ({"source": Registry("docker.io")}, "embedded"),
        ({"source": TARGET}, "embedded"),
        ({"platforms": ("linux/amd64",)}, "embedded"),
    ],
)
def test_much_between_two_registries(facts, engine):
    """Only what moves, only inside one tenant, and only as the same identity."""
    assert chosen(**{"moving": LARGE + 1, **facts})[0] == engine


def test_source_that_az_cannot_see_is_for_the_service():
    """Whatever this machine might guess of it; unless the service cannot."""
    assert chosen(source=UNSEEN)[0] == "service"
    assert chosen(source=UNSEEN, target=Registry("localhost:5000"))[0] == "embedded"


CONFIG = SimpleNamespace(config=SimpleNamespace(get=lambda *_, **__: ""))


def test_patience_leaves_time_for_the_other_engine():
    """Half of --timeout, and never more than what is configured."""
    half = choice.patience(SimpleNamespace(deadline=Deadline(100.0), cli_ctx=CONFIG))
    assert 40 < half <= 50
    assert choice.patience(SimpleNamespace(deadline=Deadline(), cli_ctx=CONFIG)) == choice.PATIENCE


def job_for(failure, monkeypatch, **facts):
    """A job that the service would get for its size, and what is begun: the service ends with ``failure``."""
    begun = []

    def here(job, go_on, *_):
        big = SimpleNamespace(result=SimpleNamespace(bytes=SimpleNamespace(copied=LARGE + 1)), counted=True)
        begun.append("embedded")
        return ItemResult("source", ("target",), status="copied" if go_on(big) else "planned", **facts)

    def there(job, reason, *_):
        begun.append("service")
        return Outcome(ItemResult("source", ("target",), status="failed", error=failure), "service", reason)

    monkeypatch.setattr(choice, "copy_here", here)
    monkeypatch.setattr(choice, "import_by_service", there)
    options = SimpleNamespace(no_wait=False, password=None, engine="auto", dry_run=False, platforms=())
    job = SimpleNamespace(options=options, source=SOURCE, target=TARGET, same_tenant=lambda: True, cli_ctx=CONFIG)
    job.deadline = Deadline(100.0)
    return job, begun


def test_nothing_is_begun_after_an_interruption(monkeypatch):
    """Also when the service has been chosen the moment before."""
    job, begun = job_for(None, monkeypatch, error=Cancelled())
    here = choice.copy_here

    def interrupted(*parts):
        item = here(*parts)
        item.status = "cancelled"
        return item

    monkeypatch.setattr(choice, "copy_here", interrupted)
    assert choice.run(job, None).item.status == "cancelled"
    assert begun == ["embedded"]


@pytest.mark.parametrize("row", [*CATALOGUE, *OWN], ids=lambda row: f"{row.side}-{row.slug}")
def test_other_engine_is_tried_where_the_catalogue_says_so(row, monkeypatch):
    """One source for the program, the documentation and this."""
    job, begun = job_for(ServiceError(row, "arm", ""), monkeypatch)
    outcome = choice.run(job, None)
    assert begun == ["embedded", "service", *(["embedded"] if row.elsewhere else [])]
    assert (outcome.item.status == "copied") == row.elsewhere
    job.source = UNSEEN
    for job.options.no_wait, follows in ((False, row.elsewhere), (True, False)):
        begun.clear()
        choice.run(job, None)
        assert begun == ["service", *(["embedded"] if follows else [])]


def test_door_that_is_closed_to_both_is_opened_by_the_role_that_the_service_names(monkeypatch):
    """Where az cannot see the source: what this machine was refused for there says less."""
    row = next(row for row in CATALOGUE if (row.side, row.slug) == ("source", "role-missing"))
    for side, engine in (("source", "service"), ("target", "embedded")):
        job, begun = job_for(ServiceError(row, "source", ""), monkeypatch, error=Denied("host", origin=side))
        job.source = UNSEEN
        assert (choice.run(job, None).engine, begun) == (engine, ["service", "embedded"])


@pytest.mark.parametrize(
    "words",
    [
        "Error copying blobs",
        "The remote server may not be RFC 7233 compliant",
        "No value specified for Docker-Content-Digest OK OK {}",
        "The image has more than 50 manifests",
        "InternalServerError",
        "(InvalidParameters) An error occurred when getting manifest. StatusCode: 429, Reason: Too Many Requests",
        "Invalid message 429 Too Many Requests Too Many Requests (HAP429).",
    ],
)
def test_troubles_that_are_the_services_own(words):
    """By what it says: written once more here, so that an emptied catalogue is noticed."""
    assert understand(words).known.elsewhere


@pytest.mark.parametrize(
    ("patience", "left", "elsewhere"), [(1.0, 100.0, True), (1.0, 0.0, False), (None, 100.0, False)]
)
def test_service_that_is_too_slow_to_begin_leaves_the_rest_to_the_other_engine(patience, left, elsewhere):
    """Its patience may end before there is an operation; where all the time is over, nobody has a rest."""

    def connected():
        raise TimedOut(1.0)

    target, place = SimpleNamespace(is_acr=True), SimpleNamespace(name="a:1")
    job = SimpleNamespace(target=target, targets=[place], reference="r.test/a:1", connected=connected)
    job.deadline = Deadline(left)
    assert choice.is_elsewhere(import_by_service(job, "", None, patience).item.error) is elsewhere


def test_no_other_engine_when_time_is_over(monkeypatch):
    """Both have one deadline."""
    job, begun = job_for(ServiceError(TIMED_OUT, "arm", ""), monkeypatch)
    job.deadline = Deadline(0.0)
    choice.run(job, None)
    assert begun == ["embedded", "service"]


@pytest.mark.parametrize(
    ("configured", "seconds"),
    [("", choice.PATIENCE), ("600", 600.0), ("1.5", 1.5), ("²", choice.PATIENCE), ("long", choice.PATIENCE)],
)
def test_patience_is_configured_as_a_number(configured, seconds):
    """Whatever else stands there is none; superscripts are digits, and no numbers."""
    config = SimpleNamespace(get=lambda section, name, fallback: configured)
    job = SimpleNamespace(cli_ctx=SimpleNamespace(config=config), deadline=SimpleNamespace(left=None))
    assert choice.patience(job) == seconds
