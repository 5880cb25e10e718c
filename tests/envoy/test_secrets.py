"""Certificates are pushed like everything else: a renewal is one message, for new connections."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lastgood.config import model
from lastgood.config.configuration import Configuration, make_entry
from lastgood.effects.envoy.proxies import EnvoyProxies
from lastgood.gateway.cache import CompileCache
from lastgood.gateway.compile import compile_snapshot
from lastgood.gateway.slots import SlotTable
from lastgood.gateway.snapshot import SECRET, Generation, Snapshot, Traffic
from tests.envoy.machines import Machine


def certificate(serial: int) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


async def serial_on(port: int) -> int:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with asyncio.timeout(5):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(found).serial_number


async def test_a_renewed_certificate_is_one_push(machine: Machine) -> None:
    tls = model.Tls.model_validate({"cert": "/etc/cert.pem", "key": "secret:key"})
    route = model.Route.model_validate({"name": "r", "respond": {"status": 200}, "public": True})
    entries = [
        make_entry("listener:web", model.Listener(port=machine.port, tls=tls)),
        make_entry("route:r", route),
    ]
    generation = Generation(1, Configuration("shop", {entry.key: entry for entry in entries}))
    current = [certificate(111)]

    def build(traffic: Traffic) -> Snapshot:
        pair = {"web": current[0]}
        return compile_snapshot(traffic, secrets={}, slots=SlotTable(), certificates=pair, cache=CompileCache())

    proxies = EnvoyProxies([machine.proxy("a")], build)
    await proxies.start()
    try:
        await machine.envoy("a")
        await proxies.fleet.connected(10)
        await proxies.serve(Traffic(generation))
        await machine.ready("a")
        assert await serial_on(machine.port) == 111
        before = proxies.fleet.target
        current[0] = certificate(222)
        proof = await proxies.serve(Traffic(generation))
        after = proxies.fleet.target
        assert before is not None
        assert after is not None
        assert proof.acknowledged == ("a",)
        assert [url for url in after.resources if after.resources[url] != before.resources.get(url)] == [SECRET]
        assert await serial_on(machine.port) == 222
        stats = await proxies.admin("a").stats(r"listener_manager\.lds\.update_success")
        assert stats == {"listener_manager.lds.update_success": 1}
    finally:
        await proxies.stop()
