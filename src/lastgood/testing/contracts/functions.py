"""What every ``Functions`` has to do: this machine, and any platform that is to stand in its place.

Run each clause of ``CLAUSES`` in a new world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lastgood.errors import Failed, LastgoodError, Refused, UsageError
from lastgood.ports import FunctionRequest, Functions, FunctionVersion


@dataclass(frozen=True)
class FunctionWorld:
    """The port, which keeps three versions, a folder to work in, and ``settings`` of a function.

    ``code(word)`` is the file (``main.py``) of a function that answers 200 with the path that was asked for;
    ``broken`` is one that cannot start. It contains the words ``cannot start``.
    """

    functions: Functions
    folder: Path
    settings: dict[str, object]
    code: Callable[[str], str]
    broken: str

    def upload(self, word: str, name: str = "price") -> FunctionVersion:
        """A version that differs from others by its word."""
        return self._upload(self.code(word), name)

    def upload_broken(self) -> FunctionVersion:
        """One that cannot start."""
        return self._upload(self.broken, "price")

    def _upload(self, text: str, name: str) -> FunctionVersion:
        (self.folder / "main.py").write_text(text)
        return self.functions.upload(name, self.settings, self.folder)


def _error(kind: type[LastgoodError], call: Callable[[], object]) -> LastgoodError:
    try:
        result = call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected, not {result!r}")


def the_same_content_is_the_same_version(world: FunctionWorld) -> None:
    """And other content, or other settings, is another."""
    one, again, other = world.upload("one"), world.upload("one"), world.upload("two")
    assert one.digest == again.digest != other.digest
    world.settings["timeout"] = "7s"
    assert world.upload("two").digest != other.digest


def the_newest_come_first_and_names_are_apart(world: FunctionWorld) -> None:
    """Uploading again makes a version the newest."""
    one, two, other = world.upload("one"), world.upload("two"), world.upload("one", "tax")
    assert [each.digest for each in world.functions.versions("price")] == [two.digest, one.digest]
    world.upload("one")
    assert world.functions.find("price", "latest").digest == one.digest
    assert [each.digest for each in world.functions.versions("tax")] == [other.digest]
    assert {each.name for each in world.functions.versions()} == {"price", "tax"}


def so_many_are_kept_and_tags_beyond(world: FunctionWorld) -> None:
    """Of the untagged ones the oldest go."""
    first, second = world.upload("1"), world.upload("2")
    world.functions.tag("price", first.digest, "festive")
    rest = [world.upload(word) for word in ("3", "4", "5")]
    kept = [each.digest for each in world.functions.versions("price")]
    assert kept == [*(each.digest for each in reversed(rest)), first.digest]
    assert second.digest not in kept


def a_tag_is_a_name_and_moves(world: FunctionWorld) -> None:
    """It belongs to one version of a function at a time."""
    one, two = world.upload("one"), world.upload("two")
    world.functions.tag("price", one.digest, "stable")
    assert world.functions.find("price", "stable").digest == one.digest
    world.functions.tag("price", two.digest[:10], "stable")
    assert world.functions.find("price", "stable").digest == two.digest
    assert world.functions.find("price", one.digest).tags == ()


def what_is_not_kept_is_said_with_what_is(world: FunctionWorld) -> None:
    """Nobody has to guess."""
    one = world.upload("one")
    error = _error(UsageError, lambda: world.functions.find("price", "0000beef"))
    assert one.digest[:8] in str(error)
    _error(UsageError, lambda: world.functions.activate("nobody", "latest"))


def asking_how_it_is_wakes_nobody_and_a_request_does(world: FunctionWorld) -> None:
    """The answer is the function's own, whatever else has the traffic."""
    one, two = world.upload("one"), world.upload("two")
    before = world.functions.observe("price", two.digest)
    assert world.functions.observe("price", one.digest) == before != "failed"
    answer = world.functions.invoke("price", one.digest, FunctionRequest(path="/a?b=c"))
    assert (answer.status, answer.body) == (200, b"/a?b=c")
    assert world.functions.observe("price", one.digest) == "awake"
    assert world.functions.observe("price", two.digest) == before


def an_address_stays_while_it_is_awake(world: FunctionWorld) -> None:
    """Each version has one of its own."""
    one, two = world.upload("one"), world.upload("two")
    address = world.functions.activate("price", one.digest)
    assert world.functions.activate("price", one.digest) == address == world.functions.address("price", one.digest)
    assert world.functions.activate("price", two.digest) != address


def what_cannot_start_says_so_and_others_go_on(world: FunctionWorld) -> None:
    """It fails whoever asks, and nobody else."""
    one, broken = world.upload("one"), world.upload_broken()
    error = _error(Failed, lambda: world.functions.activate("price", broken.digest))
    assert "does not start" in str(error)
    assert world.functions.observe("price", broken.digest) in ("failed", "asleep")
    assert world.functions.invoke("price", one.digest, FunctionRequest()).status == 200


def links_are_refused(world: FunctionWorld) -> None:
    """What they point at is no part of a version."""
    (world.folder / "passwords").symlink_to("/etc/passwd")
    error = _error(Refused, lambda: world.upload("one"))
    assert "link" in str(error)


CLAUSES = (
    the_same_content_is_the_same_version,
    the_newest_come_first_and_names_are_apart,
    so_many_are_kept_and_tags_beyond,
    a_tag_is_a_name_and_moves,
    what_is_not_kept_is_said_with_what_is,
    asking_how_it_is_wakes_nobody_and_a_request_does,
    an_address_stays_while_it_is_awake,
    what_cannot_start_says_so_and_others_go_on,
    links_are_refused,
)
