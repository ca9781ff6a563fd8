# SPDX-License-Identifier: MIT
"""How hosts are reached: certificates where docker and podman keep them, plain http where the user has allowed it.

https://docs.docker.com/engine/security/certificates/ and
https://github.com/containers/image/blob/main/docs/containers-certs.d.5.md
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .engine import CredentialError, Origin, TransportOptions


def options_for(cli_ctx: Any, host: str, side: Origin) -> TransportOptions:
    """For one registry. Raises CredentialError for a client certificate without its key."""
    from azure.cli.core.util import get_az_user_agent

    authority, certificate = _certificates(host, side)
    options: dict[str, Any] = {
        "user_agent": f"acrimport {get_az_user_agent()}",
        "plain_http_hosts": _plain_http_hosts(cli_ctx),
        "authorities": {host: authority} if authority else {},
        "certificates": {host: certificate} if certificate else {},
    }
    if os.environ.get("AZURE_CLI_DISABLE_CONNECTION_VERIFICATION"):
        options["verify"] = False
    return TransportOptions(**options)


def _plain_http_hosts(cli_ctx: Any) -> frozenset[str]:
    """``az config set acrimport.plain_http="registry.corp:5000 other.corp"``"""
    return frozenset(cli_ctx.config.get("acrimport", "plain_http", fallback="").lower().replace(",", " ").split())


def _certificates(host: str, side: Origin) -> tuple[str | None, tuple[str, str] | None]:
    """CA bundle and client certificate of the first folder that is named like the host."""
    for place in _places():
        folder = place / host
        if not folder.is_dir():
            continue
        authorities = sorted(folder.glob("*.crt"))
        for certificate in sorted(folder.glob("*.cert")):
            key = certificate.with_suffix(".key")
            if not key.is_file():
                raise CredentialError(f"{certificate} has no key beside it ({key.name}).", origin=side, subject=host)
            return _text(authorities), (str(certificate), str(key))
        return _text(authorities), None
    return None, None


def _places() -> list[Path]:
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    own = [config / "containers" / "certs.d", Path.home() / ".docker" / "certs.d"]
    return [*own, Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d")]


def _text(paths: list[Path]) -> str | None:
    return str(paths[0]) if paths else None
