"""Whatever is sent, the supervisor answers with a reason or hangs up, and goes on."""

from __future__ import annotations

import json
import os
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lastgood.effects.processes.records import BadSpec, spec_from_json
from tests.processes.conftest import PATIENCE_S, Site

pytestmark = pytest.mark.timeout(60)
SPEC = {
    "key": "a",
    "argv": ["sleep", "1000"],
    "log_path": "/tmp/x.log",
    "group": "instance",
    "env": {},
    "secret_env": {},
    "cwd": None,
    "restart": "always",
    "grace_s": 1.0,
}


def connect(site: Site) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE_S)
    client.connect(site.run.socket_path)
    return client


def ask(client: socket.socket, line: bytes) -> dict[str, object]:
    client.sendall(line + b"\n")
    received = b""
    while not received.endswith(b"\n"):
        chunk = client.recv(65536)
        assert chunk, "it hung up"
        received += chunk
    answer = json.loads(received)
    assert isinstance(answer, dict)
    return answer


GARBAGE = [
    b"",
    b"\xff\xfe\x00",
    b"{}",
    b"[]",
    b"null",
    b"[" * 100_000,
    b'{"op": "explode"}',
    b'{"op": {"a": 1}}',
    b'{"op": "start"}',
    b'{"op": "start", "spec": {}}',
    b'{"op": "stop"}',
    b'{"op": "stop", "key": "../../etc"}',
    b'{"op": "stop", "key": ["a"]}',
    b'{"op": "stop", "key": "a", "grace_s": -1}',
    b'{"op": "stop", "key": "a", "grace_s": NaN}',
    b'{"op": "stop", "key": "a", "grace_s": 1e99}',
    b'{"op": "shutdown"}',
    b'{"op": "shutdown", "keep": "no"}',
    b'{"op": "stop", "key": "a", "epoch": "x"}',
    b'{"op": "stop", "key": "a", "epoch": -1}',
    b'{"op": "start", "spec": {"key": "hunter2hunter2',
    b"x" * 100_000,
]


def test_garbage_is_answered_and_quoted_nowhere(site: Site) -> None:
    site.supervise()
    with connect(site) as client:
        for line in GARBAGE:
            answer = ask(client, line)
            assert (answer["ok"], answer["error"]) == (False, "bad-request"), line[:80]
            assert "hunter2" not in json.dumps(answer)
            assert ask(client, b'{"op": "ping"}')["ok"], line[:80]
    assert "hunter2" not in site.said()


@pytest.mark.parametrize(
    "change",
    [
        {"key": "a/b"},
        {"key": 3},
        {"argv": []},
        {"argv": "sleep 1"},
        {"argv": ["sleep", 1]},
        {"argv": ["", "x"]},
        {"argv": ["a\0b"]},
        {"env": {"A=B": "c"}},
        {"env": {"": "c"}},
        {"env": {"A": None}},
        {"secret_env": {"A": "b\0"}},
        {"log_path": "relative.log"},
        {"log_path": None},
        {"cwd": "relative"},
        {"restart": "sometimes"},
        {"group": "root"},
        {"grace_s": "1"},
        {"grace_s": float("nan")},
        {"grace_s": True},
        {"more": 1},
    ],
)
def test_a_spec_is_checked(change: dict[str, object]) -> None:
    assert spec_from_json(SPEC).key == "a"
    with pytest.raises(BadSpec):
        spec_from_json({**SPEC, **change})


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*SPEC, "op", "spec", "keep", "epoch"]), inner),
        max_leaves=20,
    )
)
def test_any_value_is_a_spec_or_a_bad_one(value: object) -> None:
    for raw in (value, {**SPEC, "env": value}, {**SPEC, "argv": value}, {**SPEC, "key": value}):
        try:
            spec_from_json(raw)
        except BadSpec:
            pass


def test_a_line_without_an_end_is_hung_up_on(site: Site) -> None:
    site.supervise()
    with connect(site) as client:
        try:
            for _ in range(100):
                client.sendall(b"x" * 65536)
            while client.recv(65536):
                pass  # the reason; then the end. If it listened on for ever, this would time out
        except (BrokenPipeError, ConnectionResetError):
            pass
    with connect(site) as client:
        assert ask(client, b'{"op": "ping"}')["ok"]


def test_too_many_connections_leave_room_when_they_go(site: Site) -> None:
    site.supervise()
    crowd = [connect(site) for _ in range(64)]
    assert all(ask(client, b'{"op": "ping"}')["ok"] for client in crowd)
    with connect(site) as one_more, pytest.raises((AssertionError, OSError)):
        ask(one_more, b'{"op": "ping"}')
    for client in crowd:
        client.close()
    site.until(lambda: _is_answered(site))


def _is_answered(site: Site) -> bool:
    with connect(site) as client:
        try:
            return bool(ask(client, b'{"op": "ping"}')["ok"])
        except (AssertionError, OSError):
            return False  # it has not seen yet that the others went


def test_requests_in_one_write_and_byte_by_byte_are_all_answered(site: Site) -> None:
    site.supervise()
    with connect(site) as client:
        client.sendall(b'{"op": "ping"}\n' * 50)
        received = b""
        while received.count(b"\n") < 50:
            received += client.recv(65536)
        for byte in b'{"op": "list"':
            client.send(bytes([byte]))
        assert ask(client, b"}") == {"ok": True, "processes": []}


def test_one_process_alone_can_be_asked_for(site: Site) -> None:
    site.supervise()
    with connect(site) as client:
        for key in "ab":
            assert ask(client, json.dumps({"op": "start", "spec": {**SPEC, "key": key}}).encode())["ok"]
        found = ask(client, b'{"op": "list", "key": "b"}')["processes"]
        assert [one["key"] for one in found] == ["b"]
        assert ask(client, b'{"op": "list", "key": "c"}')["processes"] == []
        assert ask(client, b'{"op": "list", "key": []}')["error"] == "bad-request"


def test_a_client_that_goes_away_while_it_waits_harms_nobody(site: Site) -> None:
    site.supervise()
    stubborn = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"]
    log = str(site.root / "a.log")
    with connect(site) as client:
        request = {"op": "start", "spec": {**SPEC, "argv": stubborn, "log_path": log, "grace_s": 0.3}}
        assert ask(client, json.dumps(request).encode())["ok"]
        site.until(lambda: "ready" in site.log("a"))
        client.sendall(b'{"op": "stop", "key": "a"}\n')
    site.until(lambda: not site.ours("a"))
    with connect(site) as client:
        site.until(lambda: ask(client, b'{"op": "list"}')["processes"] == [])
    assert os.listdir(site.root / "processes") == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=2000))
def test_any_bytes(site: Site, sent: bytes) -> None:
    if not site.supervisors:
        site.supervise()
    with connect(site) as client:
        client.sendall(sent + b"\n")
        client.recv(65536)
    with connect(site) as client:
        assert ask(client, b'{"op": "ping"}')["ok"]
