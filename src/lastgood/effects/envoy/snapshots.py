"""Compiling traffic for the proxies: with the secrets' values, the certificates' bytes and the limits' slots of now."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from lastgood.config.model import Listener
from lastgood.effects.envoy.barred import Barred
from lastgood.errors import LastgoodError, Unavailable
from lastgood.gateway.cache import CompileCache
from lastgood.gateway.compile import compile_snapshot, wanted_limits, with_percent
from lastgood.gateway.slots import SlotTable, assign
from lastgood.gateway.snapshot import Generation, Snapshot, Traffic

Resolve = Callable[[str], str]


@dataclass(frozen=True)
class _MadeOf:
    """All that a snapshot depends on, save the share of requests."""

    generations: tuple[Generation, ...]
    before: Generation | None
    secrets: Mapping[str, str] = field(repr=False)
    slots: SlotTable
    certificates: Mapping[str, tuple[str, str]] = field(repr=False)


class Snapshots:
    """Makes snapshots; one at a time, from whichever thread asks. The slots are kept in a file across restarts."""

    def __init__(self, resolve: Resolve, slots_path: Path, barred: Barred | None = None) -> None:
        self._resolve = resolve
        self._slots_path = slots_path
        self._barred = barred
        self._cache = CompileCache()
        self._lock = threading.Lock()
        self._slots = _read_slots(slots_path)
        self._unguessable: dict[str, str] = {}
        self._newest: tuple[_MadeOf, Snapshot] | None = None

    def build(self, traffic: Traffic) -> Snapshot:
        """The snapshot of a state; raises ``Unavailable`` for a secret or certificate that cannot be read."""
        with self._lock:
            traffic = self._barred.without(traffic) if self._barred else traffic
            generations = (traffic.base, *((traffic.candidate,) if traffic.candidate else ()))
            self._assign(traffic)
            secrets, certificates = self._secrets(generations), self._certificates(generations)
            made_of = _MadeOf(generations, traffic.before, secrets, self._slots, certificates)
            if self._newest is None or self._newest[0] != made_of:
                snapshot = compile_snapshot(
                    traffic,
                    secrets=made_of.secrets,
                    slots=made_of.slots,
                    certificates=made_of.certificates,
                    cache=self._cache,
                )
                self._newest = (made_of, snapshot)
                return snapshot
            return with_percent(self._newest[1], traffic, self._cache)

    def _assign(self, traffic: Traffic) -> None:
        table = assign(self._slots, wanted_limits(traffic))
        if table is not self._slots:
            self._slots = table
            temporary = self._slots_path.with_suffix(".new")
            try:
                temporary.write_text(table.to_json())
                os.replace(temporary, self._slots_path)
            except OSError:
                pass  # after a restart limits may get other slots and start afresh; traffic must not wait for a disk

    def _secrets(self, generations: Iterable[Generation]) -> dict[str, str]:
        return {text: self._key(text) for text in api_key_references(generations)}

    def _key(self, reference: str) -> str:
        """A client whose key was revoked or cannot be read stays out, and nobody else is kept waiting for it.

        What is deployed anew was checked before; this is the way back, and a controller that starts.
        """
        try:
            return self._resolve(reference)
        except LastgoodError:
            return self._unguessable.setdefault(reference, token_hex(32))

    def _certificates(self, generations: Iterable[Generation]) -> dict[str, tuple[str, str]]:
        found = {}
        for name, listener in tls_listeners(generations).items():
            assert listener.tls is not None
            found[name] = (read_certificate(listener.tls.cert), self._resolve(listener.tls.key))
        return found


def api_key_references(generations: Iterable[Generation]) -> set[str]:
    """The secret references of every client of every policy."""
    return {
        reference
        for generation in generations
        for policy in generation.configuration.policies.values()
        if policy.api_key is not None
        for reference in policy.api_key.clients.values()
    }


def tls_listeners(generations: Iterable[Generation]) -> dict[str, Listener]:
    """The listeners that speak TLS; of two of one name the later generation's."""
    return {
        name: listener
        for generation in generations
        for name, listener in generation.configuration.listeners.items()
        if listener.tls is not None
    }


def read_certificate(path: str) -> str:
    """The PEM text of a certificate chain."""
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(
            f"the certificate cannot be read: {error}", where=path, next="mend its path or mode"
        ) from None


def _read_slots(path: Path) -> SlotTable:
    try:
        return SlotTable.from_json(path.read_text())
    except (OSError, ValueError, KeyError, TypeError):
        return SlotTable()
