"""All connected proxies together: a state is pushed to every one of them, and it is known who has it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from lastgood.effects.envoy.link import Link
from lastgood.errors import Conflict, Rejected
from lastgood.gateway.conversation import Conversation, Doubts, Refusal
from lastgood.gateway.snapshot import Snapshot
from lastgood.ports import Convergence, ProxyState


@dataclass(slots=True)
class _Member:
    """What is known of a proxy beyond its present stream."""

    lost_at_s: float
    link: Link | None = None
    doubts: Doubts = frozenset()
    acknowledged: str | None = None
    refusal: Refusal | None = None
    silent: bool = False
    effective: tuple[Snapshot, float] | None = None
    """The newest state it has, and since when (seconds of ``perf_counter``)."""

    def has(self, target: Snapshot) -> bool:
        link = self.link
        return link is not None and link.conversation.target is target and link.conversation.effective


class Fleet:
    """The proxies of one ADS server, by node id.

    ``expected`` are listed even when they are away; one that was lost less than ``grace_s`` ago is waited for, since it
    reconnects within a second. ``warm(name)`` returns when the proxy's clusters are warm (it must be bounded).
    ``trust_reported=False`` after a controller that died while a refusal was being put right: see ``Conversation``.
    """

    def __init__(
        self,
        expected: Iterable[str] = (),
        *,
        timeout_s: float = 5.0,
        grace_s: float = 2.0,
        warm: Callable[[str], Awaitable[None]] | None = None,
        redact: Callable[[str], str] = str,
        trust_reported: bool = True,
    ) -> None:
        now_s = time.monotonic()
        self._members = {name: _Member(now_s) for name in expected}
        self._expected = frozenset(self._members)
        self._timeout_s, self._grace_s = timeout_s, grace_s
        self._warm, self._redact, self._trust_reported = warm, redact, trust_reported
        self._changed = asyncio.Event()
        self._epoch = self._streams = 0
        self._removals_open = False
        self.target: Snapshot | None = None
        """What every proxy that connects is told."""
        self.accepted: Snapshot | None = None
        """The last state that proxies acknowledged and none refused: where a refusal goes back to."""

    # --- called by the server -----------------------------------------------------------------------------------

    def connect(self, name: str) -> Link:
        """A stream of a proxy begins; an older stream under the same name is closed."""
        member = self._members.setdefault(name, _Member(time.monotonic()))
        if member.link:
            self.disconnect(member.link)
        self._streams += 1
        conversation = Conversation(
            self.target,
            attempt=str(self._streams),
            doubts=member.doubts,
            trusted=self._trust_reported,
            wait_for_warm=self._warm is not None,
        )
        member.link = Link(name, conversation, self._heard, self._warm)
        return member.link

    def disconnect(self, link: Link) -> None:
        """A stream has ended; harmless when it was replaced before."""
        link.close()
        member = self._members[link.name]
        if member.link is not link:
            return
        member.link, member.doubts, member.lost_at_s = None, link.conversation.doubts, time.monotonic()
        self._wake()

    def hang_up(self) -> None:
        """End every stream; who is still there connects again."""
        for member in self._members.values():
            if member.link:
                self.disconnect(member.link)

    # --- called by the proxies' owner ---------------------------------------------------------------------------

    async def push(self, snapshot: Snapshot, *, timeout_s: float | None = None) -> Convergence:
        """Bring every proxy to this state; returns once all that can be waited for have acknowledged.

        ``took_ms`` ends with the last acknowledgement of what carries traffic; ``details`` has ``waited_ms`` (for those
        that did not acknowledge, too), ``settled_ms`` (removals too) and ``silent``, connected proxies that neither
        accepted nor refused in time (listed as away as well).
        Raises ``Rejected`` once the last accepted state is back, ``Conflict`` when a newer push has begun.
        """
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        started_s = time.perf_counter()
        epoch = self._begin(snapshot)
        for member in self._members.values():
            member.refusal = None
        await self._wait(epoch, timeout_s, lambda member: member.has(snapshot))
        refused = self._refused()
        if refused:
            await self._go_back(snapshot, refused, timeout_s)
        waited_ms = (time.perf_counter() - started_s) * 1000
        present = self._present()
        acknowledged = tuple(name for name, member in present.items() if member.has(snapshot))
        away = tuple(name for name in present if name not in acknowledged)
        if acknowledged:
            self.accepted = snapshot
        silent = [name for name in away if present[name].link]
        for name, member in present.items():
            member.silent = name in silent
        took_ms = self._effective_ms(snapshot, acknowledged, started_s) if away else waited_ms
        self._open_removals()
        await self._wait(epoch, timeout_s, lambda member: not member.has(snapshot) or _settled(member))
        settled_ms = (time.perf_counter() - started_s) * 1000
        details = {"waited_ms": waited_ms, "settled_ms": settled_ms, "silent": silent}
        return Convergence(snapshot.digest, acknowledged, away, took_ms, details)

    def _effective_ms(self, snapshot: Snapshot, acknowledged: Iterable[str], started_s: float) -> float:
        """When the last of these had it; not when it was clear that others do not answer."""
        since = [effective for name in acknowledged if (effective := self._members[name].effective) is not None]
        moments_s = [at_s for made, at_s in since if made is snapshot]
        return max([0.0, *((at_s - started_s) * 1000 for at_s in moments_s)])

    def states(self) -> tuple[ProxyState, ...]:
        """Every proxy that is expected or connected, by name."""
        return tuple(
            ProxyState(
                name,
                member.link is not None,
                member.acknowledged,
                self._words(member.refusal),
                behind=member.silent and member.link is not None,
            )
            for name, member in self._present().items()
        )

    async def connected(self, timeout_s: float) -> bool:
        """Wait until every expected proxy is connected; False when the time is over."""
        deadline_s = time.monotonic() + timeout_s
        while not all(self._members[name].link for name in self._expected):
            if not await self._change(deadline_s):
                return False
        return True

    # --- inside -------------------------------------------------------------------------------------------------

    def _begin(self, snapshot: Snapshot) -> int:
        self._epoch += 1
        self._removals_open = False
        self.target = snapshot
        for member in self._members.values():
            if member.link:
                member.link.push(snapshot)
        return self._epoch

    def _present(self) -> dict[str, _Member]:
        """Those that are expected or connected, by name; one that nobody expected may go without a word."""
        return {name: member for name, member in sorted(self._members.items()) if member.link or name in self._expected}

    async def _bring(self, back: Snapshot, epoch: int, timeout_s: float) -> list[str]:
        """Wait until all have the state that was; the names of those connected that do not take it."""
        await self._wait(epoch, timeout_s, lambda member: member.has(back))
        left = [name for name, member in self._present().items() if member.link and not member.has(back)]
        self._open_removals()
        await self._wait(epoch, timeout_s, lambda member: not member.has(back) or _settled(member))
        return left

    async def _go_back(self, snapshot: Snapshot, refused: dict[str, Refusal], timeout_s: float) -> None:
        """Nothing of a refused state may stay, on those that accepted it or on those that did so in part."""
        name, refusal = next(iter(refused.items()))
        back = self.accepted
        remedy = "mend what the proxy complains of; every proxy was brought back to the state before"
        if back is None or back.digest == snapshot.digest:
            remedy = "there is no accepted state to go back to: deploy one that the proxy takes"
        else:
            try:
                left = await self._bring(back, self._begin(back), timeout_s)
            except Conflict:
                left, remedy = [], "nothing: a newer state is being pushed already"
            if left:
                remedy = f"{', '.join(left)} did not take the last good state either: restart this proxy"
        for other, words in refused.items():
            self._members[other].refusal = words
        short = refusal.type_url.rpartition(".")[2]
        raise Rejected(f"refused a {short}: {self._words(refusal)}", where=f"proxy {name}", next=remedy)

    def _heard(self, link: Link) -> None:
        """Something came from a proxy: note what it has, and wake who waits."""
        member = self._members[link.name]
        if member.link is not link:
            return
        conversation = link.conversation
        if conversation.refusal:
            member.refusal = conversation.refusal
        elif conversation.effective and conversation.target:
            member.acknowledged, member.silent = conversation.target.digest, False
            if member.effective is None or member.effective[0] is not conversation.target:
                member.effective = (conversation.target, time.perf_counter())
            if self._removals_open:
                link.open_removals()
        self._wake()

    def _open_removals(self) -> None:
        self._removals_open = True
        for member in self._members.values():
            if member.link and member.link.conversation.effective:
                member.link.open_removals()

    def _refused(self) -> dict[str, Refusal]:
        links = [member.link for member in self._present().values() if member.link]
        return {link.name: link.conversation.refusal for link in links if link.conversation.refusal}

    async def _wait(self, epoch: int, timeout_s: float, done: Callable[[_Member], bool]) -> None:
        deadline_s = time.monotonic() + timeout_s
        while True:
            if epoch != self._epoch:
                raise Conflict("a newer state is being pushed", next="nothing: the newer one is what counts")
            until_s = [
                self._waited_for_until(member, deadline_s) for member in self._members.values() if not done(member)
            ]
            if not until_s or self._refused():
                return
            if not await self._change(max(until_s)):
                return

    def _waited_for_until(self, member: _Member, deadline_s: float) -> float:
        return deadline_s if member.link else min(deadline_s, member.lost_at_s + self._grace_s)

    async def _change(self, until_s: float) -> bool:
        """Wait for the next change; False when it is too late."""
        try:
            async with asyncio.timeout(until_s - time.monotonic()):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _words(self, refusal: Refusal | None) -> str | None:
        return self._redact(refusal.words)[:2000] if refusal else None


def _settled(member: _Member) -> bool:
    return member.link is not None and member.link.conversation.settled
