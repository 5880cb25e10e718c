"""What clients notice of deployments and rollbacks: shares, limits, policies on open connections, certificates."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections import Counter

import pytest

from tests.support import processes
from tests.support.certificates import serial_of, write_pair
from tests.support.configuration import CATALOG, PARTNERS, fair, route
from tests.support.processes import eventually
from tests.support.shop import VISITOR, Shop

pytestmark = pytest.mark.slow

LEGACY = CATALOG.replace("to: catalog", "to: legacy")
KEY = "a-partners-key-1"


class Open:
    """One connection that stays open; every answer comes over it, or the test fails."""

    def __init__(self, shop: Shop) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", shop.ports.gateway, timeout=5)
        self._connection.connect()
        self._socket = self._connection.sock

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str]]:
        self._connection.request("GET", path, headers={"host": "shop.example", **headers})
        answer = self._connection.getresponse()
        answer.read()
        assert self._connection.sock is self._socket, "the connection was closed"
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def test_a_share_of_the_requests(open_shop: Shop) -> None:
    """10 % of 3,000: between 234 and 366 (four standard deviations); promote moves the rest; abort takes all back."""
    shop = open_shop
    shop.commit(shop.text(LEGACY, bake="1h"), "Move the catalogue")
    shop.ok("deploy", "--percent", "10")
    client = Open(shop)
    seen = Counter(client.get("/catalog/1")[1]["x-lastgood-release"] for _ in range(3000))
    assert set(seen) == {"r1", "r2"}
    assert 234 <= seen["r2"] <= 366, seen
    assert shop.status()["gateway"]["percent"] == 10
    shop.ok("promote")
    assert {client.get("/catalog/1")[1]["x-lastgood-release"] for _ in range(200)} == {"r2"}
    shop.ok("rollback")
    assert {client.get("/catalog/1")[1]["x-lastgood-release"] for _ in range(200)} == {"r1"}


def test_a_rollback_from_a_share(open_shop: Shop) -> None:
    shop = open_shop
    shop.commit(shop.text(LEGACY, bake="1h"), "Move the catalogue")
    shop.ok("deploy", "--percent", "50")
    with shop.load() as load:
        time.sleep(0.5)
        shop.ok("rollback")
        since_s = time.monotonic()
        time.sleep(0.5)
    assert set(load.seen(VISITOR.name, since_s)) == {(200, "catalog")}
    assert set(load.seen(VISITOR.name, 0)) == {(200, "catalog"), (200, "legacy")}
    assert not load.failed()


def test_answers_say_which_release_they_come_from(open_shop: Shop) -> None:
    shop = open_shop
    assert shop.get("/catalog/1").headers["x-lastgood-release"] == "r1"
    said = shop.get("/.well-known/lastgood")
    assert said.status == 200
    assert json.loads(said.body)["release"] == "r1"
    shop.deploy(shop.text(LEGACY), "Move")
    assert json.loads(shop.get("/.well-known/lastgood", host="anything.else").body)["release"] == "r2"
    shop.ok("rollback")
    assert json.loads(shop.get("/.well-known/lastgood").body)["release"] == "r1"


def test_a_policy_binds_open_connections(open_shop: Shop) -> None:
    """Tightened: the very next request on a connection that is open needs the key; rolled back: it does not."""
    shop = open_shop
    shop.ok("secret", "set", "acme_key", feed=KEY)
    client = Open(shop)
    assert client.get("/catalog/1")[0] == 200
    shop.commit(shop.text(route("catalog", use="partners"), policies=PARTNERS), "Protect it")
    shop.ok("deploy", "--wait", "ended")
    assert client.get("/catalog/1")[0] == 401
    assert client.get("/catalog/1", **{"x-api-key": KEY})[0] == 200
    shop.ok("rollback", "--accept-loosening")
    assert client.get("/catalog/1")[0] == 200


def test_a_removed_route_binds_open_connections(open_shop: Shop) -> None:
    shop = open_shop
    shop.deploy(shop.text(CATALOG + route("orders")), "Take orders")
    client = Open(shop)
    assert client.get("/orders/1")[0] == 200
    shop.ok("rollback")
    assert client.get("/orders/1")[0] == 404


def test_counters_of_limits_survive(open_shop: Shop) -> None:
    """Ten an hour: what was used stays used, through a deployment of other things, and a rollback."""
    shop = open_shop
    limited = route("catalog", use="fair")
    shop.deploy(shop.text(limited, policies=fair(10)), "Limit it")
    client = Open(shop)
    assert [client.get("/catalog/1")[0] for _ in range(6)] == [200] * 6
    shop.deploy(shop.text(limited + route("orders"), policies=fair(10)), "Take orders")
    assert [client.get("/catalog/1")[0] for _ in range(2)] == [200] * 2
    shop.ok("rollback", "--accept-loosening")
    assert [client.get("/catalog/1")[0] for _ in range(4)] == [200, 200, 429, 429]


def test_a_limit_that_comes_back_finds_its_counters(open_shop: Shop) -> None:
    """A bad commit lifts the limit; the rollback brings back the limit, and what had been used of it."""
    shop = open_shop
    limited = route("catalog", use="fair")
    shop.deploy(shop.text(limited, policies=fair(10)), "Limit it")
    client = Open(shop)
    assert [client.get("/catalog/1")[0] for _ in range(9)] == [200] * 9
    shop.commit(shop.text(limited, policies=fair(100_000), bake="1h"), "Lift it")
    shop.ok("deploy")
    assert [client.get("/catalog/1")[0] for _ in range(30)] == [200] * 30
    shop.ok("rollback")
    assert [client.get("/catalog/1")[0] for _ in range(3)] == [200, 429, 429]


def test_a_certificate_is_renewed(shop: Shop) -> None:
    """New connections get the new one within seconds; no request is lost, no open connection closed."""
    folder = shop.folder / "tls"
    folder.mkdir()
    cert, key = write_pair(folder, 1001)
    listener = f'    safe: {{ port: {_tls_port(shop)}, tls: {{ cert: {cert}, key: "file:{key}" }} }}\n'
    shop.begin()
    shop.commit(shop.text(listeners=listener))
    shop.ok("up", "--detach")
    shop.ok("deploy", "--wait", "ended")
    clients = _Handshakes(_tls_port(shop))
    clients.start()
    try:
        eventually(lambda: clients.serials[1001], lambda count: count > 5)
        write_pair(folder, 1002)
        eventually(lambda: clients.serials[1002], lambda count: count > 5)
        # Half of a pair, then garbage: what is served stays.
        cert.write_bytes(b"-----BEGIN CERTIFICATE-----\nnonsense\n")
        time.sleep(2.5)
        before = clients.serials[1002]
        eventually(lambda: clients.serials[1002], lambda count: count > before + 5)
        write_pair(folder, 1003)
        eventually(lambda: clients.serials[1003], lambda count: count > 5)
    finally:
        clients.stop()
    assert not clients.failed, clients.failed[:3]
    assert set(clients.serials) == {1001, 1002, 1003}


def test_a_key_that_is_gone_at_a_restart_is_told_and_what_was_served_comes_back_with_it(shop: Shop) -> None:
    """A proxy that is started anew then has nothing to serve: nobody may say that all is well."""
    folder = shop.folder / "tls"
    folder.mkdir()
    cert, key = write_pair(folder, 1001)
    shop.begin()
    listener = f'    safe: {{ port: {_tls_port(shop)}, tls: {{ cert: {cert}, key: "file:{key}" }} }}\n'
    shop.commit(shop.text(listeners=listener))
    shop.ok("up", "--detach")
    shop.ok("deploy", "--wait", "ended")
    shop.ok("stop")
    away = key.rename(folder / "away")
    processes.kill(processes.pid(shop.root, "run/proxy-1.json"))
    shop.ok("up", "--detach")
    told = shop.run("status").out
    assert told.startswith(f"NOT RESTORED: file:{key}: it cannot be read"), told
    assert f"what was served could not be restored: file:{key}" in shop.run("doctor").out
    away.rename(key)
    eventually(lambda: shop.get("/catalog/1").status, lambda status: status == 200)
    assert "NOT RESTORED" not in shop.ok("status").out


def _tls_port(shop: Shop) -> int:
    from tests.support.shop import free_port

    if "tls_port" not in shop.environment:
        shop.environment["tls_port"] = str(free_port())
    return int(shop.environment["tls_port"])


class _Handshakes:
    """A TLS connection after the other, and one that stays open all the time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._context = ssl.create_default_context()
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.serials: Counter[int] = Counter()
        self.failed: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(10)

    def _run(self) -> None:
        staying = self._connect()
        while not self._stopped.is_set():
            try:
                fresh = self._connect()
                for connection in (fresh, staying):
                    connection.request("GET", "/catalog/1", headers={"host": "shop.example"})
                    answer = connection.getresponse()
                    assert (answer.status, answer.read()) == (200, b"catalog")
                assert isinstance(fresh.sock, ssl.SSLSocket)
                self.serials[serial_of(fresh.sock.getpeercert(binary_form=True) or b"")] += 1
                fresh.close()
            except (OSError, AssertionError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
            time.sleep(0.03)
        staying.close()

    def _connect(self) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=5, context=self._context)
        connection.connect()
        return connection


