"""Secrets are kept private, resolved by reference, revoked for good, and named but never quoted."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest

from lastgood.effects.secrets import SecretStore
from lastgood.errors import Conflict, LastgoodError, Refused, Unavailable, UsageError

VALUE = "hunter2-hunter2"


@pytest.fixture
def store(tmp_path: Path) -> SecretStore:
    return SecretStore(tmp_path / "state" / "secrets")


def files(store: SecretStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.directory.iterdir()}


def test_what_is_set_is_resolved_and_private(store: SecretStore) -> None:
    store.set("database-url", VALUE)
    assert store.resolve("secret:database-url") == VALUE
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((store.directory / "database-url").stat().st_mode) == 0o600
    assert files(store) == {"database-url": VALUE.encode()}


def test_another_value_replaces(store: SecretStore) -> None:
    store.set("a", "the first value")
    store.set("a", "the second value")
    assert store.resolve("secret:a") == "the second value"
    assert set(files(store)) == {"a"}


def test_a_value_is_replaced_whole_or_not_at_all(store: SecretStore) -> None:
    """A reader that opened the old one reads the old one to its end; a torn new one is nobody's value."""
    store.set("a", VALUE)
    (store.directory / "a~new").write_text("hal")
    with open(store.directory / "a") as before:
        store.set("a", "x" * 30)
        assert before.read() == VALUE
    assert files(store) == {"a": b"x" * 30}


def test_names_are_listed_without_values(store: SecretStore) -> None:
    assert store.list() == ()
    for name in ("b", "a", "c.revoked"):
        store.set(name, VALUE)
    store.revoke("b")
    assert [(stored.name, stored.revoked) for stored in store.list()] == [
        ("a", False),
        ("b", True),
        ("c.revoked", False),
    ]
    assert all(stored.changed_s > 1_700_000_000 for stored in store.list())
    assert VALUE not in repr(store.list())


def test_revoked_stays_revoked_until_it_is_set_again(store: SecretStore) -> None:
    store.set("a", VALUE)
    store.revoke("a")
    store.revoke("a")
    again = SecretStore(store.directory)
    with pytest.raises(Refused, match="revoked") as caught:
        again.resolve("secret:a")
    assert caught.value.where == "secret:a"
    assert VALUE.encode() not in b"".join(files(store).values())
    again.set("a", "another value")
    assert again.resolve("secret:a") == "another value"


def test_a_revocation_cut_short_holds(store: SecretStore) -> None:
    """The tombstone is written first: with the value still beside it the secret is revoked."""
    store.set("a", VALUE)
    (store.directory / "a~revoked").touch(0o600)
    with pytest.raises(Refused, match="revoked"):
        store.resolve("secret:a")
    assert [stored.revoked for stored in store.list()] == [True]


