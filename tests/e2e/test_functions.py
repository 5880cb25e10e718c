"""Versions of a function behind a real gateway: forward, gradually, back, and all that can be wrong with one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.functions import FunctionShop
from tests.support.services import bodies

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]


@pytest.fixture
def shop() -> Iterator[FunctionShop]:
    made = FunctionShop()
    yield made
    made.close()


def test_forward_and_back_lose_no_request(shop: FunctionShop) -> None:
    """The second way back is the shift alone: the version that was left is still warm."""
    shop.open_with("one")
    with shop.visited() as load:
        shop.say("two")
        shop.ok("deploy", "--wait", "converged")
        assert shop.get("/visit").body == "two"
        shop.ok("rollback", "-m", "two is no good")
        assert shop.get("/visit").body == "one"
    assert set(bodies(load)) == {"one", "two"}
    steps = [step["id"] for step in shop.ask("report", "d3")["steps"]]
    assert not any(step.startswith("start") for step in steps), "nothing had to be started"


def test_back_to_a_version_that_is_gone_starts_it_first(shop: FunctionShop) -> None:
    """Without its code in Git, and without a build."""
    shop.open_with("one", keep="300ms")
    shop.say("two", keep="300ms")
    shop.ok("deploy", "--wait", "ended")
    shop.git("checkout", "--quiet", "--orphan", "empty")
    shop.git("rm", "-rf", "--quiet", ".")
    with shop.visited() as load:
        shop.ok("rollback", "r1", "--no-revert-commit", timeout_s=60)
        assert shop.get("/visit").body == "one"
    assert set(bodies(load)) == {"one", "two"}


def test_a_version_that_cannot_start_gets_no_request_and_says_why(shop: FunctionShop) -> None:
    shop.open_with("one")
    with shop.visited() as load:
        shop.commit_function({"main.py": "import absent_module\n"}, "Break it")
        done = shop.run("deploy", "--wait", "ended")
    assert done.code == 6, done.said
    assert "No module named 'absent_module'" in done.said
    assert set(bodies(load)) == {"one"}
