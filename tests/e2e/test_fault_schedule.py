# SPDX-License-Identifier: MIT
"""The schedule of faults once more, a part of it through the real az: what it says and what it leaves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.property.test_fault_schedule import ANSWERS, BODIES, SENT
from tests.sandbox import images
from tests.sandbox.server import Response
from tests.support.content import tag_digest, tree

TARGET, MCR = "myregistry.azurecr.io", "mcr.microsoft.com"
# without the waits that are as long as real ones
ANSWERED = {name: trouble for name, trouble in ANSWERS.items() if name != "silence"}
BROKEN = {
    name: BODIES[name] for name in ("reset at the middle byte", "end at the last byte", "wrong first byte", "short")
}
# 3: something does not exist, as a registry may say of anything
OUTCOMES = ((0, True), (1, False), (3, False))
UPLOADED = {"stored, and not said": {"lost": True}, "said, and not stored": {"answer": Response(201)}}
STEPS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "manifest": ({"host": MCR, "method": "GET", "path": "/v2/.*/manifests/.*"}, {**ANSWERED, **BROKEN}),
    "blob": ({"host": ".*data.mcr.*", "method": "GET", "path": ".*"}, {**ANSWERED, **BROKEN}),
    "token": ({"host": TARGET, "method": "POST", "path": "/oauth2/token"}, {**ANSWERED, **BROKEN}),
    "upload": ({"host": TARGET, "method": "POST", "path": "/v2/.*/uploads/"}, ANSWERED),
    "put": ({"host": TARGET, "method": "PUT", "path": "/v2/.*/uploads/.*"}, {**ANSWERED, **SENT, **UPLOADED}),
    "tag": ({"host": TARGET, "method": "PUT", "path": "/v2/.*/manifests/1"}, {**ANSWERED, "lost": {"lost": True}}),
}  # fmt: skip


def test_schedule_is_long():
    """As many as were promised."""
    assert sum(len(troubles) for _, troubles in STEPS.values()) >= 50


@pytest.mark.parametrize("step", STEPS)
def test_trouble_leaves_the_tag_complete_or_as_it_was(sandbox, az, step):
    """The result says which; a second run ends the work."""
    where, troubles = STEPS[step]
    outcomes = []
    with az.many() as run:
        for number, (kind, trouble) in enumerate(troubles.items()):
            name = f"schedule/{step}-{number}"
            image = images.image(name, (3000, 200)).push(sandbox.content(MCR), name, "1")
            words = ("acr", "import", "-n", "myregistry", "--source", f"{MCR}/{name}:1", "-t", f"{name}:1")
            fault = sandbox.faults.add(**where, **trouble)
            result = run(*words, "--engine", "embedded")
            assert fault.seen, kind
            named = tag_digest(sandbox.content(TARGET), name, "1")
            assert "Traceback" not in result.stderr, kind
            assert (result.code, result.json["error"] is None) in OUTCOMES, (kind, result.stderr)
            if result.code == 0:
                assert named == image.digest, kind
            else:
                assert result.json["error"]["side"] == ("source" if step in ("manifest", "blob") else "target"), kind
            assert named in (None, image.digest), kind
            sandbox.faults.clear()
            assert run(*words, "--engine", "embedded").code == 0, kind
            assert tree(sandbox.content(TARGET), name, "1") == tree(sandbox.content(MCR), name, "1")
            outcomes.append(result.code)
    assert 0 in outcomes