@pytest.mark.parametrize("name", ["proxy-1.sock", "ads.sock", "api.sock", "supervisor.sock"])
@pytest.mark.parametrize("way", ["straight", "link"])
def test_our_own_sockets_are_no_upstreams(shared_shop: Shop, name: str, way: str) -> None:
    """Envoy's admin, the state and the API: a commit that routes to them is refused, or reaches nothing."""
    shop = shared_shop
    path = shop.state / "run" / name
    assert path.is_socket()
    if way == "link":
        link = shop.folder / f"link-{name}"
        link.unlink(missing_ok=True)
        link.symlink_to(path)
        path = link
    upstream = f'  inside: {{ endpoints: ["unix:{path}"] }}\n'
    shop.commit(shop.text(CATALOG + route("inside", "inside", path="/*"), upstreams=upstream), "Look inside")
    done = shop.run("deploy", "--wait", "ended")
    try:
        for target in ("/", "/config_dump", "/clusters", "/quitquitquit", "/v1/status", "/stats"):
            answer = shop.get(target)
            assert answer.status not in (200, 201), (done.said, target, answer.body[:200])
        assert done.code in (3, 4), done.said
    finally:
        shop.commit(shop.text(CATALOG + route("orders", "legacy")), "Do not")
        shop.run("deploy", "--wait", "ended")


def test_no_path_reaches_our_own_pages(shared_shop: Shop) -> None:
    """Odd paths and hosts get 404 from the gateway, never the admin's or the controller's pages."""
    for path in ("/config_dump", "/stats", "/ready", "/v1/status", "/../config_dump", "/%2e%2e/stats", "//stats"):
        for host in ("shop.example", "localhost", "127.0.0.1", "lastgood_ads"):
            answer = shared_shop.get(path, host=host)
            assert answer.status in (404, 400), (path, host, answer)
    absolute = _raw(shared_shop, b"GET http://127.0.0.1/config_dump HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert b" 404 " in absolute.split(b"\r\n")[0]
    connect = _raw(shared_shop, b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert connect.split(b" ")[1] in (b"404", b"400", b"403", b"405")


def _raw(shop: Shop, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", shop.ports.gateway), timeout=5) as connection:
        connection.sendall(request)
        found = b""
        while chunk := connection.recv(65536):
            found += chunk
    return found
