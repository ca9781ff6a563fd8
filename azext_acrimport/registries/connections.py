# SPDX-License-Identifier: MIT
"""How hosts are reached: certificates where docker and podman keep them, plain http where the user has allowed it.

https://docs.docker.com/engine/security/certificates/ and
https://github.com/containers/image/blob/main/docs/containers-certs.d.5.md
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..engine import CredentialError, Origin, TransportOptions
from .docker_config import home_folder


@contextlib.contextmanager
def options_for(cli_ctx: Any, host: str, side: Origin, *, plain_http: bool = False) -> Iterator[TransportOptions]:
    """For one registry, while it is needed. ``plain_http``: a batch file allows it.

    Raises CredentialError for a client certificate without its key, and for what cannot be read.
    """
    from azure.cli.core.util import get_az_user_agent

    authorities, certificate = _certificates(host, side)
    with _one_file(authorities, host, side) as authority:
        options: dict[str, Any] = {
            "user_agent": f"acrimport {get_az_user_agent()}",
            "plain_http_hosts": _plain_http_hosts(cli_ctx) | ({host} if plain_http else set()),
            "authorities": {host: authority} if authority else {},
            "certificates": {host: certificate} if certificate else {},
        }
        if os.environ.get("AZURE_CLI_DISABLE_CONNECTION_VERIFICATION"):
            options["verify"] = False
        yield TransportOptions(**options)


@contextlib.contextmanager
def _one_file(paths: list[Path], host: str, side: Origin) -> Iterator[str | None]:
    """The path of all of them in one, which is what ``requests`` takes."""
    if len(paths) < 2:
        yield str(paths[0]) if paths else None
        return
    with tempfile.TemporaryDirectory(prefix="acrimport-") as folder:
        bundle = Path(folder) / "authorities.crt"
        try:
            bundle.write_bytes(b"\n".join(path.read_bytes() for path in paths))
        except OSError as error:
            raise _unreadable(error, host, side) from None
        yield str(bundle)


def _plain_http_hosts(cli_ctx: Any) -> frozenset[str]:
    """``az config set acrimport.plain_http="registry.corp:5000 other.corp"``"""
    return frozenset(cli_ctx.config.get("acrimport", "plain_http", fallback="").lower().replace(",", " ").split())


def _certificates(host: str, side: Origin) -> tuple[list[Path], tuple[str, str] | None]:
    """Authorities and client certificate of the first folder that is named like the host."""
    for place in _places():
        folder = place / host
        if not os.path.isdir(folder):  # nor is one that may not be looked into
            continue
        authorities = sorted(folder.glob("*.crt"))
        for authority in authorities:
            _check_readable(authority, host, side)
        for certificate in sorted(folder.glob("*.cert")):
            _check_readable(certificate, host, side)
            key = certificate.with_suffix(".key")
            if not os.path.lexists(key):
                raise CredentialError(f"{certificate} has no key beside it ({key.name}).", origin=side, subject=host)
            _check_readable(key, host, side)
            return authorities, (str(certificate), str(key))
        return authorities, None
    return [], None


def _check_readable(path: Path, host: str, side: Origin) -> None:
    """At once: what OpenSSL says of it later names no file, and is taken for a network that fails."""
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise _unreadable(error, host, side) from None


def _unreadable(error: OSError, host: str, side: Origin) -> CredentialError:
    return CredentialError(f"{error.filename} cannot be read ({error.strerror}).", origin=side, subject=host)


def _places() -> list[Path]:
    home = home_folder()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    own = [config / "containers" / "certs.d", home / ".docker" / "certs.d"]
    return [*own, Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d")]
