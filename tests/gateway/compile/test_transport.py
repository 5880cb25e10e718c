"""Protocols on both sides: TLS, HTTP/2, WebSockets, Unix sockets, health checks."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.gateway.compile.envoy_world import World, start_echo_websocket
from websockets.asyncio.client import connect

from lastgood.errors import Unavailable
from lastgood.gateway.snapshot import SECRET


def _certificate(name: str) -> tuple[str, str]:
    """A self-signed certificate for a name and for 127.0.0.1, with its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime(2026, 1, 1)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=3650))
        .not_valid_after(now + datetime.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), secret.decode()


def _route(**rest: Any) -> dict[str, Any]:
    return {"name": "r", "to": "one", "public": True, "match": {"host": ["shop.example", "127.0.0.1"]}, **rest}


def _trusting(pem: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=pem)
    context.check_hostname = False
    return context


async def _over_tls(world: World, pem: str, *, http2: bool) -> httpx.Response:
    async with httpx.AsyncClient(verify=_trusting(pem), http2=http2, timeout=5) as client:
        return await client.get(f"https://127.0.0.1:{world.port}/", headers={"host": "shop.example"})


async def test_tls_with_http2_and_a_renewed_certificate_in_one_push(world: World) -> None:
    tls = {"port": world.port, "tls": {"cert": "/c.pem", "key": "secret:k"}}
    shop = world.shop(listeners={"web": tls}, routes=[_route()])
    with pytest.raises(Unavailable, match="certificate"):
        world.compile_only(shop)
    first, second = _certificate("shop.example"), _certificate("shop.example")
    world.certificates = {"web": first}
    await world.serve(shop)
    answer = await _over_tls(world, first[0], http2=True)
    assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
    assert (await _over_tls(world, first[0], http2=False)).http_version == "HTTP/1.1"
    world.certificates = {"web": second}
    await world.serve(shop)
    assert [kind for kind, _ in world.ads.pushed] == [SECRET]
    assert (await _over_tls(world, second[0], http2=True)).status_code == 200
    with pytest.raises(httpx.ConnectError):
        await _over_tls(world, first[0], http2=True)


async def test_http2_without_tls(world: World) -> None:
    await world.serve(world.shop(routes=[_route()]))
    client = world.client(http1=False, http2=True)
    assert (await client.get("/", headers={"host": "shop.example"})).http_version == "HTTP/2"


async def test_websockets_only_where_a_route_says_so_and_past_the_timeout(world: World) -> None:
    server = await start_echo_websocket()
    port = server.sockets[0].getsockname()[1]
    routes = [
        _route(to="chat", websocket=True, timeout="300ms"),
        _route(name="plain", to="chat", match={"host": "plain.example"}),
    ]
    await world.serve(world.shop(upstreams={"chat": {"endpoints": [f"127.0.0.1:{port}"]}}, routes=routes))
    async with connect(f"ws://127.0.0.1:{world.port}/") as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"
        await asyncio.sleep(0.6)
        await socket.send("still here")
        assert await asyncio.wait_for(socket.recv(), 2) == "still here"
    server.close()


@pytest.mark.parametrize("host", ["plain.example", "PLAIN.example:8080", "a.wild.example", "anything", ""])
async def test_no_websocket_however_the_host_is_written(world: World, host: str) -> None:
    """Envoy decides by the route that it has on arrival; a host that is found by the script has none yet."""
    server = await start_echo_websocket()
    port = server.sockets[0].getsockname()[1]
    routes = [
        _route(name="any", to="chat", match={}),
        _route(name="wild", to="chat", match={"host": "*.wild.example"}),
        _route(name="plain", to="chat", match={"host": "plain.example"}),
        _route(name="talks", to="chat", match={"host": "talks.example", "path": "/talk/*"}, websocket=True),
        _route(name="mute", to="chat", match={"host": "talks.example"}),
        _route(name="airy", to="chat", match={"host": "*.talks.example"}, websocket=True),
    ]
    await world.serve(world.shop(upstreams={"chat": {"endpoints": [f"127.0.0.1:{port}"]}}, routes=routes))
    assert await _handshake(world, host or f"127.0.0.1:{world.port}", "/") == 403
    for said in ("talks.example", "Talks.example:80"):
        assert await _handshake(world, said, "/talk/a") == 101
        assert await _handshake(world, said, "/other") == 403
        assert await _handshake(world, said, "/talk/a", "h2q") == 403
    assert await _handshake(world, "b.talks.example:1", "/") == 101
    server.close()


async def _handshake(world: World, host: str, path: str, upgrade: str = "websocket") -> int:
    """The status of the answer to exactly these words."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13"
    asked = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n{key}\r\n\r\n"
    writer.write(asked.encode())
    status = int((await asyncio.wait_for(reader.readline(), 5)).split()[1])
    writer.close()
    return status


async def test_upstreams_over_tls_are_vouched_for(world: World) -> None:
    good, bad = _certificate("inner.example"), _certificate("inner.example")
    path = world.folder / "ca.pem"
    world.trusted_ca = str(path)
    path.write_text(good[0])
    ports = [(await _tls_upstream(world.folder, number, pair)) for number, pair in enumerate((good, bad))]
    upstreams = {
        name: {"endpoints": [f"127.0.0.1:{port}"], "tls": True}
        for name, port in zip(("good", "bad"), ports, strict=True)
    }
    routes = [_route(to="good", match={"path": "/good"}), _route(name="b", to="bad", match={"path": "/bad"})]
    await world.serve(world.shop(upstreams=upstreams, routes=routes))
    assert (await world.get("/good")).text == "tls"
    assert (await world.get("/bad")).status_code == 503


async def _tls_upstream(folder: Path, number: int, pair: tuple[str, str]) -> int:
    files = [folder / f"{number}.{kind}" for kind in ("crt", "key")]
    for file, text in zip(files, pair, strict=True):
        file.write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[0], files[1])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\ntls")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    return int(server.sockets[0].getsockname()[1])


async def test_unix_sockets_host_names_and_health(world: World) -> None:
    path = world.folder / "up"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        status = "500 no" if head.startswith(b"GET /sick") else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 4\r\nconnection: close\r\n\r\nunix".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, str(path))
    one = world.upstreams["one"].port
    quick = {"interval": "50ms", "timeout": "1s", "unhealthy": 1}
    upstreams = {
        "unix": {"endpoints": [f"unix:{path}"]},
        "named": {"endpoints": [f"localhost:{one}"]},
        "half": {"endpoints": [f"unix:{path}", f"127.0.0.1:{one}"], "health": {"path": "/sick", **quick}},
        "none": {"endpoints": [f"unix:{path}"], "health": {"path": "/sick", **quick}},
    }
    routes = [_route(name=name, to=name, match={"path": f"/{name}"}) for name in upstreams]
    await world.serve(world.shop(upstreams=upstreams, routes=routes))
    assert (await world.get("/unix")).text == "unix"
    assert (await world.get("/named")).json()["upstream"] == "one"
    await asyncio.sleep(0.3)
    assert {(await world.get("/half")).json()["upstream"] for _ in range(8)} == {"one"}
    assert (await world.get("/none")).text == "unix", "with none healthy, trying beats refusing"
    server.close()
