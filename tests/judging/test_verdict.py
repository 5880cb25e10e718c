"""``lastgood verdict``: the same again from the record, or it says what is not the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lastgood.health.judge import Judge
from lastgood.health.record import RULES, Digest
from lastgood.health.terms import Terms
from lastgood.interfaces.cli.render_verdict import bars, verdict
from lastgood.operations.verdicts import POINTS, explain, thinned
from lastgood.testing.simulated_traffic import Side, steady, ticks
from tests.judging.court import Court, court

KNOWN = [("bad", "1904", "0.0003617"), ("undecided", "0.4921", "1.683"), ("undecided", "3.355", "0.5")]


async def condemned(it: Court) -> dict[str, Any]:
    await it.second()
    await it.seconds(5)
    await it.seconds(10, fails=0.2)
    await it.made.until(lambda state: state.deployment is None)
    return explain(2, it.made.state, it.evidence)


async def test_a_verdict_is_judged_again_bit_for_bit_and_explained() -> None:
    async with court() as it:
        found = await condemned(it)
        measured = found["measured"]
        assert measured["replay"] == "same"
        assert measured["again"] == measured["finding"]
        assert measured["promise"]["alpha"] == 1e-3
        text = "\n".join(verdict(found))
        assert text.startswith("r2 is bad (measured)\n")
        assert "the same, bit for bit" in text
        assert "called bad at most once in 1,000" in text
        assert "this release" in text
        assert "█" in text


async def test_a_record_that_was_changed_is_said_to_be() -> None:
    async with court() as it:
        await condemned(it)
        lines = it.evidence.kept[2]
        it.evidence.kept[2] = [*lines[:3], lines[3].replace("0", "1", 1), *lines[4:]]
        found = explain(2, it.made.state, it.evidence)
        assert found["measured"]["replay"] == "damaged"
        assert "DAMAGED" in "\n".join(verdict(found))


@pytest.mark.parametrize(("rules", "replay"), [(1, "other_rules"), (RULES, "differs")])
async def test_what_another_build_judged_by_its_own_rules_is_not_called_changed(rules: int, replay: str) -> None:
    """The record is whole by its digest; what was found then cannot be found again where the rules are others."""
    async with court() as it:
        await condemned(it)
        state, lines = it.made.state, it.evidence.kept[2]
        said = f'"rules":{RULES}'
        assert any(said in line for line in lines)
        it.evidence.kept[2] = [line.replace(said, f'"rules":{rules}') for line in lines]
        digest = Digest()
        for line in it.evidence.kept[2][: state.measured[2].lines]:
            digest.add(line)
        finding = {**state.measured[2].finding, "harm": 12.0}
        then = replace(state.measured[2], digest=digest.hex, finding=finding)
        found = explain(2, replace(state, measured={2: then}), it.evidence)
        assert found["measured"]["replay"] == replay
        told = "\n".join(verdict(found))
        assert ("NOT the same" in told) == (replay == "differs")
        assert "harm: was 12.0, is " in told


def test_the_rules_have_a_number_that_changes_with_them() -> None:
    """If this fails, the same readings mean something else than before: raise RULES, and write both down."""
    sums = []
    for percent, fails, warm_up_s in ((5.0, 0.02, 0.0), (50.0, 0.006, 20.0), (100.0, 0.012, 0.0)):
        judge = Judge(Terms(warm_up_s=warm_up_s, references={"errors": 0.01}))
        for tick in ticks(7, 90, Side(steady(fails)), Side(), percent=percent):
            judge.take(tick)
        sums.append((judge.now.outcome, f"{judge.now.harm:.4g}", f"{judge.now.good:.4g}"))
    assert (RULES, sums) == (2, KNOWN)


async def test_a_record_that_is_missing_or_cut_is_said_to_be() -> None:
    async with court() as it:
        await condemned(it)
        del it.evidence.kept[2][-3:]
        found = explain(2, it.made.state, it.evidence)
        assert found["measured"]["replay"] == "missing"
        assert "lines are there" in "\n".join(verdict(found))
        assert explain(2, it.made.state, None)["measured"]["replay"] == "missing"


async def test_what_was_not_measured_says_so() -> None:
    async with court() as it:
        await it.first()
        found = explain(1, it.made.state, it.evidence)
        assert found["measured"] is None
        assert "nothing was measured" in "\n".join(verdict(found))


async def test_it_can_be_asked_for_while_it_is_judged() -> None:
    async with court() as it:
        await it.second()
        await it.seconds(70)
        it.made.verbs.evidence = it.evidence
        found = it.made.verbs.verdict("r2")
        assert found["measured"]["replay"] == "same"


def test_plots_have_a_bounded_width() -> None:
    points = [(float(n), 1.0 + n, 1.0, 10, 1, 20, 0) for n in range(1000)]
    made = thinned(points)
    assert len(made) <= POINTS
    assert made[-1][1] == 1000.0
    assert sum(point[3] for point in made) == 10_000
    assert bars([0.0, 1.5, 3.0, 9.0], 3.0) == "▁▅██"
