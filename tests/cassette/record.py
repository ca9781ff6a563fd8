# SPDX-License-Identifier: MIT
"""``python -m tests.cassette.record``: record all cassettes again.

From the sandbox by default. ``--real`` records from Azure: ACRIMPORT_RECORD_CONFIG names an az configuration folder in
which a service principal has signed in, ACRIMPORT_RECORD_NAMES is JSON from real names (registries, subscription,
tenant, client id) to those that the scenarios use; the images that they name must be there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.sandbox import images
from tests.sandbox.sandbox import Sandbox
from tests.support.az import Az

from .scenarios import SCENARIOS

ROOT = Path(__file__).parent.parent.parent
CASSETTES = Path(__file__).parent / "cassettes"


def record(place: Path, environment: dict[str, str], names: dict[str, str], configure: Callable[[Path], None]) -> None:
    """All scenarios, one after the other; each signs in anew, so that the sign-in is part of every cassette."""
    for name, words in SCENARIOS.items():
        az = Az(place / name, environment, extensions=place / "extensions")
        configure(az.config)
        path = CASSETTES / f"{name}.yaml"
        path.unlink(missing_ok=True)
        for real, shown in names.items():
            words = words.replace(shown, real)
        command = [sys.executable, "-m", "tests.cassette.harness", "record", str(path), *words.split()]
        done = subprocess.run(command, cwd=ROOT, env=az.environment, capture_output=True, text=True)
        if not path.exists():
            sys.exit(f"{name}: {done.stderr}")
        print(f"{name}: exit code {done.returncode}, {path.stat().st_size // 1024} KB")


def tiny() -> images.Artifact:
    """Two platforms of two layers."""
    return images.index(
        [(p, images.image(f"tiny-{p}", (60, 90), platform=p)) for p in ("linux/amd64", "linux/arm64/v8")]
    )


def main() -> None:
    """Install the extension into a folder of its own, then record."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        target = place / "extensions" / "acrimport"
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "--target",
            str(target),
        ]
        subprocess.run([*pip, str(ROOT)], check=True)
        if "--real" in sys.argv:
            names = json.loads(os.environ["ACRIMPORT_RECORD_NAMES"])
            real = {"ACRIMPORT_RECORDED_FROM": "azure", "ACRIMPORT_RECORD_NAMES": json.dumps(names)}
            record(place, real, names, copied_from(Path(os.environ["ACRIMPORT_RECORD_CONFIG"])))
            return
        with Sandbox(place / "sandbox") as sandbox:
            tiny().push(sandbox.content("mysourceregistry.azurecr.io"), "tiny/app", "1")
            # another manifest than the one above, so that the conflict is one
            images.index([("linux/amd64", images.image("hub"))]).push(sandbox.content("docker.io"), "library/tiny", "1")
            record(place, sandbox.environment(), {}, sandbox.sign_in)


def copied_from(signed_in: Path) -> Callable[[Path], None]:
    """The profile and the service principal's entry, without the tokens that are cached beside them."""

    def configure(config: Path) -> None:
        for name in ("azureProfile.json", "service_principal_entries.json"):
            shutil.copy(signed_in / name, config)

    return configure


if __name__ == "__main__":
    main()
