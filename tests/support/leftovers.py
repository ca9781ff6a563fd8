# SPDX-License-Identifier: MIT
"""What a test, or what it has used, may have left behind: threads, sockets, temporary files, upload sessions."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3.connection

from azext_acrimport.engine.cancellation import PARTING, Cancellation
from azext_acrimport.engine.copy import driver
from azext_acrimport.engine.registry import upload
from azext_acrimport.engine.transport.transport import Transport
from tests.sandbox.storage import Storage

# Seconds for threads to come to their end, and for uploads to be cancelled: they have been told, and the machine may be
# busy.
PATIENCE = 30.0


class Leftovers:
    """Watches from its making on; ``check`` closes what a test may leave to be closed, and looks at the rest."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self._transports: weakref.WeakSet[Transport] = weakref.WeakSet()
        self._storages: list[Storage] = []  # kept: whether one is still alive would else depend on the collector
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._folder = folder
        self._note(patch, Transport, self._transports.add)
        self._note(patch, Storage, self._storages.append)
        connect = urllib3.connection.connection.create_connection

        def noted(*args: Any, **kwargs: Any) -> socket.socket:
            made = connect(*args, **kwargs)
            self._sockets.add(made)
            return made

        self._hurried = False
        end = Cancellation.cancel

        def cancelled(cancellation: Cancellation, grace: float = 0.0) -> None:
            self._hurried |= grace < PARTING
            end(cancellation, grace)

        patch.setattr(Cancellation, "cancel", cancelled)
        for module in (driver, upload):
            patch.setattr(module, "PARTING", PATIENCE)
        patch.setattr(urllib3.connection.connection, "create_connection", noted)
        patch.setattr(tempfile, "tempdir", str(folder))

    @staticmethod
    def _note(patch: pytest.MonkeyPatch, kind: type, keep: Callable[[Any], None]) -> None:
        begin = kind.__init__

        def noted(self: Any, *args: Any, **kwargs: Any) -> None:
            begin(self, *args, **kwargs)
            keep(self)

        patch.setattr(kind, "__init__", noted)

    def check(self, *, sessions: bool = True) -> None:
        """Whatever is left is a fault. ``sessions``: whether uploads that are open count.

        They never do where somebody was in a hurry: the user, or a run that had waited for its farewells in vain.
        """
        deadline = time.monotonic() + PATIENCE
        ours = [thread for thread in threading.enumerate() if thread.name.startswith("acrimport")]
        for thread in ours:
            thread.join(max(0.0, deadline - time.monotonic()))
        assert not [thread.name for thread in ours if thread.is_alive()], "threads are left"
        for transport in list(self._transports):
            transport.close()
        assert not [made for made in self._sockets if made.fileno() >= 0], "connections are left"
        assert not list(self._folder.iterdir()), "temporary files are left"
        if sessions and not self._hurried:
            open_uploads = [
                f"{name}/{identifier}"
                for storage in self._storages
                for name, repository in storage.repositories.items()
                for identifier in repository.uploads
            ]
            assert not open_uploads, "upload sessions are left"
