"""Schedules of functions: what is taken, what is refused, and the days of the week of Workers."""

from __future__ import annotations

import pytest

from lastgood.config.crons import check_schedule, of_worker
from lastgood.config.functions import Function
from lastgood.effects.functions.wrangler import read_project
from lastgood.errors import Refused


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("0 3 * * 1", "0 3 * * 0"),
        ("0 3 * * 2-6", "0 3 * * 1-5"),
        ("0 3 * * 1,7", "0 3 * * 0,6"),
        ("0 3 * * MON-FRI", "0 3 * * MON-FRI"),
        ("0 3 * * 6#2", "0 3 * * 5#2"),
        ("*/15  1-3 1 2,3 *", "*/15 1-3 1 2,3 *"),
        ("0 0 1 1 */2", "0 0 1 1 */2"),
    ],
)
def test_a_workers_week_begins_with_1_for_sunday(said: str, meant: str) -> None:
    assert of_worker(said) == meant


@pytest.mark.parametrize("text", ["", "* * * *", "* * * * * *", "61 * * * *", "0 0 31 2 *", "@daily", "a b c d e"])
def test_what_is_no_schedule_or_never_comes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="schedule"):
        check_schedule(text)


def test_the_schedules_of_a_worker_stand_in_its_project() -> None:
    text = '{"main": "a.js", "compatibility_date": "2026-07-01", "triggers": {"crons": ["*/5 * * * *", "0 3 * * 1"]}}'
    assert read_project("wrangler.json", text).crons == {"*/5 * * * *": "*/5 * * * *", "0 3 * * 1": "0 3 * * 0"}
    with pytest.raises(ValueError, match=r"triggers\.crons"):
        Function.model_validate({"source": "x", "runtime": "worker", "crons": [{"schedule": "* * * * *"}]})


@pytest.mark.parametrize(
    "triggers", ['{"crons": ["* * * *"]}', '{"crons": "* * * * *"}', "[]", '{"cron": []}', '{"crons": [1]}']
)
def test_a_worker_whose_triggers_are_wrong_is_refused_with_their_name(triggers: str) -> None:
    text = f'{{"main": "a.js", "compatibility_date": "2026-07-01", "triggers": {triggers}}}'
    with pytest.raises(Refused, match="triggers"):
        read_project("wrangler.json", text)


def test_two_that_differ_in_their_schedule_are_two_versions(read, good) -> None:
    function = "functions:\n  f:\n    source: f\n    crons: [{{ schedule: {!r}, path: /clean }}]\n"
    made = [
        read(good + function.format(schedule), {"f": None}).configuration.functions["f"].crons[0]
        for schedule in ("*/5 * * * *", "0 3 * * *")
    ]
    assert [cron.schedule for cron in made] == ["*/5 * * * *", "0 3 * * *"]
