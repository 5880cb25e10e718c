"""Releases and requests that the simulations share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lastgood.operations.deploy import DeployAsk, Draft, deploy
from lastgood.operations.loop import Loop
from lastgood.operations.rollback import RollbackAsk, rollback
from lastgood.release.moves import Kind, Move, write_move
from lastgood.testing.simulation import at_rest


def move(kind: Kind = "blue_green", **settings: Any) -> dict[str, Any]:
    """How a service moves, as a release keeps it."""
    return write_move(Move(kind, **settings))


def shop(
    name: str,
    versions: Mapping[str, str],
    moves: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    instances: int | Mapping[str, int] = 3,
    gateway: str = "gateway",
    bake_s: float = 60.0,
) -> Draft:
    """A revision with services at these versions; the gateway is the same unless said otherwise."""
    parts = {"gateway": gateway, **{f"service:{service}": made for service, made in versions.items()}}
    sizes = dict.fromkeys(versions, instances) if isinstance(instances, int) else instances
    return Draft("shop", f"commit-{name}", name, "main", parts, {}, {}, bake_s, sizes, {}, moves or {})


def draft(
    name: str,
    *,
    service: str | None = None,
    schema: str | None = None,
    bake_s: float = 60.0,
    breaks: Mapping[str, str] | None = None,
) -> Draft:
    parts = {"gateway": f"gateway-{name}"}
    if service:
        parts["service:catalog"] = service
    schemas = {"main": schema} if schema else {}
    if schema:
        parts["database:main"] = schema
    known = {"main": breaks} if breaks else {}
    return Draft("shop", f"commit-{name}", name, "main", parts, {}, schemas, bake_s, {"catalog": 2}, {}, breaks=known)


async def do_deploy(loop: Loop, made: Draft, **ask: Any) -> dict[str, Any]:
    journal = loop._world.journal
    request = DeployAsk(by="test", **ask)
    return dict(await loop.ask(lambda view: deploy(made, request, journal.put_release, view)))


async def do_rollback(loop: Loop, target: str | None = None, **ask: Any) -> dict[str, Any]:
    request = RollbackAsk(by="test", target=target, **ask)
    return dict(await loop.ask(lambda view: rollback(request, lambda text: None, lambda a, b: (), view)))


async def deployed(loop: Loop, made: Draft, **ask: Any) -> dict[str, Any]:
    answer = await do_deploy(loop, made, **ask)
    await at_rest(loop)
    return answer
