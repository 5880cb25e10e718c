"""What the command of a hook prints: into its log as it comes, without secrets, and the end of it for the journal."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

MOST_BYTES = 1024 * 1024
"""What of one run goes into the log; of a hook that prints without end the rest is read and forgotten."""
TOLD_CHARACTERS = 1000
_PIECE_BYTES = 65_536


class HookOutput:
    """Reads until the pipe ends. Lines are cleaned whole, so that no secret is cut in two."""

    def __init__(self, log: BinaryIO, redact: Callable[[str], str]) -> None:
        self._log, self._redact = log, redact
        self._rest, self._written, self._ours = b"", 0, -1
        self._tail = ""

    @property
    def told(self) -> str:
        """The end of what it said."""
        return self._tail.strip()

    @contextmanager
    def pipe(self) -> Iterator[int]:
        """The end that its processes write to. A pipe of our own: asyncio's is waited for with the process."""
        self._ours, theirs = os.pipe()
        try:
            yield theirs
        finally:
            os.close(theirs)

    async def read(self) -> None:
        """Until all who write have ended; cancelled, what came so far is kept by :meth:`close`."""
        pipe = asyncio.StreamReader()
        file = os.fdopen(self._ours, "rb", buffering=0)
        self._ours = -1
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(pipe), file
        )
        try:
            await self._lines(pipe)
        finally:
            transport.close()

    async def _lines(self, pipe: asyncio.StreamReader) -> None:
        while piece := await pipe.read(_PIECE_BYTES):
            lines, newline, rest = (self._rest + piece).rpartition(b"\n")
            if newline:
                self._keep(lines + newline)
                self._rest = rest
            elif len(rest) > _PIECE_BYTES:
                self._keep(rest)
                self._rest = b""
            else:
                self._rest = rest

    def close(self) -> None:
        """Keep what had no end of line."""
        self._keep(self._rest)
        self._rest = b""
        if self._ours >= 0:
            os.close(self._ours)
            self._ours = -1

    def _keep(self, content: bytes) -> None:
        text = self._redact(content.decode("utf-8", "replace"))
        self._tail = (self._tail + text)[-TOLD_CHARACTERS:]
        data, room = text.encode("utf-8", "replace"), MOST_BYTES - self._written
        if room <= 0:
            return
        self._log.write(data[:room] + (b"\n[the rest is left out]\n" if len(data) >= room else b""))
        self._log.flush()
        self._written += len(data)
