"""The statistics of the judge, at a size that takes seconds; ``python -m benchmarks judgement`` has the whole one."""

from __future__ import annotations

import math

from benchmarks.judgement import RULES, Amount, table
from benchmarks.rules import mann_whitney, threshold

from lastgood.testing.simulated_traffic import Side, steady, ticks


def test_the_table_has_a_row_for_each_rule_and_the_bound() -> None:
    made = table(Amount(2, 4, 30, 2, 60))
    assert [cells[0] for cells in made.cells] == [*RULES, "nothing can be faster"]
    assert all(len(cells) == len(made.columns) for cells in made.cells)


def test_the_rules_of_peers_say_what_their_documents_say() -> None:
    dead = list(ticks(1, 400, Side(steady(1.0)), Side()))
    assert threshold(1)(dead) == 60
    assert threshold(5)(dead) == 300
    assert mann_whitney(dead) == 60
    well = list(ticks(1, 400, Side(steady(0.0)), Side(steady(0.0))))
    assert threshold(1)(well) == mann_whitney(well) == math.inf
