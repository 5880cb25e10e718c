"""Software nobody here wrote, two published versions of each, and how it is built, run and asked."""

from __future__ import annotations

import json
from dataclasses import dataclass

STARLETTE = """\
import asyncio
import starlette
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

async def version(request):
    return JSONResponse({"version": starlette.__version__})

async def drip(request):
    async def pieces():
        for number in range(20):
            yield f"{number}\\n"
            await asyncio.sleep(0.1)
    return StreamingResponse(pieces(), media_type="text/plain")

async def talk(socket):
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(f"{starlette.__version__} {text}")

app = Starlette(routes=[
    Route("/version", version), Route("/drip", drip), Route("/healthz", lambda r: PlainTextResponse("ok")),
    WebSocketRoute("/talk", talk),
])
"""
FASTIFY = """\
const { Readable } = require("node:stream")
const fastify = require("fastify")({ forceCloseConnections: "idle" })
const sleep = (ms) => new Promise((done) => setTimeout(done, ms))
async function* pieces() {
  for (let number = 0; number < 20; number++) { yield `${number}\\n`; await sleep(100) }
}
fastify.register(require("@fastify/websocket"))
fastify.get("/version", async () => ({ version: fastify.version }))
fastify.get("/healthz", async () => "ok")
fastify.get("/drip", (request, reply) => reply.type("text/plain").send(Readable.from(pieces())))
fastify.register(async (app) => {
  app.get("/talk", { websocket: true }, (socket) => {
    socket.on("message", (text) => socket.send(`${fastify.version} ${text}`))
  })
})
process.on("SIGTERM", () => fastify.close())
fastify.listen({ port: Number(process.env.PORT), host: "127.0.0.1" })
"""
PIP = "set -e\npython3 -m venv .venv\n.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt\n"
NPM = "set -e\nnpm install --silent --no-audit --no-fund\n"


@dataclass(frozen=True)
class Software:
    """``files`` hold ``@VERSION@``. ``stream``: a path whose answer takes two seconds, and its end. ``talk``: an echo
    over a websocket."""

    name: str
    versions: tuple[str, str]
    files: dict[str, str]
    build: str
    command: str
    health: str
    path: str
    says: bool = True
    stream: tuple[str, str] | None = None
    talk: str | None = None

    def source(self, version: str) -> dict[str, str]:
        """Its files at a version, by the names that :meth:`tests.support.shop.Shop.commit` takes."""
        files = {**self.files, "build.sh": self.build}
        return {
            f"services__it__{name.replace('.', '_')}": text.replace("@VERSION@", version)
            for name, text in files.items()
        }

    def configuration(self, port: int, strategy: str, *, instances: int = 2) -> str:
        """A lastgood.yaml that runs it."""
        return (
            f"project: shop\ngateway:\n  release_header: true\n  listeners:\n    web: {{ port: {port} }}\n  routes:\n"
            "    - { name: all, match: { host: shop.example }, to: it, public: true, websocket: true }\n"
            "services:\n  it:\n    source: services/it\n    build: [sh, build.sh]\n    build_timeout: 5m\n"
            f"    command: [sh, -c, 'exec {self.command}']\n    instances: {instances}\n"
            f"    health: {{ path: {self.health}, interval: 300ms, timeout: 3s }}\n"
            f"    drain: 8s\n    strategy: {{ {strategy} }}\nbake: {{ for: 300ms }}\n"
        )


HTTPBIN = Software(
    "httpbin",
    ("0.10.2", "0.10.4"),
    {"requirements.txt": "httpbin==@VERSION@\ngunicorn==23.0.0\n"},
    PIP,
    ".venv/bin/gunicorn --bind 127.0.0.1:$PORT --workers 2 --threads 4 --graceful-timeout 5 httpbin:app",
    "/status/200",
    "/uuid",
    says=False,
    stream=("/drip?numbytes=20&duration=2&delay=0", "*" * 20),
)
UVICORN = Software(
    "starlette",
    ("0.45.3", "0.46.2"),
    {"requirements.txt": "starlette==@VERSION@\nuvicorn==0.34.0\nwebsockets==14.1\n", "main.py": STARLETTE},
    PIP,
    ".venv/bin/uvicorn main:app --port $PORT --timeout-graceful-shutdown 5",
    "/healthz",
    "/version",
    stream=("/drip", "18\n19\n"),
    talk="/talk",
)
DATASETTE = Software(
    "datasette",
    ("0.64.6", "0.65.1"),
    {"requirements.txt": "datasette==@VERSION@\nsetuptools<80\n"},
    PIP,
    ".venv/bin/datasette serve --memory --port $PORT",
    "/-/versions.json",
    "/-/versions.json",
)
NODE = Software(
    "fastify",
    ("5.2.0", "5.6.0"),
    {
        "package.json": json.dumps(
            {"private": True, "dependencies": {"fastify": "@VERSION@", "@fastify/websocket": "11.0.1"}}
        ),
        "main.js": FASTIFY,
    },
    NPM,
    "node main.js",
    "/healthz",
    "/version",
    stream=("/drip", "18\n19\n"),
    talk="/talk",
)
SOFTWARE = (HTTPBIN, UVICORN, DATASETTE, NODE)
