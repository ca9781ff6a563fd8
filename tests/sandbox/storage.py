# SPDX-License-Identifier: MIT
"""What a registry holds: blobs as files in a folder, everything else in memory. Standard library only."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from .server import BLOCK

DIGEST = re.compile(r"(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128})")


def digest_of(raw: bytes, algorithm: str = "sha256") -> str:
    """``algorithm:hex``."""
    return f"{algorithm}:{hashlib.new(algorithm, raw).hexdigest()}"


def now() -> str:
    """As ACR writes times."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def upload_state(name: str, identifier: str, offset: int) -> str:
    """As ACR keeps it at the client: 32 bytes of a keyed hash, and where the upload stands."""
    facts = {"Name": name, "UUID": identifier, "Offset": offset, "StartedAt": now()}
    return base64.urlsafe_b64encode(secrets.token_bytes(32) + json.dumps(facts).encode()).decode()


@dataclass
class StoredManifest:
    """The bytes as they came, and when."""

    raw: bytes
    media_type: str
    created: str = field(default_factory=now)


@dataclass
class UploadSession:
    """Bytes that are on their way to become a blob. ``states``: those that are good now; they change with a chunk."""

    path: Path
    states: list[str]
    size: int = 0


@dataclass
class Repository:
    """Digests of blobs, manifests by digest, tags, open uploads."""

    blobs: set[str] = field(default_factory=set)
    manifests: dict[str, StoredManifest] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    tagged: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, UploadSession] = field(default_factory=dict)


class Storage:
    """One registry's content. Blob bytes are kept once; a repository sees only those that it holds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.repositories: dict[str, Repository] = {}
        self.lock = threading.RLock()

    def repository(self, name: str) -> Repository:
        """The repository, made when it is not there."""
        with self.lock:
            return self.repositories.setdefault(name, Repository())

    def blob_path(self, digest: str) -> Path:
        """Where the bytes are."""
        return self._folder / digest.replace(":", "-")

    def begin_upload(self, name: str) -> tuple[str, UploadSession]:
        """A new session and its identifier."""
        identifier = secrets.token_hex(16)
        session = UploadSession(self._folder / f"upload-{identifier}", [upload_state(name, identifier, 0)])
        session.path.touch()
        self.repository(name).uploads[identifier] = session
        return identifier, session

    def finish_upload(self, name: str, identifier: str, digest: str) -> bool:
        """Turn the session into a blob. False, and nothing stored, when the bytes hash to something else."""
        repository = self.repository(name)
        session = repository.uploads.pop(identifier)
        hasher = hashlib.new(digest.split(":")[0])
        with session.path.open("rb") as stream:
            while block := stream.read(BLOCK):
                hasher.update(block)
        if f"{digest.split(':')[0]}:{hasher.hexdigest()}" != digest:
            session.path.unlink()
            return False
        session.path.replace(self.blob_path(digest))
        repository.blobs.add(digest)
        return True

    def drop_upload(self, name: str, identifier: str) -> None:
        """Forget a session."""
        repository = self.repositories.get(name)
        session = repository.uploads.pop(identifier, None) if repository else None
        if session:
            session.path.unlink(missing_ok=True)

    def put_blob(self, name: str, raw: bytes) -> str:
        """Store a blob that is at hand; its digest."""
        digest = digest_of(raw)
        self.blob_path(digest).write_bytes(raw)
        self.repository(name).blobs.add(digest)
        return digest

    def read_blob(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Blocks from ``start`` to before ``end``."""
        with self.blob_path(digest).open("rb") as stream:
            stream.seek(start)
            left = (self.blob_path(digest).stat().st_size if end is None else end) - start
            while left > 0 and (block := stream.read(min(BLOCK, left))):
                left -= len(block)
                yield block
