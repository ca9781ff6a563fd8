# SPDX-License-Identifier: MIT
"""Recorded conversations, replayed without any server: what we ask of Azure and in which order does not drift."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox import profile
from tests.sandbox.world import OWNER, World
from tests.support.az import Az

from .scenarios import EXPECTED, SCENARIOS
from .scrub import REDACTED, Scrubber

pytestmark = pytest.mark.az

ROOT = Path(__file__).parent.parent.parent
CASSETTES = Path(__file__).parent / "cassettes"
# a few small images; more would be a sign that something else is being recorded
MAX_BYTES = 150_000


@pytest.mark.parametrize("name", SCENARIOS)
def test_cassette_is_replayed(name, extensions, tmp_path):
    """Every recorded answer is asked for, nothing else is, and the result is the same."""
    az = Az(tmp_path, {"HTTPS_PROXY": "http://127.0.0.1:1"}, extensions=extensions)
    profile.sign_in(az.config, World())
    path = CASSETTES / f"{name}.yaml"
    words = [sys.executable, "-m", "tests.cassette.harness", "replay", str(path), *SCENARIOS[name].split()]
    done = subprocess.run(words, cwd=ROOT, env=az.environment, capture_output=True, text=True, timeout=100)
    code, members = EXPECTED[name]
    assert done.returncode == code, done.stderr
    result = json.loads(done.stdout)
    assert {member: result[member] for member in members} == members


@pytest.mark.parametrize("name", SCENARIOS)
def test_cassette_is_small_marked_and_holds_no_secret(name):
    """A few KB; where it is from; no token of any kind."""
    text = (CASSETTES / f"{name}.yaml").read_text()
    assert len(text) < MAX_BYTES
    assert text.startswith(("recorded_from: sandbox\n", "recorded_from: azure\n"))
    assert OWNER.secret not in text
    assert not re.search(r"eyJ[A-Za-z0-9_-]+\.", text), "a JSON Web Token"
    assert not re.search(r"(?i)^\s*authorization:", text, re.MULTILINE)
    assert set(re.findall(r"sig=([^&\s'\"]+)", text)) <= {REDACTED}


def test_names_of_a_real_subscription_are_replaced():
    """In addresses and in what ARM says; manifests and blobs stay as they are."""
    scrubber = Scrubber({"contosoprod": "myregistry"})
    types = {
        "Content-Type": ["application/json"],
        "Content-Length": ["99"],
        "Location": ["https://contosoprod.azurecr.io"],
    }
    said = {"loginServer": "contosoprod.azurecr.io", "access_token": "secret"}
    response = scrubber.response({"headers": types, "body": {"string": json.dumps(said).encode()}})
    assert json.loads(response["body"]["string"]) == {"loginServer": "myregistry.azurecr.io", "access_token": REDACTED}
    assert response["headers"]["Content-Length"] == [str(len(response["body"]["string"]))]
    assert response["headers"]["Location"] == ["https://myregistry.azurecr.io"]
    blob = {"headers": {"Content-Type": ["application/octet-stream"]}, "body": {"string": b"contosoprod"}}
    assert scrubber.response(blob)["body"]["string"] == b"contosoprod"
