# SPDX-License-Identifier: MIT
"""An az configuration folder in which somebody has signed in already; the form is az's own."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from .world import OWNER, Principal, World

# What az asks once a week to see whether there is a newer one; here there never is.
VERSIONS = {"azure-cli": "2.91.0", "core": "2.91.0", "telemetry": "1.1.0"}


def sign_in(config: Path, world: World, principal: Principal = OWNER) -> None:
    """What ``az login --service-principal`` leaves behind. Tokens are fetched when they are needed."""
    quiet(config)
    user = {"name": principal.id, "type": "servicePrincipal"}
    subscriptions = [
        {
            "id": identifier,
            "name": name,
            "state": "Enabled",
            "user": user,
            "isDefault": number == 0,
            "tenantId": world.tenant,
            "homeTenantId": world.tenant,
            "environmentName": "AzureCloud",
            "managedByTenants": [],
        }
        for number, (identifier, name) in enumerate(world.subscriptions.items())
    ]
    entry = {"client_id": principal.id, "tenant": principal.tenant, "client_secret": principal.secret}
    (config / "azureProfile.json").write_text(json.dumps({"subscriptions": subscriptions}))
    (config / "service_principal_entries.json").write_text(json.dumps([entry]))


def quiet(config: Path) -> None:
    """Keep az from asking for newer versions of itself."""
    config.mkdir(parents=True, exist_ok=True)
    versions = {name: {"local": version} for name, version in VERSIONS.items()}
    (config / "versionCheck.json").write_text(json.dumps({"versions": versions, "update_time": str(datetime.now())}))
