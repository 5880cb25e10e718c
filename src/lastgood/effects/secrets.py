"""Secrets outside the repository: one private file for each name, references resolved, values never shown.

A revoked secret leaves a tombstone and stays revoked, whatever release is live, until it is set again.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lastgood.effects.redaction import Redactor
from lastgood.errors import Conflict, Refused, Unavailable, UsageError

VALUE_LIMIT_BYTES = 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}")
_REVOKED = "~revoked"  # the alphabet of names has no ~
_NEW = "~new"


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A name in the store; ``changed_s`` is the wall clock of when it was set, or revoked."""

    name: str
    revoked: bool
    changed_s: float


class SecretStore:
    """The store in ``directory`` (0700, made by the first ``set``). What passes through is known to ``redactor``."""

    def __init__(self, directory: Path, redactor: Redactor | None = None, *, lock_patience_s: float = 5.0) -> None:
        self.directory = directory
        self._lock_patience_s = lock_patience_s
        self.redactor = redactor or Redactor()

    def set(self, name: str, value: str) -> None:
        """Store a value in place of the one before, durably; ends a revocation. Raises ``Refused``, ``UsageError``."""
        _check_name(name)
        content = value.encode("utf-8", "surrogateescape")
        reference = f"secret:{name}"
        self.redactor.add(_usable(content, reference))
        with self._locked():
            self._remember(name)
            self._write(name, content)
            (self.directory / f"{name}{_REVOKED}").unlink(missing_ok=True)
            self._sync()

    def revoke(self, name: str) -> None:
        """Forget the value and leave a tombstone; harmless again. Raises ``Unavailable`` for a name never set."""
        _check_name(name)
        with self._locked():
            known = {stored.name for stored in self.list()}
            if name not in known:
                raise Unavailable("there is no such secret", where=f"secret:{name}", next="lastgood secret list")
            self._remember(name)
            # The tombstone first: killed in between, the secret is revoked already.
            self._write(f"{name}{_REVOKED}", b"")
            self._sync()
            (self.directory / name).unlink(missing_ok=True)
            self._sync()

    def list(self) -> tuple[StoredSecret, ...]:
        """Every name, by name; no values. Raises ``Refused`` for a store that others can read."""
        if not self._is_there():
            return ()
        found: dict[str, StoredSecret] = {}
        for entry in os.scandir(self.directory):
            name = entry.name.removesuffix(_REVOKED)
            if _NAME.fullmatch(name) and (name not in found or name != entry.name):
                found[name] = StoredSecret(name, name != entry.name, entry.stat(follow_symlinks=False).st_mtime)
        return tuple(found[name] for name in sorted(found))

    def resolve(self, reference: str, environment: Mapping[str, str] | None = None) -> str:
        """The value of ``secret:NAME``, ``env:NAME`` (default: ours) or ``file:/abs`` (without a last newline).

        Raises ``Unavailable`` when there is none, ``Refused`` when it is revoked or others can read the store; the
        errors name the reference and never the value.
        """
        kind, _, rest = reference.partition(":")
        if kind == "secret":
            value = self._stored(rest, reference)
        elif kind == "env":
            found = (os.environ if environment is None else environment).get(rest)
            if found is None:
                raise Unavailable("the variable is not set", where=reference, next=f"export {rest}=... and try again")
            value = _usable(found.encode("utf-8", "surrogateescape"), reference)
        elif kind == "file" and rest.startswith("/"):
            value = _usable(_read(Path(rest), reference, follow=True).removesuffix(b"\n"), reference)
        else:
            # Not quoted: somebody may have written the value where the reference belongs.
            raise UsageError("a secret is given as secret:NAME, env:NAME or file:/ABSOLUTE/PATH")
        self.redactor.add(value)
        return value

    def learn_all(self) -> None:
        """Let the redactor know every stored value, so that logs can be cleaned before anything was resolved."""
        for stored in self.list():
            self._remember(stored.name)

    def _stored(self, name: str, reference: str) -> str:
        _check_name(name)
        there = self._is_there()
        if there and os.path.lexists(self.directory / f"{name}{_REVOKED}"):
            raise Refused("it was revoked", where=reference, next=f"lastgood secret set {name}, if it is good again")
        if not there or not os.path.lexists(self.directory / name):
            raise Unavailable("there is no such secret", where=reference, next=f"lastgood secret set {name}")
        path = self.directory / name
        _check_private(path, path.lstat())
        return _usable(_read(path, reference, follow=False), reference)

    def _remember(self, name: str) -> None:
        """The value there is, also one that is about to go: it may still stand in a log."""
        try:
            value = (self.directory / name).read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            return
        self.redactor.add(value)

    def _is_there(self) -> bool:
        try:
            seen = self.directory.lstat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise Unavailable(f"cannot be read: {error.strerror}", where=str(self.directory)) from None
        if not stat.S_ISDIR(seen.st_mode):
            raise Refused("it is not a directory", where=str(self.directory), next=f"remove {self.directory}")
        _check_private(self.directory, seen)
        return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._is_there()
            fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _unwritable(self.directory, error) from None
        try:
            _lock(fd, self.directory, self._lock_patience_s)
            yield
        except OSError as error:
            raise _unwritable(self.directory, error) from None
        finally:
            os.close(fd)

    def _write(self, file_name: str, content: bytes) -> None:
        new = self.directory / (file_name + _NEW)
        new.unlink(missing_ok=True)
        try:
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(fd)
            new.replace(self.directory / file_name)
        except OSError:
            new.unlink(missing_ok=True)
            raise

    def _sync(self) -> None:
        fd = os.open(self.directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError("a secret's name has 1 to 200 characters of A-Z a-z 0-9 _ . - and no dot in front")


def _check_private(path: Path, seen: os.stat_result) -> None:
    if seen.st_uid != os.getuid():
        raise Refused(
            f"it belongs to uid {seen.st_uid}, not to you", where=str(path), next=f"chown {os.getuid()} {path}"
        )
    if seen.st_mode & 0o077:
        mode = "700" if stat.S_ISDIR(seen.st_mode) else "600"
        raise Refused(
            "others can read or change it", where=str(path), next=f"chmod {mode} {path}, then change the secrets"
        )


def _read(path: Path, reference: str, *, follow: bool) -> bytes:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        with open(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unavailable("it is not a plain file", where=reference, next=f"look at {path}")
            return file.read(VALUE_LIMIT_BYTES + 1)
    except OSError as error:
        why = f"it cannot be read: {error.strerror}"
        raise Unavailable(
            why, where=reference, next=f"see that {path} is there and readable for uid {os.getuid()}"
        ) from None


def _usable(content: bytes, reference: str) -> str:
    """The text, fit for an environment variable."""
    if not content or len(content) > VALUE_LIMIT_BYTES or b"\0" in content:
        raise Refused("its value is empty, over 1 MiB, or has NUL bytes", where=reference, next="give it a value again")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Refused("its value is not UTF-8", where=reference, next="encode it, in base64 for example") from None


def _unwritable(directory: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"the secret store cannot be used: {error.strerror}", where=str(directory), next="lastgood doctor"
    )


def _lock(fd: int, directory: Path, patience_s: float) -> None:
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                raise Conflict(
                    "another command is changing the secrets", where=str(directory), next="try again"
                ) from None
            time.sleep(0.02)
