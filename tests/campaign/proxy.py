"""A TCP proxy on loopback that can be slow, cut or silent: the network between two processes."""

import asyncio
from contextlib import suppress

CHUNK = 65_536


class Proxy:
    """Carries every connection to one port, as well as it is told to."""

    def __init__(self, target_port: int, port: int = 0) -> None:
        self.target_port = target_port
        self.port = port
        self.delay_s = 0.0
        """Each chunk waits so long on its way."""
        self.refuses = False
        """Whether a new connection is cut at once."""
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen, and give the port."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    def silence(self, *, on: bool) -> None:
        """Hold back every byte, or let them flow again: neither side is told."""
        if on:
            self._flows.clear()
        else:
            self._flows.set()

    def cut(self) -> int:
        """Break all connections, and give how many there were."""
        for writer in self._writers:
            writer.transport.abort()
        return len(self._writers)

    def heal(self) -> None:
        """Carry everything at once again."""
        self.delay_s, self.refuses = 0.0, False
        self.silence(on=False)

    async def close(self) -> None:
        """Break all connections and listen no more."""
        self.heal()
        if self._server is not None:
            self._server.close()
        self.cut()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        try:
            target = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, target[1]}
        self._writers |= pair
        pumps = {
            asyncio.ensure_future(self._pump(reader, target[1])),
            asyncio.ensure_future(self._pump(target[0], writer)),
        }
        try:
            # The end of one direction is the end of both: neither protocol closes by halves.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for end in pair:
                end.close()
            self._writers -= pair

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(data)
                await writer.drain()
