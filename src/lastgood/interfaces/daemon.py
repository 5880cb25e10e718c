"""The controller as a process: one loop, the ADS server, the HTTP API, and the small watches beside them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lastgood import bootstrap
from lastgood.bootstrap.crons import make_crons
from lastgood.bootstrap.services import make_artifacts, make_versions
from lastgood.effects.envoy.supervised import ensure_proxies
from lastgood.effects.evidence import EvidenceFiles
from lastgood.effects.notifiers import Notifiers
from lastgood.effects.old_logs import remove_old
from lastgood.effects.processes.client import ensure_supervisor
from lastgood.effects.processes.holder import holder, holder_lives
from lastgood.effects.secrets import SecretStore
from lastgood.effects.system_clock import SystemClock
from lastgood.errors import Conflict, Fenced, LastgoodError
from lastgood.interfaces.http.alerts import KEY, AlertDoor
from lastgood.interfaces.http.app import Control, make_app
from lastgood.interfaces.http.events import Feed
from lastgood.interfaces.http.listening import SocketServer, is_proxy
from lastgood.interfaces.http.looks import MachineLooks
from lastgood.interfaces.lifecycle import controller_spec
from lastgood.interfaces.renewal import watch_certificates
from lastgood.interfaces.restoring import Restoring
from lastgood.interfaces.sweeping import sweep
from lastgood.interfaces.telling import ADDRESS, tell
from lastgood.operations.collecting import keep_collecting
from lastgood.operations.drilling import keep_drilling
from lastgood.operations.failing import watch_failing
from lastgood.operations.follow import follow
from lastgood.operations.loop import Loop
from lastgood.operations.outages import watch_outages
from lastgood.operations.verbs import Verbs
from lastgood.settings import Places, find_places, prepare

RENEW_S = 1.0
BOOK_EVERY = 30
SUPERVISOR_S = 2.0


def say(text: str) -> None:
    """A line for the log; that the disk it lies on is full must end nothing."""
    try:
        os.write(2, f"lastgood: {text}\n".encode())
    except OSError:
        pass


async def control(places: Places) -> int:
    """Run a controller until it is stopped (0) or another one took over."""
    options = bootstrap.Options.load(places.options)
    prepare(places)
    clock = SystemClock()
    journal = bootstrap.open_journal(places)
    lease = journal.lease()
    alive = lease is not None and holder_lives(lease.holder)
    journal.take_over(holder(), clock.now(), is_alive=alive, above=bootstrap.supervisor_epoch(places))
    processes = await ensure_supervisor(str(bootstrap.run_root(places)), epoch=journal.epoch)
    feed = Feed()
    made = bootstrap.make_controller(
        places, options, journal, processes=processes, on_event=feed.publish, take_over=True
    )
    made.loop.recover(os.getpid())
    try:
        await made.proxies.start()
        await ensure_proxies(processes, made.expected, places.logs)
        restoring = Restoring(lambda: made.restore(*_to_serve(made.loop)), say)
        await restoring.once()
        return await _live(made, feed, restoring)
    finally:
        made.services.close()
        await made.proxies.leave()
        journal.give_up()
        journal.close()


def _to_serve(loop: Loop) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """What was being served, and what was accepted last; with a damaged journal nobody knows, and nothing is moved."""
    if loop.damage is not None:
        say(str(loop.damage))
        return None, None
    return loop.state.served, loop.state.accepted


async def _live(made: bootstrap.Controller, feed: Feed, restoring: Restoring) -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    known = {"pid": os.getpid(), "epoch": made.journal.epoch, "follows": made.options.follow}

    def about() -> dict[str, Any]:
        return {**known, "unrestored": restoring.why}

    door = AlertDoor(partial(SecretStore(made.places.secrets).resolve, KEY))
    look = MachineLooks(made.places)
    api = Control(feed, stop=stopping.set, refresh=made.gateway.refresh, about=about, door=door, look=look)
    refuses = is_proxy(str(bootstrap.run_root(made.places) / "processes"))
    server = SocketServer(make_app(made.verbs, api), bootstrap.api_socket(made.places), refuses)
    watches: list[Coroutine[Any, Any, None]] = [
        _renew(made),
        _keep_supervisor(made),
        restoring.keep_trying(lambda: made.loop.state.active is not None),
        watch_certificates(made.loop, made.configurations, made.gateway.refresh),
        sweep(made.loop),
        _sweep_trials(made.verbs),
        keep_drilling(made.loop, made.clock),
        made.services.watch(),
        watch_failing(made.loop, made.services.observe),
        watch_outages(made.loop, made.services.observe),
        keep_collecting(
            made.loop,
            made.configurations,
            make_artifacts(made.places),
            made.clock,
            make_versions(made.places).bundles,
            partial(remove_old, made.places.logs),
            EvidenceFiles(made.places.measurements),
        ),
    ]
    if made.loop.damage is None:
        watches += [each.run() for each in bootstrap.make_judging(made)]
        watches.append(make_crons(made).run())
    address = partial(SecretStore(made.places.secrets).resolve, ADDRESS)
    if _is_there(address):
        watches.append(tell(feed, Notifiers(address).send, say, made.loop.state.seq))
    if made.options.follow and made.verbs.drafting and made.loop.damage is None:
        watches.append(follow(made.verbs, made.verbs.drafting.repository, made.options.follow, made.clock))
    tasks = [asyncio.create_task(each) for each in watches]
    for watch in tasks:
        watch.add_done_callback(_tell_end)
    return await _until_over(made, feed, server, stopping, tasks)


async def _until_over(
    made: bootstrap.Controller,
    feed: Feed,
    server: SocketServer,
    stopping: asyncio.Event,
    tasks: list[asyncio.Task[None]],
) -> int:
    """The first of the tasks keeps the lease: without it nothing else may go on."""
    running = asyncio.create_task(made.loop.run())
    serving = asyncio.create_task(server.serve())
    stopped = asyncio.create_task(stopping.wait())
    try:
        done, _ = await asyncio.wait({running, serving, stopped, tasks[0]}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        return 0
    finally:
        feed.close()
        server.should_exit = True
        made.loop.stop()
        for task in tasks:
            task.cancel()
        await asyncio.wait({running, serving}, timeout=5)


def _is_there(secret: Callable[[], str]) -> bool:
    try:
        return bool(secret())
    except LastgoodError:
        return False


def _tell_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        say(f"a watch ended: {error}")


async def _sweep_trials(verbs: Verbs) -> None:
    if verbs.trials is not None:
        await verbs.trials.sweep()


async def _renew(made: bootstrap.Controller) -> None:
    turn = 0
    while True:
        await asyncio.sleep(RENEW_S)
        turn += 1
        try:
            made.journal.renew(made.clock.now())
            if turn % BOOK_EVERY == 0:
                await asyncio.to_thread(made.journal.book_room)
        except Fenced:
            raise
        except LastgoodError as error:
            say(str(error))


async def _keep_supervisor(made: bootstrap.Controller) -> None:
    """A supervisor that was killed is started again; it adopts what runs, and is told how to start us."""
    known: int | None = None
    while True:
        try:
            client = await ensure_supervisor(str(bootstrap.run_root(made.places)), epoch=made.journal.epoch)
            pid = await client.ping()
            if known is not None and pid != known:
                await client.start(controller_spec(made.places))
                await ensure_proxies(client, made.expected, made.places.logs)
            known = pid
        except LastgoodError as error:
            say(str(error))
        await asyncio.sleep(SUPERVISOR_S)


def main(arguments: list[str]) -> int:
    """``python -m lastgood.interfaces.daemon ROOT STATE``: what the supervisor starts."""
    root, state = arguments
    sys.setswitchinterval(0.0005)
    logging.raiseExceptions = False
    places = find_places(Path(root), state, {})
    try:
        return asyncio.run(control(Places(Path(root), places.state)))
    except Conflict as error:
        say(str(error))
        return error.exit_code
    except LastgoodError as error:
        say(str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
