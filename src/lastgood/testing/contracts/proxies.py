"""What every implementation of ``ports.Proxies`` keeps; run each clause of ``CLAUSES`` with a new subject."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from lastgood.errors import Rejected
from lastgood.gateway.snapshot import Generation, Traffic
from lastgood.ports import Convergence, Proxies, ProxyState


class Subject(Protocol):
    """Two proxies, ``one`` and ``two``, connected and without a state. Generation 66 is refused by proxies."""

    proxies: Proxies
    timeout_s: float
    """Within about twice this time every call returns."""

    def generation(self, release: int) -> Generation:
        """What serves as a release."""
        ...

    async def send(self, count: int) -> dict[int, int]:
        """Send requests to the proxies that are there; how many each release answered."""
        ...

    async def hang(self, name: str) -> None:
        """Stop a proxy from answering without ending it."""
        ...

    async def vanish(self, name: str) -> None:
        """End a proxy; returns when that was noticed."""
        ...

    async def heal(self, name: str) -> None:
        """Undo ``hang`` or ``vanish``; returns when the proxy is connected and has been told the current state."""
        ...


async def says_who_acknowledged(subject: Subject) -> None:
    """A served state is acknowledged by all, under its digest, and is what requests meet."""
    proof = await subject.proxies.serve(Traffic(subject.generation(1)))
    assert (proof.acknowledged, proof.away) == (("one", "two"), ())
    assert proof.digest
    assert proof.took_ms > 0
    assert [(s.name, s.connected, s.acknowledged, s.refusal) for s in subject.proxies.states()] == [
        ("one", True, proof.digest, None),
        ("two", True, proof.digest, None),
    ]
    assert await subject.send(10) == {1: 10}


async def knows_nobody_has_anything_before(subject: Subject) -> None:
    """Connected is not acknowledged."""
    assert [(state.name, state.acknowledged) for state in subject.proxies.states()] == [("one", None), ("two", None)]


async def the_same_state_again_is_harmless(subject: Subject) -> None:
    """Serving is idempotent: same digest, same acknowledgements."""
    first = await subject.proxies.serve(Traffic(subject.generation(1)))
    second = await subject.proxies.serve(Traffic(subject.generation(1)))
    assert (first.digest, first.acknowledged) == (second.digest, second.acknowledged)
    assert await subject.send(5) == {1: 5}


async def a_percentage_moves_requests(subject: Subject) -> None:
    """0, 100 and back; every share is a state of its own."""
    one, two = subject.generation(1), subject.generation(2)
    digests = []
    for percent, answered in ((0.0, {1: 10}), (100.0, {2: 10}), (0.0, {1: 10})):
        proof = await subject.proxies.serve(Traffic(one, two, percent))
        assert proof.acknowledged == ("one", "two")
        assert await subject.send(10) == answered
        digests.append(proof.digest)
    assert digests[0] == digests[2] != digests[1]
    assert (await subject.proxies.serve(Traffic(two))).acknowledged == ("one", "two")
    assert await subject.send(10) == {2: 10}


async def a_refusal_brings_back_what_was_accepted(subject: Subject) -> None:
    """Rejected in the proxy's words; nothing of the refused state stays; the next good one is served."""
    good = await subject.proxies.serve(Traffic(subject.generation(1)))
    words = await _refusal(subject, Traffic(subject.generation(1), subject.generation(66), 50.0))
    assert words
    assert await subject.send(10) == {1: 10}
    states = subject.proxies.states()
    assert {state.acknowledged for state in states} == {good.digest}
    assert any(state.refusal and state.refusal in words for state in states)
    proof = await subject.proxies.serve(Traffic(subject.generation(2)))
    assert proof.acknowledged == ("one", "two")
    assert await subject.send(10) == {2: 10}
    assert not any(state.refusal for state in subject.proxies.states())


async def a_first_state_may_be_refused(subject: Subject) -> None:
    """There is nothing to go back to; a good state still can be served afterwards."""
    await _refusal(subject, Traffic(subject.generation(66)))
    assert (await subject.proxies.serve(Traffic(subject.generation(1)))).acknowledged == ("one", "two")
    assert await subject.send(10) == {1: 10}


