"""Certificate files that are renewed are served without anybody asking; what cannot be read changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from lastgood.errors import Unavailable
from lastgood.interfaces.renewal import watch_certificates
from lastgood.operations.deploy import DeployAsk
from tests.operations.controller import Controlled, controlled, text

LOOK_S = 0.02


def tls_text(cert: Path, key: Path) -> bytes:
    listeners = f'{{ port: 8443, tls: {{ cert: {cert}, key: "file:{key}" }} }}'
    return text().replace(b"{ port: 8080 }", listeners.encode())


@asynccontextmanager
async def watched(shop: Controlled, refresh: Callable[[], None]) -> AsyncIterator[None]:
    async def served() -> None:
        refresh()

    watching = asyncio.create_task(watch_certificates(shop.loop, shop.verbs.configurations, served, look_s=LOOK_S))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def test_what_is_renewed_is_served_even_before_the_first_look(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_text("one")
    key.write_text("one")
    served: list[str] = []
    broken = False

    def refresh() -> None:
        if broken:
            raise Unavailable("half of a pair")
        served.append(cert.read_text())

    async def until(expected: str) -> None:
        async with asyncio.timeout(5):
            while served[-1:] != [expected]:
                await asyncio.sleep(0.005)

    async with controlled() as shop:
        shop.repository.commit({"lastgood.yaml": tls_text(cert, key)}, "tls")
        await shop.verbs.deploy("HEAD", DeployAsk(by="test"))
        await shop.at_rest()
        cert.write_text("two")  # after it was compiled, before anybody looked
        async with watched(shop, refresh):
            await until("two")
            count = len(served)
            await asyncio.sleep(5 * LOOK_S)
            assert len(served) == count, "served again although nothing changed"
            broken = True
            (tmp_path / "new").write_text("three")
            (tmp_path / "new").replace(cert)
            await asyncio.sleep(5 * LOOK_S)
            assert len(served) == count
            broken = False  # the other half is there; nothing of the files changes any more
            await until("three")
            key.unlink()
            key.write_text("four")
            await asyncio.sleep(5 * LOOK_S)
            assert len(served) == count + 2, "a new key is a change, too"
