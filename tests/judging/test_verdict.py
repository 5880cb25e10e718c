"""``lastgood verdict``: the same again from the record, or it says what is not the same."""

from __future__ import annotations

from typing import Any

from lastgood.interfaces.cli.render_verdict import bars, verdict
from lastgood.operations.verdicts import POINTS, explain, thinned
from tests.judging.court import Court, court


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
