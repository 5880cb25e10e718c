"""What the engineers of the second act commit: a service, a function and migrations, one value for each version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SERVICE = '''\
"""Writes down an order for each request; reads nothing else, so that two versions can do it at once."""
import asyncio, os, random, signal, sqlite3
VERSION, FAILS, SLOW = %(name)r, %(fails)s, %(slow)s
COLUMNS = %(columns)r
store = sqlite3.connect(os.environ["DATABASE"], timeout=5, isolation_level=None)
store.execute("PRAGMA synchronous = NORMAL")
busy = 0
async def talk(reader, writer):
    global busy
    try:
        while True:
            path = (await reader.readuntil(b"\\r\\n\\r\\n")).split(b" ")[1]
            busy += 1
            body, status = b"ok", b"200 OK"
            if path != b"/healthz":
                if random.random() < SLOW:
                    await asyncio.sleep(0.3)
                if random.random() < FAILS:
                    status, body = b"500 Internal Server Error", VERSION.encode()
                else:
                    names, values = ", ".join(COLUMNS), ", ".join(repr(VERSION) for _ in COLUMNS)
                    number = store.execute(f"INSERT INTO orders ({names}) VALUES ({values})").lastrowid
                    body = f"{VERSION} {number}".encode()
            writer.write(b"HTTP/1.1 %%s\\r\\ncontent-length: %%d\\r\\n\\r\\n%%s" %% (status, len(body), body))
            busy -= 1
    except (EOFError, OSError):
        writer.close()
async def main():
    leaving = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
    server = await asyncio.start_server(talk, "127.0.0.1", int(os.environ["PORT"]), backlog=1024)
    await leaving.wait()
    server.close()
    while busy:
        await asyncio.sleep(0.01)
asyncio.run(main())
'''
FUNCTION = """\
def app(event, context):
    return {"statusCode": 200, "body": %(price)r}
"""
CONFIGURATION = """\
project: shop
gateway:
  release_header: true
  listeners:
    web: { port: %(port)d }
  routes:
    - { name: orders, match: { host: shop.example, path: /orders/* }, to: orders, public: true, timeout: %(timeout)s }
    - { name: price, match: { host: shop.example, path: /price/* }, to: price, public: true }
services:
  orders:
    source: services/orders
    command: [python3, main.py]
    environment: { DATABASE: "%(database)s" }
    health: { path: /healthz, interval: 200ms }
    strategy: { blue_green: { keep_old: 3m } }
functions:
  price:
    source: functions/price
    runtime: python
    strategy: { blue_green: { keep_old: 3m } }
databases:
  main: { url: "sqlite:///data/shop.db", migrations: migrations, keep_dropped: true }
bake: { for: %(bake)s }
"""
JUDGED = "2m, warm_up: 1s, at_least: 5s, clusters: 1, objectives: [{ errors: { not_worse_than: baseline } }]"
BREAKS = "-- lastgood:breaks every order must have its note by now, and the code before writes none"
MIGRATIONS = {
    "0001_orders": ("CREATE TABLE orders (id integer PRIMARY KEY, made_by text NOT NULL);", "DROP TABLE orders;"),
    "0002_note": (f"{BREAKS}\nALTER TABLE orders ADD COLUMN note text;", "ALTER TABLE orders DROP COLUMN note;"),
}


@dataclass(frozen=True)
class Version:
    """One commit. ``fails`` and ``slow`` are shares of the requests; ``schema`` is how many migrations there are."""

    name: str
    price: str
    schema: int = 1
    fails: float = 0.0
    slow: float = 0.0
    timeout: str = "2s"
    bake: str = JUDGED

    def write(self, root: Path, port: int) -> None:
        """Put its files into the work tree."""
        columns = ("made_by",) if self.schema == 1 else ("made_by", "note")
        said = {**vars(self), "columns": columns, "port": port, "database": root / "data/shop.db"}
        files = {
            "services/orders/main.py": SERVICE % said,
            "functions/price/main.py": FUNCTION % said,
            "lastgood.yaml": CONFIGURATION % said,
        }
        for name, (up, down) in list(MIGRATIONS.items())[: self.schema]:
            files |= {f"migrations/{name}.up.sql": up + "\n", f"migrations/{name}.down.sql": down + "\n"}
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