async def a_proxy_that_is_gone_is_away(subject: Subject) -> None:
    """The others converge without it; when it comes back it is told the current state and counts again."""
    await subject.proxies.serve(Traffic(subject.generation(1)))
    await subject.vanish("two")
    assert not _state(subject, "two").connected
    proof = await _bounded(subject, Traffic(subject.generation(2)))
    assert (proof.acknowledged, proof.away) == (("one",), ("two",))
    assert await subject.send(10) == {2: 10}
    await subject.heal("two")
    assert _state(subject, "two").acknowledged == proof.digest
    assert await subject.send(10) == {2: 10}
    assert (await subject.proxies.serve(Traffic(subject.generation(2)))).acknowledged == ("one", "two")


async def a_proxy_that_hangs_is_not_waited_for_for_ever(subject: Subject) -> None:
    """It is away, and said to be behind while it is connected; when it answers again it has the current state."""
    await subject.proxies.serve(Traffic(subject.generation(1)))
    await subject.hang("two")
    proof = await _bounded(subject, Traffic(subject.generation(2)))
    assert (proof.acknowledged, proof.away) == (("one",), ("two",))
    assert _state(subject, "two").acknowledged != proof.digest
    assert (_state(subject, "one").behind, _state(subject, "two").behind) == (False, True)
    assert proof.took_ms < proof.details["waited_ms"], "when it is effective where it is, beside how long was waited"
    await subject.heal("two")
    assert _state(subject, "two").acknowledged == proof.digest
    assert not _state(subject, "two").behind
    assert await subject.send(10) == {2: 10}


async def a_preflight_touches_nothing(subject: Subject) -> None:
    """A good state passes, a bad one is refused, twice; neither is served."""
    good = await subject.proxies.serve(Traffic(subject.generation(1)))
    await subject.proxies.preflight(Traffic(subject.generation(2)))
    for _ in range(2):
        try:
            await subject.proxies.preflight(Traffic(subject.generation(66)))
        except Rejected:
            continue
        raise AssertionError("the preflight let a bad state pass")
    await subject.proxies.preflight(Traffic(subject.generation(3)))
    assert {state.acknowledged for state in subject.proxies.states()} == {good.digest}
    assert await subject.send(10) == {1: 10}


async def requests_are_counted_by_release(subject: Subject) -> None:
    """While two generations are loaded, each request counts for the one that answered it."""
    traffic = Traffic(subject.generation(1), subject.generation(2), 0.0)
    await subject.proxies.serve(traffic)
    before = await subject.proxies.requests()
    await subject.send(7)
    await subject.proxies.serve(Traffic(traffic.base, traffic.candidate, 100.0))
    await subject.send(5)
    after = await subject.proxies.requests()
    assert after.get(1, 0) - before.get(1, 0) == 7
    assert after.get(2, 0) - before.get(2, 0) == 5


CLAUSES: tuple[Callable[[Subject], Awaitable[None]], ...] = (
    says_who_acknowledged,
    knows_nobody_has_anything_before,
    the_same_state_again_is_harmless,
    a_percentage_moves_requests,
    a_refusal_brings_back_what_was_accepted,
    a_first_state_may_be_refused,
    a_proxy_that_is_gone_is_away,
    a_proxy_that_hangs_is_not_waited_for_for_ever,
    a_preflight_touches_nothing,
    requests_are_counted_by_release,
)


async def _refusal(subject: Subject, traffic: Traffic) -> str:
    try:
        await subject.proxies.serve(traffic)
    except Rejected as problem:
        refusal = problem
    else:
        raise AssertionError("a bad state was served")
    assert refusal.where
    assert refusal.next
    return refusal.what


async def _bounded(subject: Subject, traffic: Traffic) -> Convergence:
    async with asyncio.timeout(2 * subject.timeout_s + 1.0):
        return await subject.proxies.serve(traffic)


def _state(subject: Subject, name: str) -> ProxyState:
    return next(state for state in subject.proxies.states() if state.name == name)
