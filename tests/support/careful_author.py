"""Histories by chance, as a careful author would write them: every down undoes its up. And rows by an application."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field, replace

VALUES = {"integer": "7", "text": "'x;''y'", "numeric": "2.25"}
DEFAULTS = {"integer": "0", "text": "'a;b'", "numeric": "1.5"}
Pair = tuple[str, str]


def q(name: str) -> str:
    """A name as SQL has it."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Table:
    """``columns``: their types and defaults beside ``id``; ``references`` and ``indexes`` are of columns."""

    name: str
    columns: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)
    indexes: dict[str, str] = field(default_factory=dict)

    def definition(self, column: str) -> str:
        """Of a column."""
        kind, default = self.columns[column]
        said = f"{q(column)} {kind}" + (f" NOT NULL DEFAULT {default}" if default else "")
        return f"{said} REFERENCES {q(self.references[column])} (id)" if column in self.references else said

    def create(self) -> str:
        """The table and its indexes."""
        columns = ["id integer PRIMARY KEY", *map(self.definition, self.columns)]
        return f"CREATE TABLE {q(self.name)} ({', '.join(columns)});" + "".join(map(self.index, self.indexes))

    def index(self, name: str) -> str:
        """One of its indexes."""
        return f" CREATE INDEX {q(name)} ON {q(self.name)} ({q(self.indexes[name])});"


