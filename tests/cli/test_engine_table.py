# SPDX-License-Identifier: MIT
"""The table of engines, fact by fact; tests/e2e/test_engines.py has the rows with the real az."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from azext_acrimport.engine import Cancelled, Denied, Firewall, ItemResult, NetworkError, TlsError, Unauthorized
from azext_acrimport.imports import choice
from azext_acrimport.imports.choice import LARGE, TABLE, Facts
from azext_acrimport.registries.directory import Registry

TARGET = Registry("target.azurecr.io", is_acr=True, resource_id="/t")
SOURCE = Registry("source.azurecr.io", is_acr=True, resource_id="/s")


def refusal(kind: type, side: str) -> Exception:
    """Of one side."""
    if kind is NetworkError:
        return NetworkError("host", "timeout", origin=side)
    return kind("host", "words", origin=side) if kind is TlsError else kind("host", origin=side)


def chosen(error=None, moving: int = 0, **facts) -> tuple[str, str]:
    """Engine, and the first words of its reason."""
    options = SimpleNamespace(no_wait=facts.pop("no_wait", False), password=facts.pop("password", None))
    job = SimpleNamespace(
        **{
            "options": options,
            "source": SOURCE,
            "target": TARGET,
            "request": SimpleNamespace(platforms=()),
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
    assert chosen(refusal(kind, side), target=Registry(TARGET.host, is_acr=True))[0] == "embedded"
    outside = chosen(refusal(kind, side), source=Registry("registry.contoso.com"))[0]
    assert outside == (engine if side == "target" else "embedded")


@pytest.mark.parametrize(
    ("facts", "engine"),
    [
        ({}, "service"),
        ({"moving": LARGE}, "embedded"),
        ({"same_tenant": lambda: False}, "embedded"),
        ({"password": "secret"}, "embedded"),
        ({"source": Registry("docker.io")}, "embedded"),
        ({"source": TARGET}, "embedded"),
        ({"request": SimpleNamespace(platforms=("linux/amd64",))}, "embedded"),
    ],
)
def test_much_between_two_registries(facts, engine):
    """Only what moves, only inside one tenant, and only as the same identity."""
    assert chosen(**{"moving": LARGE + 1, **facts})[0] == engine


def test_patience_leaves_time_for_the_other_engine(monkeypatch):
    """Half of --timeout, and never more than what is configured."""
    job = SimpleNamespace(timeout=100.0, cli_ctx=SimpleNamespace(config=SimpleNamespace(get=lambda *_, **__: "")))
    assert choice._patience(job) == 50
    job.timeout = None
    assert choice._patience(job) == choice.PATIENCE


def test_nothing_is_begun_after_an_interruption(monkeypatch):
    """Also when the service has been chosen the moment before."""

    def interrupted(job, go_on, *_):
        assert not go_on(SimpleNamespace(result=SimpleNamespace(bytes=SimpleNamespace(copied=LARGE + 1)), counted=True))
        return ItemResult("source", ("target",), status="cancelled", error=Cancelled())

    begun = []
    monkeypatch.setattr(choice, "copy_here", interrupted)
    monkeypatch.setattr(choice, "import_by_service", lambda *_: begun.append(1))
    options = SimpleNamespace(no_wait=False, password=None, engine="auto", dry_run=False)
    request = SimpleNamespace(platforms=())
    job = SimpleNamespace(options=options, source=SOURCE, target=TARGET, request=request, same_tenant=lambda: True)
    job.renewed = lambda: job
    job.timeout, job.cli_ctx = 100.0, SimpleNamespace(config=SimpleNamespace(get=lambda *_, **__: ""))
    assert choice.run(job, None).item.status == "cancelled"
    assert not begun
