"""What the supervisor remembers on disk: one record for each process, replaced atomically; no secret values.

A record is written before the process is started (with the marker it is going to have) and again when its pid is known,
so that a supervisor killed in between finds the process by its marker and does not start a second one.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lastgood.effects.processes.identity import Identity
from lastgood.process import ProcessSpec

_VERSION = 1
_KEY_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:@-")
KEY_LIMIT = 160


class BadSpec(ValueError):
    """A spec that cannot be meant; the message says what is wrong with it, without values of its environment."""


@dataclass(frozen=True, slots=True)
class Record:
    """``wanted`` False: it is being stopped. ``identity`` None: not running, or killed before the pid was written."""

    spec: ProcessSpec
    wanted: bool
    marker: str
    identity: Identity | None
    ended: bool = False


def spec_to_json(spec: ProcessSpec, *, with_secrets: bool) -> dict[str, Any]:
    """For the socket with the values of ``secret_env``, for the disk with its names only."""
    secrets = dict(spec.secret_env) if with_secrets else dict.fromkeys(spec.secret_env, "")
    return {
        "key": spec.key,
        "argv": list(spec.argv),
        "log_path": spec.log_path,
        "group": spec.group,
        "env": dict(spec.env),
        "secret_env": secrets,
        "cwd": spec.cwd,
        "restart": spec.restart,
        "grace_s": spec.grace_s,
    }


def spec_from_json(raw: Any) -> ProcessSpec:
    """A spec, checked. Raises ``BadSpec``."""
    if not isinstance(raw, dict) or set(raw) != _FIELDS:
        raise BadSpec(f"a spec has the fields {', '.join(sorted(_FIELDS))}")
    check_key(raw["key"])
    argv = raw["argv"]
    if not (isinstance(argv, list) and argv and all(_is_text(part) for part in argv) and argv[0]):
        raise BadSpec("argv is a list of texts, the first of them the program")
    for name in ("env", "secret_env"):
        if not isinstance(raw[name], dict) or not all(_is_variable(*pair) for pair in raw[name].items()):
            raise BadSpec(f"{name} maps names without = to texts")
    for name in ("log_path", "cwd"):
        if not (_is_text(raw[name]) and raw[name].startswith("/")) and not (name == "cwd" and raw[name] is None):
            raise BadSpec(f"{name} is an absolute path")
    if raw["restart"] not in ("always", "never") or raw["group"] not in ("controller", "proxy", "instance"):
        raise BadSpec("restart is always or never; group is controller, proxy or instance")
    check_grace(raw["grace_s"])
    return ProcessSpec(**{**raw, "argv": tuple(argv), "grace_s": float(raw["grace_s"])})


def check_key(key: Any) -> None:
    """A key is a file name too. Raises ``BadSpec``."""
    fits = isinstance(key, str) and 0 < len(key) <= KEY_LIMIT and _KEY_ALPHABET.issuperset(key) and key[0] != "."
    if not fits:
        raise BadSpec(f"a key has 1 to {KEY_LIMIT} characters of A-Z a-z 0-9 . _ : @ - and no dot in front")


def check_grace(grace_s: Any) -> None:
    """Raises ``BadSpec``."""
    fits = isinstance(grace_s, int | float) and not isinstance(grace_s, bool) and 0 <= grace_s <= 86_400
    if not fits:
        raise BadSpec("grace_s is a number of seconds from 0 to 86400")


def fingerprint(spec: ProcessSpec) -> str:
    """Eight hex digits of all that is written to disk: two specs of one key that differ differ here (CRC-32)."""
    text = json.dumps(spec_to_json(spec, with_secrets=False), sort_keys=True)
    return f"{zlib.crc32(text.encode()):08x}"


def same(one: ProcessSpec, other: ProcessSpec) -> bool:
    """Whether they mean the same process; the values of secrets do not count, their names do."""
    return spec_to_json(one, with_secrets=False) == spec_to_json(other, with_secrets=False)


def write_record(directory: str, record: Record) -> None:
    """Raises ``OSError``; the record that was there before is then still whole."""
    content = {
        "version": _VERSION,
        "spec": spec_to_json(record.spec, with_secrets=False),
        "wanted": record.wanted,
        "marker": record.marker,
        "ended": record.ended,
        "identity": _identity_to_json(record.identity),
    }
    replace_file(os.path.join(directory, record.spec.key + ".json"), json.dumps(content).encode())


def read_records(
    directory: str, is_asked_for: Callable[[str], object] = lambda key: True
) -> tuple[list[Record], list[str]]:
    """The whole records of keys that are asked for; the names of files that are not whole (put aside as ``.torn``)."""
    whole, torn = [], []
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if not name.endswith(".json") or not is_asked_for(name.removesuffix(".json")):
            continue
        try:
            with open(path, "rb") as file:
                record = _record_from_json(json.loads(file.read()))
            if record.spec.key + ".json" != name:
                raise BadSpec("the key is not the file's name")
            whole.append(record)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            torn.append(name)
            put_aside(directory, name.removesuffix(".json"))
    return whole, torn


def put_aside(directory: str, key: str) -> None:
    """Keep what cannot be used for a person to look at; no more than one of a key."""
    path = os.path.join(directory, key)
    try:
        os.replace(path + ".json", path + ".torn")
    except OSError:
        pass  # it is read, and found so, once more the next time


def remove_record(directory: str, key: str) -> None:
    """Raises ``OSError``; one that is not there is no error."""
    try:
        os.unlink(os.path.join(directory, key + ".json"))
    except FileNotFoundError:
        pass


def replace_file(path: str, content: bytes) -> None:
    """Atomic if this process dies; after a power cut its processes are gone as well. Raises ``OSError``."""
    temporary = path + ".new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(fd, left) :]
    finally:
        os.close(fd)
    os.replace(temporary, path)


_FIELDS = frozenset(ProcessSpec.__dataclass_fields__)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_variable(name: Any, value: Any) -> bool:
    return _is_text(name) and _is_text(value) and name != "" and "=" not in name


def _identity_to_json(identity: Identity | None) -> list[Any] | None:
    return None if identity is None else [identity.pid, identity.start_ticks, identity.boot_id, identity.marker]


def _identity_from_json(raw: Any) -> Identity | None:
    if raw is None:
        return None
    pid, start_ticks, boot, marker = raw
    return Identity(int(pid), int(start_ticks), str(boot), str(marker))


def _record_from_json(raw: Mapping[str, Any]) -> Record:
    if raw["version"] != _VERSION:
        raise BadSpec(f"version {raw['version']}")
    spec = spec_from_json(raw["spec"])
    return Record(
        spec, bool(raw["wanted"]), str(raw["marker"]), _identity_from_json(raw["identity"]), bool(raw["ended"])
    )
