# SPDX-License-Identifier: MIT
"""``python -m tests.cassette.harness record|replay CASSETTE WORDS…``: one az command inside vcrpy, in this process.

A process for each command: az and MSAL keep state of many kinds in theirs.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import vcr
import yaml
from vcr.serializers import yamlserializer
from vcr.stubs.urllib3_stubs import VCRRequestsHTTPConnection, VCRRequestsHTTPSConnection

from azext_acrimport.engine.transport.pools import POOLS

from .scrub import Scrubber


class Marked:
    """vcrpy's YAML, with a word about where the recording is from."""

    @staticmethod
    def serialize(cassette: dict[str, Any]) -> str:
        """The mark comes first."""
        origin = os.environ.get("ACRIMPORT_RECORDED_FROM", "sandbox")
        return f"recorded_from: {origin}\n{yamlserializer.serialize(cassette)}"

    @staticmethod
    def deserialize(text: str) -> dict[str, Any]:
        """The mark is for people and tests."""
        cassette = yaml.safe_load(text)
        cassette.pop("recorded_from")
        return cassette


def main() -> int:
    """Run, and fail as well when a replay left recorded answers unasked for."""
    mode, path, *words = sys.argv[1:]
    names = json.loads(os.environ.get("ACRIMPORT_RECORD_NAMES", "{}"))
    scrubber = Scrubber(names)
    recorder = vcr.VCR(
        record_mode=vcr.mode.ALL if mode == "record" else vcr.mode.NONE,
        serializer="marked",
        before_record_request=scrubber.request,
        before_record_response=scrubber.response,
        # the engine's pools have connections of their own
        custom_patches=(
            (POOLS["http"], "ConnectionCls", VCRRequestsHTTPConnection),
            (POOLS["https"], "ConnectionCls", VCRRequestsHTTPSConnection),
        ),
    )
    recorder.register_serializer("marked", Marked)
    with recorder.use_cassette(Path(path).as_posix()) as cassette:
        from azure.cli.core import get_default_cli

        # threads and vcrpy lose or mix up answers; one job has no thread
        code = get_default_cli().invoke([*words, "--jobs", "1"])
        if mode == "replay" and not cassette.all_played:
            print("the replay did not ask for all that was recorded", file=sys.stderr)
            return 99
    return code


if __name__ == "__main__":
    sys.exit(main())
