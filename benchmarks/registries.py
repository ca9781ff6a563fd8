# SPDX-License-Identifier: MIT
"""Registries and links as processes of their own: Debian's docker-registry, and a relay that makes a link slow."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAM = "docker-registry"
CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: false}}}}
storage:
  filesystem: {{rootdirectory: "{folder}", maxthreads: 100}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "127.0.0.1:{port}"{tls}}}
"""
TLS = ', tls: {{certificate: "{folder}/certificate.pem", key: "{folder}/key.pem"}}'

# "GET /v2/… HTTP/1.1": a line of the access log
REQUEST = re.compile(r'"(GET|HEAD|POST|PUT|PATCH|DELETE) /v2/')


class Registry:
    """One process over a storage folder; ``authority``: the folder with a certificate, None for plain http."""

    def __init__(self, storage: Path, work: Path, authority: Path | None) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._log = work / f"{self.port}.log"
        config = work / f"{self.port}.yml"
        tls = TLS.format(folder=authority) if authority else ""
        config.write_text(CONFIG.format(folder=storage, port=self.port, tls=tls))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([PROGRAM, "serve", str(config)], stdout=log, stderr=subprocess.STDOUT)
        wait_for(self.port, self._process)

    def requests(self) -> dict[str, int]:
        """How many requests of each method it has answered."""
        counts: dict[str, int] = {}
        for match in REQUEST.finditer(self._log.read_text(errors="replace")):
            counts[match[1]] = counts.get(match[1], 0) + 1
        return counts

    def processor_seconds(self) -> float:
        """What the process has burnt so far; 0.0 where the system does not tell."""
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / 100
        return 0.0

    def stop(self) -> None:
        """End the process."""
        stop(self._process)


@contextlib.contextmanager
def link(port: int, slow: bool) -> Iterator[str]:
    """An address that leads to this port of this machine: the port itself, or a slow link before it."""
    if not slow:
        yield f"127.0.0.1:{port}"
        return
    own = free_port()
    with link_at(own, port):
        yield f"127.0.0.1:{own}"


@contextlib.contextmanager
def link_at(own: int, port: int, delay: float = 0.025) -> Iterator[None]:
    """A slow link from the one port to the other; ``delay``: seconds each way."""
    relay = Path(__file__).with_name("link.py")
    process = subprocess.Popen([sys.executable, str(relay), str(own), str(port), str(delay)])
    try:
        wait_for(own, process)
        yield
    finally:
        stop(process)


def memory_folder() -> Path | None:
    """Where files are kept in memory; None on systems that have no such place."""
    return next((path for path in map(Path, ("/dev/shm", "/run/shm")) if path.is_dir()), None)


def make_authority(folder: Path, *names: str) -> Path:
    """A private authority and a certificate of 127.0.0.1 and these names, as files; the authority's path."""
    import trustme

    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", *names)
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(folder / "certificate.pem"), append=True)
    return folder / "authority.pem"


def available() -> bool:
    """True when there is a registry to measure with."""
    return shutil.which(PROGRAM) is not None


_given: set[int] = set()


def free_port() -> int:
    """A port of loopback that nobody uses now, and that has not been given before: it may not be in use yet."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def wait_for(port: int, process: subprocess.Popen) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args[0]} did not start")


def stop(process: subprocess.Popen) -> None:
    """End a process that was started here."""
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
