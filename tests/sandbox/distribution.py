# SPDX-License-Identifier: MIT
"""Debian's docker-registry as the content behind a front: a real registry where the embedded one would be."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from .server import BLOCK, Request, Response

PROGRAM = "docker-registry"
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "date", "host", "authorization"}

CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}", relativeurls: true}}
"""


def available() -> bool:
    """True when the program is on PATH."""
    return shutil.which(PROGRAM) is not None


class Distribution:
    """One process with its storage in a folder; called like the embedded registry.

    With ``wait=False`` it may still be starting: the first request waits, so that many can start at once.
    """

    def __init__(self, folder: Path, *, wait: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = folder / "config.yml"
        config.write_text(CONFIG.format(folder=folder / "data", port=self.port))
        with (folder / "log.txt").open("wb") as log:
            self._process = subprocess.Popen([PROGRAM, "serve", str(config)], stdout=log, stderr=log)
        self._log = folder / "log.txt"
        self._ready = False
        if wait:
            self.wait()

    def stop(self) -> None:
        """End the process that was started here."""
        self._process.terminate()
        self._process.wait(timeout=10)

    def __call__(self, request: Request) -> Response:
        if not self._ready:
            self.wait()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        target = request.path + (f"?{urlencode(request.query)}" if request.query else "")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        if request.headers.get_all("Accept"):  # skopeo writes a line for each type
            headers["Accept"] = ", ".join(request.headers.get_all("Accept"))
        length = request.headers.get("Content-Length", "0")
        connection.putrequest(request.method, target, skip_accept_encoding=True)
        for name, value in {**headers, "Content-Length": length}.items():
            connection.putheader(name, value)
        connection.endheaders()
        try:
            while block := request.body.read():
                connection.send(block)
        except ConnectionError:
            connection.close()
            raise
        answer = connection.getresponse()
        return self._response(request, connection, answer)

    def _response(
        self, request: Request, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
    ) -> Response:
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
        if "Location" in headers:
            parts = urlsplit(headers["Location"])
            headers["Location"] = parts._replace(scheme="", netloc="").geturl()
        if request.method == "HEAD":
            length = answer.getheader("Content-Length") or "0"
            connection.close()
            return Response(answer.status, {**headers, "Content-Length": length})
        length_header = answer.getheader("Content-Length")
        if length_header is None or int(length_header) <= BLOCK:
            body = answer.read()
            connection.close()
            return Response(answer.status, headers, body)
        return Response(answer.status, headers, _blocks(connection, answer), int(length_header))

    def wait(self) -> None:
        """Until it accepts connections."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                self._ready = True
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"{PROGRAM} did not start: {self._log.read_text()}")


def _blocks(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while block := answer.read(BLOCK):
            yield block
    finally:
        connection.close()