class Author:
    """Writes one pair of scripts after the other; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.tables: dict[str, Table] = {}
        self._made = 0

    def migration(self) -> Pair:
        """One to three changes, undone in reverse."""
        changes = [self._change() for _ in range(self.chance.randint(1, 3))]
        return "\n".join(up for up, _ in changes), "\n".join(down for _, down in reversed(changes))

    def rows(self) -> list[str]:
        """What an application writes: nothing that it wrote before."""
        written = []
        for table in self.tables.values():
            for _ in range(self.chance.randint(0, 3)):
                self._made += 1
                own = [c for c in table.columns if c not in table.references and self.chance.random() < 0.8]
                words = {"integer": str(self._made), "text": f"'w{self._made}'", "numeric": "3.5"}
                values = [str(self._made), *(words[table.columns[column][0]] for column in own)]
                named = ", ".join(["id", *map(q, own)])
                written.append(f"INSERT INTO {q(table.name)} ({named}) VALUES ({', '.join(values)})")
        return written

    def _change(self) -> Pair:
        kinds = [self._create] * (4 if len(self.tables) < 2 else 1)
        kinds += [self._add, self._drop_column, self._drop_table, self._rename_column, self._rename_table, self._index]
        return next(pair for _ in range(100) if (pair := self.chance.choice(kinds)()) is not None)

    def _name(self, kind: str) -> str:
        self._made += 1
        return self.chance.choice(["{}{}"] * 6 + ["{} {}", '{}"{}', "My{}{}"]).format(kind, self._made)

    def _any(self, *, free: bool = False) -> Table | None:
        """A table; ``free``: one that no other refers to."""
        taken = {of for table in self.tables.values() for of in table.references.values()} if free else ()
        found = [table for table in self.tables.values() if table.name not in taken]
        return self.chance.choice(found) if found else None

    def _kind(self) -> tuple[str, str | None]:
        kind = self.chance.choice(list(VALUES))
        return kind, DEFAULTS[kind] if self.chance.random() < 0.3 else None

    def _create(self) -> Pair:
        """With an index or without, a reference, a row of its own, a name that it has only at first."""
        table = Table(self._name("t"), {self._name("c"): self._kind() for _ in range(self.chance.randint(1, 3))})
        column = next(iter(table.columns))
        if self.tables and self.chance.random() < 0.4:
            reference = self._name("f")
            table.columns[reference] = ("integer", None)
            table.references[reference] = self.chance.choice(list(self.tables))
        indexes = {self._name("i"): column} if self.chance.random() < 0.5 else {}
        table.indexes.update(indexes)
        up, down = table.create(), f"DROP TABLE {q(table.name)};"
        if indexes and self.chance.random() < 0.5:
            down = f"DROP INDEX {q(next(iter(indexes)))}; {down}"
        if self.chance.random() < 0.4:
            self._made += 1
            value = VALUES[table.columns[column][0]]
            up += f" INSERT INTO {q(table.name)} (id, {q(column)}) VALUES ({10**6 + self._made}, {value});"
            down = (f"DELETE FROM {q(table.name)} WHERE id > {10**6};" if self.chance.random() < 0.5 else "") + down
        self.tables[table.name] = table
        if self.chance.random() < 0.2:
            renamed = self._rename_table(table)
            return f"{up} {renamed[0]}", f"{renamed[1]} {down}"
        return up, down

    def _add(self) -> Pair | None:
        """A column, filled or indexed or neither."""
        if (table := self._any()) is None:
            return None
        column, index, how = self._name("c"), self._name("i"), self.chance.choice(["", "", "filled", "indexed"])
        table.columns[column] = kind = self._kind()
        up, down = f"ALTER TABLE {q(table.name)} ADD COLUMN {table.definition(column)};", ""
        if how == "filled":
            up += f" UPDATE {q(table.name)} SET {q(column)} = {VALUES[kind[0]]};"
        if how == "indexed":
            table.indexes[index] = column
            up, down = up + table.index(index), f"DROP INDEX {q(index)}; "
        return up, f"{down}ALTER TABLE {q(table.name)} DROP COLUMN {q(column)};"

    def _drop_column(self) -> Pair | None:
        table = self._any()
        found = [c for c in table.columns if c not in table.references] if table else []
        if table is None or not found:
            return None
        column = self.chance.choice(found)
        indexes = [index for index, of in table.indexes.items() if of == column]
        drop = " ".join(f"DROP INDEX {q(index)};" for index in indexes)
        add = f"ALTER TABLE {q(table.name)} ADD COLUMN {table.definition(column)};"
        if self.chance.random() < 0.4:
            add += f" UPDATE {q(table.name)} SET {q(column)} = {VALUES[table.columns[column][0]]} WHERE id > 0;"
        add += "".join(table.index(index) for index in indexes)
        del table.columns[column]
        for index in indexes:
            del table.indexes[index]
        return f"{drop} ALTER TABLE {q(table.name)} DROP COLUMN {q(column)};", add

    def _drop_table(self) -> Pair | None:
        if (table := self._any(free=True)) is None:
            return None
        del self.tables[table.name]
        return f"DROP TABLE {q(table.name)};", table.create()

    def _index(self) -> Pair | None:
        table = self._any()
        if table is None or not table.columns:
            return None
        name = self._name("i")
        table.indexes[name] = self.chance.choice(list(table.columns))
        return table.index(name), f"DROP INDEX {q(name)};"

    def _rename_column(self) -> Pair | None:
        table = self._any()
        if table is None or not table.columns:
            return None
        old, new = self.chance.choice(list(table.columns)), self._name("r")
        for kept in (table.columns, table.references):
            renamed = {new if name == old else name: kind for name, kind in kept.items()}  # type: ignore[var-annotated]
            kept.clear()
            kept.update(renamed)
        table.indexes.update({index: new for index, of in table.indexes.items() if of == old})
        head = f"ALTER TABLE {q(table.name)} RENAME COLUMN"
        return f"{head} {q(old)} TO {q(new)};", f"{head} {q(new)} TO {q(old)};"

    def _rename_table(self, table: Table | None = None) -> Pair:
        old, new = (table or self._any() or Table("")).name, self._name("u")
        if not old:
            return self._create()
        self.tables[new] = replace(self.tables.pop(old), name=new)
        for other in self.tables.values():
            other.references.update({column: new for column, of in other.references.items() if of == old})
        return f"ALTER TABLE {q(old)} RENAME TO {q(new)};", f"ALTER TABLE {q(new)} RENAME TO {q(old)};"
