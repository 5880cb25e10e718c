"""Whatever happens in whatever order, the proxy ends with the last good state and never routes into nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lastgood.gateway.conversation import Conversation
from lastgood.gateway.snapshot import CLUSTER, Snapshot
from tests.gateway.model_proxy import BAD, ModelProxy, run, state

GOOD = st.builds(
    state,
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["blue", "green", "red"])),
    st.integers(0, 2),
)
ANY = st.builds(
    state,
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["blue", "green", BAD])),
    st.integers(0, 2),
)
MOVES = st.one_of(
    ANY.map(lambda snapshot: ("push", snapshot)),
    st.sampled_from([("take", None), ("take", None), ("hear", None), ("hear", None), ("cut", None), ("open", None)]),
)


def _move(
    name: str, snapshot: Snapshot | None, proxy: ModelProxy, conversation: Conversation, streams: int
) -> Conversation:
    if name == "push":
        assert snapshot
        proxy.inbox.extend(conversation.push(snapshot))
    elif name == "take" and proxy.inbox:
        proxy.take(proxy.inbox.popleft())
    elif name == "hear" and proxy.outbox:
        proxy.inbox.extend(conversation.receive(proxy.outbox.popleft()))
    elif name == "open" and conversation.effective:
        proxy.inbox.extend(conversation.open_removals())
    elif name == "cut":
        proxy.connect()
        return Conversation(conversation.target, attempt=str(streams), doubts=conversation.doubts)
    return conversation


@settings(max_examples=400, deadline=None)
@given(st.lists(MOVES, max_size=40), GOOD)
def test_the_proxy_ends_with_the_last_good_state(moves: list[tuple[str, Snapshot | None]], last: Snapshot) -> None:
    proxy, conversation = ModelProxy(), Conversation(state({}))
    proxy.connect()
    for streams, (name, snapshot) in enumerate(moves, 1):
        conversation = _move(name, snapshot, proxy, conversation, streams)
    proxy.inbox.extend(conversation.push(last))
    run(proxy, conversation)
    assert conversation.refusal is None
    assert conversation.effective
    proxy.inbox.extend(conversation.open_removals())
    run(proxy, conversation)
    assert conversation.settled
    scopes, percent, clusters = proxy.shows()
    assert f"{sorted(scopes.items())} {int(percent or b'')} ()" == last.digest
    assert clusters == set(last.resources[CLUSTER])
