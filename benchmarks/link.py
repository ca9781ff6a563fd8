# SPDX-License-Identifier: MIT
"""A slow link: ``link.py PORT TO [DELAY]``. A relay on loopback whose bytes need 25 ms each way (or so many seconds),
60 MB/s a connection.

A new connection costs a round trip before its first byte, as the greeting of TCP does on a real link.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque

DELAY = float(sys.argv[3]) if __name__ == "__main__" and len(sys.argv) > 3 else 0.025
BYTES_A_SECOND = 60e6
BLOCK = 64 * 1024
# What may be on its way in one direction; with less than rate times round trip the window would be the limit.
IN_FLIGHT = int(BYTES_A_SECOND * DELAY * 3)


class Direction:
    """Bytes from a reader to a writer, each block no earlier than its time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: float) -> None:
        self._reader, self._writer = reader, writer
        self._free = start
        self._blocks: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Until one of the ends closes."""
        sender = asyncio.ensure_future(self._send())
        try:
            while block := await self._reader.read(BLOCK):
                self._put(block)
                while self._held > IN_FLIGHT and not sender.done():
                    await asyncio.sleep(DELAY / 5)
            self._put(b"")
            await sender
        except OSError:
            pass
        finally:
            sender.cancel()
            self._writer.close()

    def _put(self, block: bytes) -> None:
        self._free = max(self._free, asyncio.get_running_loop().time()) + len(block) / BYTES_A_SECOND
        self._blocks.append((self._free + DELAY, block))
        self._held += len(block)
        self._changed.set()

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._blocks:
                self._changed.clear()
                await self._changed.wait()
            due, block = self._blocks[0]
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            self._blocks.popleft()
            self._held -= len(block)
            if not block:
                return
            self._writer.write(block)
            await self._writer.drain()


async def relay(port: int, to: int) -> None:
    """Serve for ever."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        start = asyncio.get_running_loop().time() + 2 * DELAY
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to, limit=2 * BLOCK)
        except OSError:
            writer.close()
            return
        there, back = Direction(reader, far_writer, start), Direction(far_reader, writer, start)
        await asyncio.gather(there.run(), back.run())

    server = await asyncio.start_server(connected, "127.0.0.1", port, limit=2 * BLOCK, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(relay(int(sys.argv[1]), int(sys.argv[2])))
