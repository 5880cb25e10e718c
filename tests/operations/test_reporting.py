"""What people and programs read: the golden pages, and what they must never lack."""

from __future__ import annotations

from typing import Any

import pytest

from lastgood.operations.reporting import moment
from lastgood.stamp import Stamp
from tests.judging.court import court
from tests.operations.golden import FOLDER, rendered, told

Pages = dict[str, Any]


@pytest.fixture(scope="module")
def pages() -> Pages:
    return told()


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_a_page_is_what_was_looked_at(pages: Pages, name: str) -> None:
    assert rendered(pages[name]) == (FOLDER / f"{name}.json").read_text(), "python -m tests.operations.golden"


def test_every_page_was_looked_at(pages: Pages) -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(pages)


def test_a_baking_release_says_how_long_and_until_when_it_wants_to_be_confirmed(pages: Pages) -> None:
    deployment = pages["status-baking"]["deployment"]
    bake = next(step for step in deployment["steps"] if step["verb"] == "bake")
    assert 50.0 < bake["left_s"] <= 55.0
    assert 590.0 < deployment["confirm_left_s"] < 596.0
    assert pages["status-baking"]["live"]["release"] == 2


def test_a_halt_names_its_choices_and_what_goes_on_serving(pages: Pages) -> None:
    page = pages["status-halted"]
    assert page["deployment"]["halted"]["choices"] == ["lastgood retry", "lastgood rollback r2"]
    assert page["gateway"] == {"base": 1, "candidate": 2, "percent": 100.0}


def test_what_waits_for_room_and_what_a_proxy_refused_is_shown(pages: Pages) -> None:
    page = pages["status-back"]
    assert page["unjournaled"] == 2
    shown = {"name": "proxy-2", "connected": False, "acknowledged": None, "refusal": "bad regex", "behind": False}
    assert page["proxies"][1] == shown


def test_moments_are_in_utc_with_milliseconds() -> None:
    assert moment(Stamp(0.0005, "boot", 0.0)) == "1970-01-01T00:00:00.000Z"
    assert moment(None) is None


def test_what_is_over_has_no_time_left(pages: Pages) -> None:
    assert not [step for step in pages["report"]["steps"] if "left_s" in step]


async def test_a_report_of_what_went_back_has_the_way_forward_too() -> None:
    """What was under way when the judge spoke did not end: it was left."""
    async with court() as it:
        await it.second()
        await it.seconds(15, fails=0.5)
        await it.made.until(lambda state: state.deployment is None and state.live == 1)
        report = it.made.verbs.report("d2")
        (forward,) = report["replaced"]
        assert (forward["intent"], forward["target"], forward["replanned"]) == ("deploy", 2, None)
        phases = {step["id"]: step["phase"] for step in forward["steps"]}
        assert phases["shift"] == "ended"
        assert "left" in phases.values()
        assert list(phases.values())[-1] == "waits", "what had not begun then has not begun since"
        assert not [step for step in forward["steps"] if "left_s" in step]
        assert report["intent"] == "retreat"
        assert {step["phase"] for step in report["steps"]} == {"ended"}
        assert report["replanned"]
        assert it.made.verbs.report("d1")["replaced"] == []