def test_the_environment_and_files_are_references_too(store: SecretStore, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(VALUE + "\n\n")
    assert store.resolve(f"file:{path}") == VALUE + "\n"
    assert store.resolve("env:TOKEN", {"TOKEN": VALUE}) == VALUE
    assert store.resolve("env:PATH") == os.environ["PATH"]


@pytest.mark.parametrize(
    "reference", ["secret:nobody", "env:NOBODY", "file:/does/not/exist", "file:/dev/null", "file:/tmp"]
)
def test_what_is_not_there_is_named(store: SecretStore, reference: str) -> None:
    store.set("a", VALUE)
    with pytest.raises(Unavailable) as caught:
        store.resolve(reference, {})
    assert caught.value.where == reference
    assert caught.value.next


@pytest.mark.parametrize(
    "reference", [VALUE, "", "secret", "http://hunter2-hunter2@x", "file:relative/hunter2-hunter2"]
)
def test_what_is_no_reference_is_not_quoted(store: SecretStore, reference: str) -> None:
    with pytest.raises(UsageError) as caught:
        store.resolve(reference)
    assert VALUE not in str(caught.value)


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", ".a", "a~revoked", "a b", "a\n", "x" * 201])
def test_a_name_cannot_leave_the_store(store: SecretStore, name: str) -> None:
    for call in (lambda: store.set(name, VALUE), lambda: store.revoke(name), lambda: store.resolve(f"secret:{name}")):
        with pytest.raises(UsageError, match="name"):
            call()
    assert not store.directory.exists()


@pytest.mark.parametrize("content", [b"", b"a\0b", b"\xff\xfe\xff\xfe", b"x" * (1024 * 1024 + 1)])
def test_a_value_that_no_environment_can_hold_is_refused(store: SecretStore, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "value"
    path.write_bytes(content)
    with pytest.raises(Refused) as caught:
        store.resolve(f"file:{path}")
    assert caught.value.where == f"file:{path}"
    with pytest.raises(Refused):
        store.set("a", content.decode("utf-8", "surrogateescape"))
    assert store.list() == ()


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o701])
def test_a_store_that_others_can_enter_is_refused(store: SecretStore, mode: int) -> None:
    store.set("a", VALUE)
    store.directory.chmod(mode)
    calls = (lambda: store.resolve("secret:a"), store.list, lambda: store.set("b", VALUE), lambda: store.revoke("a"))
    for call in calls:
        with pytest.raises(Refused, match=f"chmod 700 {store.directory}"):
            call()


def test_a_file_that_others_can_read_is_refused(store: SecretStore) -> None:
    store.set("a", VALUE)
    (store.directory / "a").chmod(0o640)
    with pytest.raises(Refused, match="chmod 600") as caught:
        store.resolve("secret:a")
    assert VALUE not in str(caught.value)


def test_links_are_not_followed_in_the_store(store: SecretStore, tmp_path: Path) -> None:
    store.set("a", VALUE)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("another secret")
    elsewhere.chmod(0o600)
    (store.directory / "b").symlink_to(elsewhere)
    with pytest.raises(LastgoodError):
        store.resolve("secret:b")
    store.set("b", VALUE)
    assert elsewhere.read_text() == "another secret"
    store.directory.rename(tmp_path / "moved")
    store.directory.symlink_to(tmp_path / "moved")
    with pytest.raises(Refused, match="not a directory"):
        store.resolve("secret:a")


def test_revoking_what_was_never_set_is_an_error(store: SecretStore) -> None:
    with pytest.raises(Unavailable, match="no such secret"):
        store.revoke("a")


def test_one_at_a_time(store: SecretStore) -> None:
    """Writers wait for each other, and not for ever."""
    store.set("a", VALUE)
    fd = os.open(store.directory, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    timer = threading.Timer(0.2, lambda: os.close(fd))
    timer.start()
    store.set("a", "a value that waited")
    timer.join()
    assert store.resolve("secret:a") == "a value that waited"
    fd = os.open(store.directory, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        with pytest.raises(Conflict, match="another command"):
            SecretStore(store.directory, lock_patience_s=0.1).set("a", VALUE)
    finally:
        os.close(fd)


def test_what_passes_through_is_known_to_the_redactor(store: SecretStore, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("from-a-file")
    store.set("a", "the old value")
    store.set("a", "the new value")
    store.resolve("env:TOKEN", {"TOKEN": "from-the-env"})
    store.resolve(f"file:{path}")
    text = "the old value, the new value, from-the-env, from-a-file"
    assert store.redactor.redact(text) == "[redacted], [redacted], [redacted], [redacted]"
    fresh = SecretStore(store.directory)
    assert "new" in fresh.redactor.redact(text)
    fresh.learn_all()
    assert "new" not in fresh.redactor.redact(text)


def test_a_revoked_value_is_still_taken_out(store: SecretStore) -> None:
    store.set("a", VALUE)
    fresh = SecretStore(store.directory)
    fresh.revoke("a")
    assert fresh.redactor.redact(f"login {VALUE}") == "login [redacted]"
