"""The API's socket: for its owner only, and for no proxy, should a route ever lead there."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from lastgood.effects.processes.identity import Identity
from lastgood.effects.processes.records import Record, write_record
from lastgood.interfaces.http.listening import SocketServer, is_proxy
from lastgood.process import ProcessSpec


@asynccontextmanager
async def served(refuses: Callable[[int], bool]) -> AsyncIterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lg-", dir="/tmp"))
    app = FastAPI()

    @app.get("/")
    async def answer() -> str:
        return "the controller"

    server = SocketServer(app, folder / "api.sock", refuses)
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.01)
        yield folder / "api.sock"
    finally:
        server.should_exit = True
        await asyncio.wait({serving}, timeout=10)
        shutil.rmtree(folder)


async def asked(path: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(b"GET / HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n")
        await writer.drain()
        return await asyncio.wait_for(reader.read(), 10)
    except (ConnectionResetError, BrokenPipeError):
        return b""
    finally:
        writer.close()


def kept(folder: Path, key: str, pid: int) -> None:
    spec = ProcessSpec(key, ("envoy",), log_path="/dev/null")
    write_record(str(folder), Record(spec, True, "marker", Identity(pid, 1, "boot", "marker")))


async def test_records_of_other_processes_are_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "catalog@12345678.8000.json").write_text("not for us to judge")
    async with served(is_proxy(str(tmp_path))) as path:
        assert b"the controller" in await asked(path)
    assert [found.name for found in tmp_path.iterdir() if found.is_file()] == ["catalog@12345678.8000.json"]


async def test_a_proxy_is_hung_up_on_and_everybody_else_of_ours_is_answered(tmp_path: Path) -> None:
    async with served(is_proxy(str(tmp_path))) as path:
        assert path.stat().st_mode & 0o777 == 0o600
        assert b"the controller" in await asked(path)
        kept(tmp_path, "controller", os.getpid())
        assert b"the controller" in await asked(path)
        kept(tmp_path, "proxy-1", os.getpid() + 1)
        assert b"the controller" in await asked(path)
        kept(tmp_path, "proxy-2", os.getpid())
        assert await asked(path) == b""
    assert not path.exists()
