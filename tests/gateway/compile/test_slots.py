"""Which rate limit has which slot."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lastgood.config.model import RateLimit
from lastgood.gateway.slots import STEP, SlotTable, assign


def _wanted(*names: str) -> dict[str, RateLimit]:
    return {name: RateLimit(requests=1 + ord(name[-1]), per="minute", key="header:x") for name in names}


def _slot(table: SlotTable, name: str) -> int | None:
    return next((number for number, slot in table.slots.items() if slot.digest == name), None)


histories = st.lists(st.sets(st.sampled_from([f"p{number}" for number in range(40)]), max_size=20), max_size=12)


@given(histories)
def test_every_limit_has_a_slot_of_its_own_and_keeps_it_while_wanted(history: list[set[str]]) -> None:
    table = SlotTable()
    for names in history:
        before, table = table, assign(table, _wanted(*names))
        places = [_slot(table, name) for name in names]
        assert None not in places
        assert len(set(places)) == len(names)
        assert all(_slot(before, name) in (None, _slot(table, name)) for name in names)
        assert table.size >= before.size
        assert table.size % STEP == 0
        assert set(table.slots) <= set(range(table.size))
        assert assign(table, _wanted(*names)) is table
        assert SlotTable.from_json(table.to_json()) == table


def test_a_limit_that_comes_back_finds_its_slot_if_nobody_needed_it() -> None:
    first = assign(SlotTable(), _wanted("a", "b"))
    without = assign(first, _wanted("b", "c"))
    assert without.slots[_slot(first, "a") or 0].digest == "a"
    assert _slot(assign(without, _wanted("a", "b")), "a") == _slot(first, "a")


def test_the_longest_unused_gives_way_first() -> None:
    names = [f"p{number}" for number in range(STEP)]
    table = assign(SlotTable(), _wanted(*names))
    table = assign(table, _wanted(*names[2:]))  # p0 and p1 are idle
    table = assign(table, _wanted(*names[:1], *names[3:]))  # p0 is back; p1 has been idle longest, then p2
    table = assign(table, _wanted("new", *names[:1], *names[3:]))
    assert table.size == STEP
    assert (_slot(table, "p1"), _slot(table, "p2") is None) == (None, False)
