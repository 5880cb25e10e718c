"""The faults of the fake that the contract does not speak of."""

from __future__ import annotations

import pytest

from lastgood.config.configuration import Configuration
from lastgood.errors import Rejected
from lastgood.gateway.snapshot import Generation, Traffic
from lastgood.testing.fake_proxies import FakeProxies

ONE, TWO = (Generation(number, Configuration("shop", {})) for number in (1, 2))


async def test_a_liar_acknowledges_and_goes_on_with_what_it_had() -> None:
    proxies = FakeProxies()
    await proxies.serve(Traffic(ONE))
    proxies.lie("two")
    proof = await proxies.serve(Traffic(TWO))
    assert proof.acknowledged == ("one", "two")
    assert proxies.request("two") == {1: 1}
    assert await proxies.requests() == {1: 1}
    proxies.heal("two")
    assert proxies.request("two") == {2: 1}


async def test_shares_are_exact_and_a_proxy_without_a_state_answers_nothing() -> None:
    proxies = FakeProxies(["one"])
    assert proxies.request("one") == {}
    await proxies.serve(Traffic(ONE, TWO, 25.0))
    assert proxies.request("one", 100) == {1: 75, 2: 25}


async def test_the_way_back_after_a_refusal_is_a_push_too() -> None:
    proxies = FakeProxies()
    await proxies.serve(Traffic(ONE))
    proxies.refuse(2, "no")
    with pytest.raises(Rejected, match="proxy one: no"):
        await proxies.serve(Traffic(TWO))
    assert [traffic.base.release for traffic in proxies.pushes] == [1, 2, 1]


async def test_time_passes_by_the_sleep_it_was_given() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    proxies = FakeProxies(timeout_s=7.0, sleep=sleep)
    proxies.hang("one")
    await proxies.serve(Traffic(ONE))
    assert sum(slept) == 7.0
