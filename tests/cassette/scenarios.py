# SPDX-License-Identifier: MIT
"""The commands that are recorded, in the order of the recording: each finds what those before it have left."""

from __future__ import annotations

SCENARIOS = {
    "dry_run": "acr import -n myregistry --source mysourceregistry.azurecr.io/tiny/app:1 -t cassette/app:1 --dry-run",
    "acr_to_acr": "acr import -n myregistry --source mysourceregistry.azurecr.io/tiny/app:1 -t cassette/app:1",
    "unchanged": "acr import -n myregistry --source mysourceregistry.azurecr.io/tiny/app:1 -t cassette/app:1",
    "promotion": "acr import -n myregistry --source myregistry.azurecr.io/cassette/app:1 -t cassette/promoted:1",
    "docker_hub": "acr import -n myregistry --source docker.io/library/tiny:1 -t cassette/hub:1",
    "conflict": "acr import -n myregistry --source docker.io/library/tiny:1 -t cassette/app:1",
    "missing": "acr import -n myregistry --source docker.io/library/tiny:99 -t cassette/hub:99",
}

# exit code, and members of the result
EXPECTED = {
    "dry_run": (0, {"status": "planned", "blobs": {"copied": 6, "mounted": 0, "existing": 0}}),
    "acr_to_acr": (0, {"status": "copied", "manifests": 3, "blobs": {"copied": 6, "mounted": 0, "existing": 0}}),
    "unchanged": (0, {"status": "unchanged"}),
    "promotion": (0, {"status": "copied", "blobs": {"copied": 0, "mounted": 6, "existing": 0}}),
    "docker_hub": (0, {"status": "copied", "source": "docker.io/library/tiny:1"}),
    "conflict": (1, {"status": "failed"}),
    "missing": (3, {"status": "failed"}),
}
