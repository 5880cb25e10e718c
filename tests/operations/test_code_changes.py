"""What differs in code and migrations is told like every other difference."""

from __future__ import annotations

from lastgood.operations.code_changes import code_changes, code_of
from lastgood.ports.artifacts import BundleFile, Recipe


def kept(name: str, **files: str) -> dict[str, bytes | str]:
    made = tuple(BundleFile(f"{path}.py", False, text * 64, lambda: b"") for path, text in files.items())
    return {**code_of(Recipe(name, made))}


def told(before: dict[str, bytes | str], after: dict[str, bytes | str], *owners: str) -> list[str]:
    return [change.text for change in code_changes(before, after, owners)]


def test_files_that_changed_came_and_went_are_named() -> None:
    before, after = kept("shop", main="a", old="a", same="a"), kept("shop", main="b", new="a", same="a")
    assert told(before, after) == ["service shop: main.py is changed; new.py is new; old.py is gone"]
    assert told(before, before) == []
    assert told(before, after, "function:shop")[0].startswith("function shop: ")


def test_of_many_files_some_are_named_and_all_are_counted() -> None:
    before = kept("shop", **{f"f{n}": "a" for n in range(9)})
    after = kept("shop", **{f"f{n}": "b" for n in range(9)})
    assert told(before, after) == ["service shop: f0.py, f1.py, f2.py, f3.py and 5 more are changed"]


def test_what_only_one_of_them_has_is_told_by_its_configuration() -> None:
    assert told({}, kept("shop", main="a")) == []
    assert told({"migration:main/1": "a"}, {}) == []


def test_migrations_of_a_database_that_both_have() -> None:
    before: dict[str, bytes | str] = {"migration:main/0001": "a", "migration:main/0002": "a"}
    after: dict[str, bytes | str] = {"migration:main/0001": "b", "migration:main/0003": "a"}
    assert told(before, after) == [
        "database main: migration 0001 is another one",
        "database main: migration 0002 is gone",
        "database main: migration 0003 is new",
    ]
    assert told(after, before)[1:] == ["database main: migration 0002 is new", "database main: migration 0003 is gone"]
