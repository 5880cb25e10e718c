"""What every ``Artifacts`` has to do. Run each clause of ``CLAUSES`` in a new world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from lastgood.config.configuration import digest_of
from lastgood.errors import Damaged, LastgoodError, Refused, Unavailable
from lastgood.ports import Artifacts, BundleFile, Recipe


@dataclass(frozen=True)
class ArtifactWorld:
    """The port, and hands: ``damage(digest)`` changes a file of a bundle, ``builds()`` counts the builds so far.

    ``building`` is the argv of a build that works (and is counted).
    """

    artifacts: Artifacts
    building: tuple[str, ...]
    builds: Callable[[], int]
    damage: Callable[[str], None]


def recipe(content: bytes = b"print(1)", **other: object) -> Recipe:
    """One file, ``main.py``."""
    return replace(Recipe("catalog", (bundle_file("main.py", content),)), **other)  # type: ignore[arg-type]


def bundle_file(path: str, content: bytes) -> BundleFile:
    """A file that is not executable."""
    return BundleFile(path, False, digest_of(content), lambda: content)


def _error(kind: type[LastgoodError], call: Callable[[], object]) -> LastgoodError:
    try:
        result = call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected, not {result!r}")


def the_same_recipe_is_made_once(world: ArtifactWorld) -> None:
    """A second time nothing is built; whose it is makes no difference."""
    made = recipe(build=world.building)
    first = world.artifacts.make(made)
    again = world.artifacts.make(replace(made, name="other", timeout_s=1.0))
    assert (first, world.builds()) == (again, 1)


def what_differs_is_another_bundle(world: ArtifactWorld) -> None:
    """Content, paths, modes and the build count."""
    one = recipe()
    moved = recipe(files=(bundle_file("other.py", b"print(1)"),))
    executable = recipe(files=(replace(one.files[0], executable=True),))
    others = (recipe(b"print(2)"), moved, executable, recipe(build=world.building))
    digests = {world.artifacts.make(each).digest for each in (one, *others)}
    assert len(digests) == 5
    assert {held.digest for held in world.artifacts.held()} == digests


def what_was_made_is_found_by_digest_and_seal(world: ArtifactWorld) -> None:
    """Without its recipe, and without another build."""
    made = world.artifacts.make(recipe(build=world.building))
    assert world.artifacts.find(made.digest, made.seal) == made
    assert world.builds() == 1


def what_was_never_made_is_not_found(world: ArtifactWorld) -> None:
    """Finding builds nothing."""
    error = _error(Unavailable, lambda: world.artifacts.find("0" * 64, "1" * 64))
    assert "not on this machine" in error.what
    assert error.next is not None
    assert world.builds() == 0


def a_build_that_fails_leaves_nothing(world: ArtifactWorld) -> None:
    """And is tried again the next time."""
    wrong = recipe(build=("false",))
    error = _error(Refused, lambda: world.artifacts.make(wrong))
    assert "catalog" in error.what
    assert world.artifacts.held() == ()
    _error(Refused, lambda: world.artifacts.make(wrong))


def what_was_changed_is_damaged(world: ArtifactWorld) -> None:
    """It is not run, and made anew from its recipe."""
    made = world.artifacts.make(recipe())
    world.damage(made.digest)
    _error(Damaged, lambda: world.artifacts.find(made.digest, made.seal))
    assert world.artifacts.make(recipe()) == made
    assert world.artifacts.find(made.digest, made.seal) == made


def another_seal_is_damage(world: ArtifactWorld) -> None:
    """Built again it may have become something else: that is not what was proven."""
    made = world.artifacts.make(recipe())
    _error(Damaged, lambda: world.artifacts.find(made.digest, "1" * 64))


def what_is_removed_is_gone(world: ArtifactWorld) -> None:
    """Twice is as good as once; others stay."""
    made, other = world.artifacts.make(recipe()), world.artifacts.make(recipe(b"print(2)"))
    world.artifacts.remove(made.digest)
    world.artifacts.remove(made.digest)
    _error(Unavailable, lambda: world.artifacts.find(made.digest, made.seal))
    assert [held.digest for held in world.artifacts.held()] == [other.digest]


CLAUSES: tuple[Callable[[ArtifactWorld], None], ...] = (
    the_same_recipe_is_made_once,
    what_differs_is_another_bundle,
    what_was_made_is_found_by_digest_and_seal,
    what_was_never_made_is_not_found,
    a_build_that_fails_leaves_nothing,
    what_was_changed_is_damaged,
    another_seal_is_damage,
    what_is_removed_is_gone,
)
