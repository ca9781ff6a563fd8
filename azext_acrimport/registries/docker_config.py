# SPDX-License-Identifier: MIT
"""What ``docker login`` and ``podman login`` left behind: files with credentials, and programs that keep them.

https://docs.docker.com/reference/cli/docker/login/#credential-stores and
https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import errno
import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

from ..engine import Credential, CredentialError, Origin

# Docker Hub's name in these files, since before it had another.
HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")
# Of an address, as older programs wrote it, docker takes the host.
URL = re.compile(r"https?://([^/]+).*")
# A helper may have to unlock a keychain, but must not keep a pipeline waiting: seconds.
HELPER_TIMEOUT = 20.0
# They are programs on PATH, and nothing that leads elsewhere.
HELPER = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
# Bytes; as much as a token service may answer.
MAX_ANSWER = 128 * 1024
# Variables in which a user gives secrets to this extension.
OURS = "ACRIMPORT_"
# What helpers print, to stdout, when they simply know nothing; it is no failure.
NOT_FOUND = ("credentials not found", "no credentials")


def find_credential(registry: str, repository: str, side: Origin) -> Credential | None:
    """The first of all files that knows the registry. Raises CredentialError for a file or helper that is broken."""
    for path in config_files():
        found = _in_file(path, registry, repository, side)
        if found is not None:
            return found
    return None


def config_files() -> list[Path]:
    """The files that are there, the more particular first; one that the environment names rules out the others.

    What is in a folder of somebody else, as ``sudo docker login`` leaves one behind, is not there: hence os.path, since
    pathlib raises.
    """
    if os.environ.get("REGISTRY_AUTH_FILE"):
        return [Path(os.environ["REGISTRY_AUTH_FILE"])]
    if os.environ.get("DOCKER_CONFIG"):
        return [path for path in [Path(os.environ["DOCKER_CONFIG"]) / "config.json"] if os.path.isfile(path)]
    home = home_folder()
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    places = [home / ".docker" / "config.json", config / "containers" / "auth.json"]
    places += [Path(runtime) / "containers" / "auth.json"] if runtime else []
    return [path for path in places if os.path.isfile(path)]


def home_folder() -> Path:
    """As az has it: pathlib raises for a user who has none."""
    return Path(os.path.expanduser("~"))


def _keys(registry: str, repository: str) -> list[str]:
    """Under which a credential may stand: podman's for a part of the registry, the longest first, then the host's."""
    parts = repository.split("/") if repository else []
    within = [f"{registry}/{'/'.join(parts[:length])}" for length in range(len(parts), 0, -1)]
    if registry == "docker.io":
        return [*within, *HUB_KEYS]
    return [*within, registry]


def _in_file(path: Path, registry: str, repository: str, side: Origin) -> Credential | None:
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = "could not be read" if isinstance(error, OSError) else "is not JSON"
        raise CredentialError(f"{path} {why}.", origin=side, subject=registry) from None
    if not isinstance(config, dict):
        raise CredentialError(f"{path} is not a JSON object.", origin=side, subject=registry)
    keys = _keys(registry, repository)
    helpers = _object(config, "credHelpers")
    for key in keys:
        if isinstance(helpers.get(key), str) and helpers[key]:
            return _from_helper(helpers[key], key, registry, side)
    if isinstance(config.get("credsStore"), str) and config["credsStore"]:
        server = HUB_KEYS[0] if registry == "docker.io" else registry
        found = _from_helper(config["credsStore"], server, registry, side)
        if found is not None:
            return found
    auths = _object(config, "auths")
    auths = {URL.sub(r"\1", key): auths[key] for key in auths} | auths
    entry = next((auths[key] for key in keys if isinstance(auths.get(key), dict) and auths[key]), None)
    return _from_entry(entry, path, registry, side) if entry else None


def _from_entry(entry: dict[str, Any], path: Path, registry: str, side: Origin) -> Credential:
    mode = f"the credential in {path}"
    if entry.get("identitytoken"):
        return Credential(mode=mode, refresh_token=str(entry["identitytoken"]))
    try:
        pair = base64.b64decode(str(entry.get("auth", "")), validate=True).decode("utf-8").rstrip("\0")
    except (binascii.Error, UnicodeDecodeError):
        pair = ""
    username, colon, password = pair.partition(":")
    if not colon:
        username, password = str(entry.get("username", "")), str(entry.get("password", ""))
    if not password:
        raise CredentialError(f"{path} has no usable credential for {registry}.", origin=side, subject=registry)
    return Credential(mode=mode, username=username, password=password)


def _from_helper(name: str, server: str, registry: str, side: Origin) -> Credential | None:
    """https://github.com/docker/docker-credential-helpers: the server on stdin, JSON on stdout, no secret in argv."""

    def broken(why: str) -> CredentialError:
        return CredentialError(f"The credential helper docker-credential-{name} {why}.", origin=side, subject=registry)

    if not HELPER.fullmatch(name):
        raise broken("is not called as a program can be")
    program = shutil.which(f"docker-credential-{name}")
    if program is None:
        raise broken("is not on PATH")
    try:
        code, raw = _asked(program, server)
    except subprocess.TimeoutExpired:
        raise broken(f"gave no answer within {HELPER_TIMEOUT:.0f} s") from None
    except OSError as error:
        raise broken(f"could not be started ({error.strerror})") from None
    if len(raw) > MAX_ANSWER:
        raise broken(f"answered with more than {MAX_ANSWER} bytes")
    said = raw.decode("utf-8", "replace").strip()
    if code:
        if any(words in said.lower() for words in NOT_FOUND):
            return None
        raise broken(f"failed with exit code {code}")
    try:
        return _from_answer(json.loads(said), f"the credential helper docker-credential-{name}")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise broken("answered with something that is no credential") from None


def _from_answer(answer: Any, mode: str) -> Credential | None:
    """Raises KeyError and TypeError for what is no credential; an empty secret is none, too."""
    username, secret = str(answer["Username"]), str(answer["Secret"])
    if username == "<token>":
        return Credential(mode=mode, refresh_token=secret)
    return Credential(mode=mode, username=username, password=secret) if secret else None


def _asked(program: str, server: str) -> tuple[int, bytes]:
    """Exit code, and what it prints, one byte beyond the limit at most. Raises TimeoutExpired and OSError.

    It gets the environment but for what is meant for us alone.
    """
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith(OURS)}
    pipe, raw = subprocess.PIPE, bytearray()
    process = subprocess.Popen([program, "get"], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment)
    assert process.stdin and process.stdout
    answer = process.stdout

    def read() -> None:
        while len(raw) <= MAX_ANSWER and (block := answer.read1(MAX_ANSWER + 1 - len(raw))):
            raw.extend(block)
        answer.close()

    reader = threading.Thread(target=read, daemon=True)  # what it leaves behind may hold its output open
    try:
        try:
            reader.start()
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, "no more threads are allowed") from error
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(server.encode())
        reader.join(HELPER_TIMEOUT)
        if reader.is_alive():
            raise subprocess.TimeoutExpired(program, HELPER_TIMEOUT)
        return (0 if len(raw) > MAX_ANSWER else process.wait(HELPER_TIMEOUT)), bytes(raw)
    finally:
        process.kill()
        process.wait()


def _object(config: dict[str, Any], member: str) -> dict[str, Any]:
    value = config.get(member)
    return value if isinstance(value, dict) else {}
