"""What a new supervisor finds: records, processes that go with them, and processes whose record is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator

from lastgood.effects.processes.entry import Entry, key_of_marker, runs_spec
from lastgood.effects.processes.identity import Identity, adopt, boot_id, identify, marker_of, running
from lastgood.effects.processes.keeper import Keeper, boot_time_s
from lastgood.effects.processes.records import Record, put_aside, read_records
from lastgood.process import ProcessSpec

NO_PROCESS = -1


def take_over(keeper: Keeper) -> None:
    """Adopt what runs, start what should run, finish what was being stopped. Raises ``OSError``."""
    records, torn = read_records(keeper.run.records_path)
    for name in torn:
        keeper.say(f"{name} is torn; put aside. If its process runs it is an orphan now: start it again or stop it")
    leaders = _leaders(keeper.run.run_id)
    for record in _own(keeper, records):
        entry = keeper.entries[record.spec.key] = Entry(record.spec, "backoff", marker=record.marker)
        entry.secrets_known = not record.spec.secret_env
        found = leaders.pop(record.spec.key, None)
        if record.identity is not None and adopt_for(keeper, entry, record.identity):
            _go_on(keeper, entry, record)
        elif found is not None and adopt_for(keeper, entry, found):
            if not runs_spec(found.marker, record.spec):
                _make_orphan(entry)  # a newer one, whose record was never written: what it was started from is unknown
            else:
                _go_on(keeper, entry, record)
        else:
            _start_again(keeper, entry, record)
    for key, identity in leaders.items():
        spec = ProcessSpec(key, (), log_path="", restart="never")
        entry = Entry(spec, "orphan")
        if adopt_for(keeper, entry, identity):
            keeper.entries[key] = entry
            _make_orphan(entry)
            keeper.say(f"{key}: pid {identity.pid} is ours but its record is lost")


def _own(keeper: Keeper, records: Iterable[Record]) -> Iterator[Record]:
    """Without those that came with a copy of the directory: what they tell of belongs to another supervisor."""
    for record in records:
        if key_of_marker(keeper.run.run_id, record.marker) is not None:
            yield record
            continue
        keeper.say(f"{record.spec.key}: its record was copied from another directory; put aside")
        put_aside(keeper.run.records_path, record.spec.key)


def _leaders(run_id: str) -> dict[str, Identity]:
    """Every session leader that a supervisor of this run directory started, by key."""
    found: dict[str, Identity] = {}
    for stat in running():
        if stat.session != stat.pid:
            continue
        marker = marker_of(stat.pid)
        key = key_of_marker(run_id, marker) if marker else None
        identity = identify(stat.pid, marker) if marker else None
        if key is not None and identity is not None and _is_newer(identity, found.get(key)):
            found[key] = identity
    return found


def _is_newer(one: Identity, other: Identity | None) -> bool:
    return other is None or one.start_ticks > other.start_ticks


def _go_on(keeper: Keeper, entry: Entry, record: Record) -> None:
    keeper.say(f"{entry.spec.key}: adopted pid {entry.identity.pid if entry.identity else '?'}")
    if not record.wanted:
        keeper.begin_stop(entry, entry.spec.grace_s, reply=_nobody)
    elif not runs_spec(entry.marker, record.spec):
        # We were killed while replacing it. A successor that needs secrets has to wait until somebody brings them.
        if record.spec.secret_env:
            _make_orphan(entry)
        else:
            keeper.begin_stop(entry, entry.spec.grace_s, successor=record.spec, successor_reply=_nobody)
    else:
        keeper.save(entry)


def _make_orphan(entry: Entry) -> None:
    entry.phase, entry.spec = "orphan", ProcessSpec(entry.spec.key, (), log_path=entry.spec.log_path, restart="never")


def _start_again(keeper: Keeper, entry: Entry, record: Record) -> None:
    entry.identity = record.identity or Identity(NO_PROCESS, 0, boot_id(), record.marker)
    left = keeper.census.signal(entry.identity, signal.SIGKILL)
    if left:
        keeper.say(f"{entry.spec.key}: ended while nobody watched; ended {left} that it left behind")
    if not record.wanted:
        keeper.begin_stop(entry, 0, reply=_nobody)
    elif entry.spec.restart == "never":
        # Also when its pid was never written: it may have run. At most once is what "never" asks for.
        entry.phase = "exited"
        keeper.save(entry)
    elif entry.spec.secret_env:
        entry.phase = "needs_env"
    else:
        entry.due_s = boot_time_s()
        entry.give_up_cleaning_s = entry.due_s + 5.0


def _nobody(_answer: dict[str, object]) -> None:
    """Who asked is gone with the supervisor that was asked."""


def own_pid_line() -> bytes:
    """For the lock file: who holds it."""
    return f"{os.getpid()}\n".encode()


def adopt_for(keeper: Keeper, entry: Entry, identity: Identity) -> bool:
    """Take over a process that another supervisor started; False when it is not there any more."""
    pidfd = adopt(identity)
    if pidfd is None:
        return False
    keeper.hold(entry, identity, pidfd)
    entry.adopted, entry.secrets_known = True, not entry.spec.secret_env
    return True
