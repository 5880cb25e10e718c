"""Who listens where a proxy of ours is about to: found although the port could be shared."""

from __future__ import annotations

import os
import socket

import pytest

from lastgood.effects.taken_ports import holder


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
@pytest.mark.parametrize("shares", [True, False])
def test_who_listens_is_named_though_he_would_share(family: socket.AddressFamily, address: str, shares: bool) -> None:
    with socket.socket(family) as other:
        if shares:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind((address, 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"(process {os.getpid()})" in str(holder(address, port, lambda pid: False))
        assert holder(address, port, lambda pid: pid == os.getpid()) is None, "our own proxies share it on purpose"
    assert holder(address, port, lambda pid: False) is None


def test_connections_that_linger_are_in_nobodys_way() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        client.connect(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # who closes first keeps the port in TIME_WAIT
        client.recv(1)
    assert holder("127.0.0.1", port, lambda pid: False) is None
