"""Ask for a page until its answer is 200, at a beat that no event loop keeps: theirs is a millisecond or more."""

from __future__ import annotations

import socket
import time
from collections import Counter
from typing import Any

from benchmarks.measuring import now_ns

PAUSE_S = 0.0002
"""Between an answer and the next request: the moment of the first 200 is known to this and one round trip."""
_LIMIT_S = 5.0


def poll(port: int, host: str, path: str, limit_s: float) -> dict[str, Any]:
    """Which codes came, and when the 200 was there. Blocks."""
    request = f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()
    codes: Counter[str] = Counter()
    ok_ns: int | None = None
    began_ns = now_ns()
    with socket.create_connection(("127.0.0.1", port), _LIMIT_S) as connection, connection.makefile("rb") as answers:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while ok_ns is None and now_ns() - began_ns < limit_s * 1e9:
            connection.sendall(request)
            status = answers.readline()
            ended_ns = now_ns()
            length = 0
            while (line := answers.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            answers.read(length)
            codes[status[9:12].decode()] += 1
            if status[9:12] == b"200":
                ok_ns = ended_ns
            else:
                time.sleep(PAUSE_S)
    return {"codes": dict(codes), "ok_ns": ok_ns}
