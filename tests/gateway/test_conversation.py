"""The order of a change, subscriptions, nonces, refusals: message by message."""

from __future__ import annotations

from lastgood.gateway import names
from lastgood.gateway.conversation import Conversation
from lastgood.gateway.messages import Request, Response
from lastgood.gateway.runtime import EMPTY, runtime_resource
from lastgood.gateway.snapshot import (
    CLUSTER,
    ENDPOINTS,
    EXTENSION,
    LISTENER,
    RUNTIME,
    RUNTIME_LAYER,
    SCOPE,
    SECRET,
    Resource,
    Snapshot,
)
from tests.gateway.model_proxy import BAD, connected, run, state


def said(responses: list[Response]) -> list[tuple[str, list[str], list[str]]]:
    """``(type, sent, removed)`` of each response."""
    return [(r.type_url.rpartition(".")[2], [i.name for i in r.resources], list(r.removed)) for r in responses]


def test_a_new_proxy_is_told_everything_in_the_order_in_which_it_asks() -> None:
    proxy, conversation = connected(state({"a": "blue"}))
    assert [r.type_url for r in proxy.log] == [RUNTIME, CLUSTER, LISTENER, SCOPE]
    assert conversation.effective


def test_nothing_is_said_before_there_is_a_target_and_everything_then() -> None:
    proxy, conversation = connected(None)
    assert proxy.log == []
    assert not conversation.effective
    proxy.inbox.extend(conversation.push(state({"a": "blue"})))
    run(proxy, conversation)
    assert proxy.shows() == ({"a": "blue"}, b"0", {"blue"})


def test_a_change_makes_before_it_breaks_and_waits_for_each_answer() -> None:
    proxy, conversation = connected(state({"a": "blue", "gone": "blue"}))
    steps = [conversation.push(state({"a": "green", "new": "green"}, 5))]
    while steps[-1]:
        assert len(steps[-1]) == 1
        assert not conversation.effective
        proxy.take(steps[-1][0])
        steps.append(conversation.receive(proxy.outbox.popleft()))
    assert [said(step) for step in steps] == [
        [("Cluster", ["green"], [])],
        [("ScopedRouteConfiguration", ["a", "new"], ["gone"])],
        [("Runtime", [RUNTIME_LAYER], [])],
        [],
    ]
    assert conversation.effective
    assert not conversation.settled
    removal = conversation.open_removals()
    assert said(removal) == [("Cluster", [], ["blue"])]
    assert not conversation.settled
    proxy.take(removal[0])
    assert conversation.receive(proxy.outbox.popleft()) == []
    assert conversation.settled


def test_a_change_of_the_runtime_alone_is_one_message_and_overtakes() -> None:
    proxy, conversation = connected(state({"a": "blue"}))
    clusters = conversation.push(state({"a": "green"}, 10))
    assert said(clusters) == [("Cluster", ["green"], [])]
    overtaking = conversation.push(state({"a": "green"}, 0))
    assert overtaking == [], "0 % is what the proxy has already"
    overtaking = conversation.push(state({"a": "green"}, 50))
    assert said(overtaking) == [("Runtime", [RUNTIME_LAYER], [])]
    proxy.inbox.extend([*clusters, *overtaking])
    run(proxy, conversation)
    assert proxy.shows() == ({"a": "green"}, b"50", {"blue", "green"})
    assert conversation.effective


def test_the_runtime_waits_for_the_scopes_when_both_change() -> None:
    """Taking the key of a promoted release away before its routes are unfenced would send requests back."""
    _, conversation = connected(state({"a": "blue"}, 100))
    assert said(conversation.push(state({"a": "blue", "b": "blue"}, 0))) == [
        ("ScopedRouteConfiguration", ["b"], []),
    ]


def _released(scope: str, label: str, runtime: Resource, policy: str = "1") -> Snapshot:
    extensions = {names.ANSWER: label, names.JWT: policy}
    versioned = {EXTENSION: extensions, CLUSTER: {"blue": "1"}, LISTENER: {"web": "1"}, SCOPE: {"a": scope}}
    resources = {
        url: {name: Resource(name, version, version.encode()) for name, version in made.items()}
        for url, made in versioned.items()
    }
    return Snapshot({**resources, RUNTIME: {RUNTIME_LAYER: runtime}}, f"{scope} {label} {runtime.version} {policy}")


def _taken(target: Snapshot) -> Conversation:
    conversation = Conversation(target)
    asked = (
        (CLUSTER, ()),
        (LISTENER, ()),
        (EXTENSION, (names.ANSWER, names.JWT)),
        (SCOPE, ()),
        (RUNTIME, (RUNTIME_LAYER,)),
    )
    for url, subscribed in asked:
        for response in conversation.receive(Request(url, subscribe=subscribed)):
            conversation.receive(Request(response.type_url, nonce=response.nonce))
    assert conversation.effective
    return conversation


def test_what_no_route_depends_on_goes_with_the_routes() -> None:
    """A candidate is loaded in one breath: its name, its routes, its key that no route asked for before."""
    conversation = _taken(_released("1", "r1", EMPTY))
    loaded = conversation.push(_released("2", "r1 r2", runtime_resource(2, 0.0)))
    assert said(loaded) == [
        ("TypedExtensionConfig", [names.ANSWER], []),
        ("ScopedRouteConfiguration", ["a"], []),
        ("Runtime", [RUNTIME_LAYER], []),
    ]
    for response in loaded:
        assert not conversation.effective
        conversation.receive(Request(response.type_url, nonce=response.nonce))
    assert conversation.effective


def test_filters_that_routes_depend_on_go_before_them_and_keys_in_use_after_them() -> None:
    conversation = _taken(_released("1", "r1 r2", runtime_resource(2, 100.0)))
    steps = [conversation.push(_released("2", "r2", EMPTY, policy="2"))]
    while steps[-1]:
        answered = [conversation.receive(Request(it.type_url, nonce=it.nonce)) for it in steps[-1]]
        steps.append(answered[-1])
    assert [said(step) for step in steps] == [
        [("TypedExtensionConfig", [names.JWT], [])],
        [("TypedExtensionConfig", [names.ANSWER], []), ("ScopedRouteConfiguration", ["a"], [])],
        [("Runtime", [RUNTIME_LAYER], [])],
        [],
    ]
    assert conversation.effective


def test_pushing_what_the_proxy_has_says_nothing() -> None:
    _, conversation = connected(state({"a": "blue"}))
    assert conversation.push(state({"a": "blue"})) == []
    assert conversation.effective


def test_a_proxy_that_reconnects_is_told_the_difference_only() -> None:
    proxy, _ = connected(state({"a": "blue", "b": "blue", "gone": "blue"}))
    proxy.log.clear()
    proxy.connect()
    conversation = Conversation(state({"a": "blue", "b": "green"}), attempt="2")
    run(proxy, conversation)
    assert said([r for r in proxy.log if r.resources or r.removed]) == [
        ("Cluster", ["green"], []),
        ("ScopedRouteConfiguration", ["b"], ["gone"]),
    ]
    assert conversation.effective


def test_an_answer_to_another_streams_nonce_is_ignored() -> None:
    _, conversation = connected(state({"a": "blue"}))
    conversation.push(state({"a": "green"}))
    assert conversation.receive(Request(CLUSTER, nonce="77.1", error="stale")) == []
    assert conversation.refusal is None
    assert not conversation.effective


def test_a_refusal_stops_everything_until_the_next_push() -> None:
    proxy, conversation = connected(state({"a": "blue", "b": "blue"}))
    proxy.inbox.extend(conversation.push(state({"a": "green", "b": BAD}, 50)))
    run(proxy, conversation)
    assert conversation.refusal
    assert conversation.refusal.words == "b is bad"
    assert proxy.shows()[:2] == ({"a": "blue", "b": "blue"}, b"0")
    assert conversation.open_removals() == []
    proxy.inbox.extend(conversation.push(state({"a": "green", "b": "blue"}, 50)))
    run(proxy, conversation)
    assert conversation.refusal is None
    assert proxy.shows()[:2] == ({"a": "green", "b": "blue"}, b"50")


def test_what_was_refused_is_told_again_even_as_part_of_a_state_that_shares_it() -> None:
    refused = state({"a": "green", "b": BAD})
    proxy, conversation = connected(state({"a": "blue", "b": "blue"}))
    proxy.inbox.extend(conversation.push(refused))
    run(proxy, conversation)
    assert conversation.refusal
    assert said(conversation.push(refused)) == [("ScopedRouteConfiguration", ["a", "b"], [])]


def test_a_refusal_of_what_was_replaced_already_stops_nothing() -> None:
    proxy, conversation = connected(state({"a": "blue", "b": "blue"}, extra=(BAD, "green")))
    refused = conversation.push(state({"a": "green", "b": BAD}))
    newer = conversation.push(state({"a": "green", "b": "green"}))
    assert said(refused) == [("ScopedRouteConfiguration", ["a", "b"], [])]
    assert said(newer) == [("ScopedRouteConfiguration", ["b"], [])]
    proxy.inbox.extend([*refused, *newer])
    run(proxy, conversation)
    assert conversation.refusal is None
    assert conversation.effective
    assert proxy.shows()[0] == {"a": "green", "b": "green"}


def test_doubts_pass_to_the_next_stream() -> None:
    proxy, conversation = connected(state({"a": "blue", "b": "blue"}, extra=("green",)))
    proxy.inbox.extend(conversation.push(state({"a": "green", "b": BAD}, extra=("blue",))))
    run(proxy, conversation)
    assert {name for _, name in conversation.doubts} == {"a", "b"}
    proxy.connect()
    again = Conversation(state({"a": "green", "b": "blue"}), attempt="2", doubts=conversation.doubts)
    run(proxy, again)
    assert proxy.shows()[0] == {"a": "green", "b": "blue"}
    assert again.doubts == frozenset()


def test_unsubscribing_forgets_and_subscribing_again_tells_all_anew() -> None:
    proxy, conversation = connected(state({"a": "blue"}))
    assert conversation.receive(Request(SCOPE, unsubscribe=("*",))) == []
    assert said(conversation.push(state({"a": "green"}))) == [("Cluster", ["green"], [])]
    proxy.inbox.extend(conversation.receive(Request(CLUSTER, nonce="0.5")))
    again = conversation.receive(Request(SCOPE, subscribe=("*",)))
    assert said(again) == [("ScopedRouteConfiguration", ["a"], [])]


def test_what_was_refused_unheard_is_doubtful_on_the_next_stream() -> None:
    """The proxy refused, remembers the good half, and the stream broke before we were told."""
    proxy, conversation = connected(state({"a": "blue", "b": "blue"}, extra=(BAD, "green")))
    (refused,) = conversation.push(state({"a": "green", "b": BAD}, extra=("blue",)))
    proxy.take(refused)
    proxy.connect()
    again = Conversation(state({"a": "green", "b": "blue"}), attempt="2", doubts=conversation.doubts)
    run(proxy, again)
    assert proxy.shows()[0] == {"a": "green", "b": "blue"}


def test_versions_that_are_not_trusted_are_replaced() -> None:
    proxy, conversation = connected(state({"a": "blue", "b": "blue"}, extra=("green",)))
    proxy.inbox.extend(conversation.push(state({"a": "green", "b": BAD}, extra=("blue",))))
    run(proxy, conversation)
    proxy.connect()
    run(proxy, Conversation(state({"a": "green", "b": "blue"}), attempt="2", trusted=False))
    assert proxy.shows()[0] == {"a": "green", "b": "blue"}


def test_a_proxy_is_not_there_before_it_has_asked_for_everything() -> None:
    conversation = Conversation(state({"a": "blue"}))
    for url in (CLUSTER, LISTENER, SCOPE):
        (answer,) = conversation.receive(Request(url))
        assert not conversation.effective
        conversation.receive(Request(url, nonce=answer.nonce))
        assert not conversation.effective, "it has not asked for its runtime yet"
    (answer,) = conversation.receive(Request(RUNTIME, subscribe=(RUNTIME_LAYER,)))
    assert not conversation.effective
    conversation.receive(Request(RUNTIME, nonce=answer.nonce))
    assert conversation.effective


def test_scopes_wait_for_clusters_whatever_is_asked_for_first() -> None:
    conversation = Conversation(state({"a": "green"}))
    assert conversation.receive(Request(SCOPE, initial_versions={"a": "blue"})) == []
    assert conversation.receive(Request(LISTENER, initial_versions={"web": "1"})) == []
    assert said(conversation.receive(Request(CLUSTER, initial_versions={"blue": "1"}))) == [("Cluster", ["green"], [])]


def test_a_proxy_that_asks_for_all_is_answered_even_with_nothing() -> None:
    """Envoy does not start before it has heard that there are no clusters."""
    assert said(Conversation(state({})).receive(Request(CLUSTER))) == [("Cluster", [], [])]


def test_every_push_closes_the_gate_to_removals() -> None:
    proxy, conversation = connected(state({"a": "blue"}))
    proxy.inbox.extend(conversation.push(state({"a": "green"})))
    run(proxy, conversation)
    proxy.inbox.extend(conversation.open_removals())
    run(proxy, conversation)
    proxy.inbox.extend(conversation.push(state({"a": "red"})))
    run(proxy, conversation)
    assert proxy.shows()[2] == {"green", "red"}


def _named(**by_type: dict[str, str]) -> Snapshot:
    urls = {
        "clusters": CLUSTER,
        "endpoints": ENDPOINTS,
        "secrets": SECRET,
        "extensions": EXTENSION,
        "listeners": LISTENER,
    }
    resources = {urls[k]: {n: Resource(n, v, v.encode()) for n, v in names.items()} for k, names in by_type.items()}
    return Snapshot(resources, repr(by_type))


def _named_conversation(target: Snapshot) -> Conversation:
    """Has asked for clusters and listeners and taken what there is of them."""
    conversation = Conversation(target)
    for url in (CLUSTER, LISTENER):
        for response in conversation.receive(Request(url)):
            conversation.receive(Request(url, nonce=response.nonce))
    return conversation


def test_what_is_asked_for_by_name_is_answered_at_once_even_that_it_does_not_exist() -> None:
    conversation = _named_conversation(_named(secrets={"cert": "1"}, clusters={"c": "1"}))
    assert said(conversation.push(_named(secrets={"cert": "1"}, clusters={"c": "2"}))) == [("Cluster", ["c"], [])]
    answers = conversation.receive(Request(SECRET, subscribe=("cert", "nothing")))
    assert said(answers) == [("Secret", ["cert"], ["nothing"])]
    assert conversation.receive(Request(SECRET, nonce=answers[0].nonce)) == []
    assert said(conversation.receive(Request(SECRET, subscribe=("cert",)))) == [("Secret", ["cert"], [])]


def test_a_resource_nobody_asked_for_is_not_sent() -> None:
    conversation = _named_conversation(_named(secrets={"cert": "1", "other": "1"}))
    (answer,) = conversation.receive(Request(SECRET, subscribe=("cert",)))
    conversation.receive(Request(SECRET, nonce=answer.nonce))
    assert said(conversation.push(_named(secrets={"cert": "2", "other": "2"}))) == [("Secret", ["cert"], [])]


def test_a_changed_cluster_gets_its_endpoints_anew() -> None:
    """Envoy warms a changed cluster until it hears of its endpoints again, even if they are the same."""
    conversation = _named_conversation(_named(clusters={"c": "1"}, endpoints={"c": "1"}))
    (answer,) = conversation.receive(Request(ENDPOINTS, subscribe=("c",)))
    conversation.receive(Request(ENDPOINTS, nonce=answer.nonce))
    pushed = conversation.push(_named(clusters={"c": "2"}, endpoints={"c": "1"}))
    assert said(pushed) == [("Cluster", ["c"], []), ("ClusterLoadAssignment", ["c"], [])]


def test_filter_configurations_go_with_listeners_and_leave_after_them() -> None:
    conversation = _named_conversation(_named(extensions={"old": "1"}, listeners={"web": "1"}))
    (answer,) = conversation.receive(Request(EXTENSION, subscribe=("old",)))
    conversation.receive(Request(EXTENSION, nonce=answer.nonce))
    pushed = conversation.push(_named(extensions={}, listeners={"other": "1"}))
    assert said(pushed) == [("Listener", ["other"], ["web"])]
    assert conversation.receive(Request(LISTENER, nonce=pushed[0].nonce)) == []
    assert said(conversation.open_removals()) == [("TypedExtensionConfig", [], ["old"])]


def test_routes_wait_for_warm_clusters_when_asked_to() -> None:
    conversation = Conversation(state({"a": "blue"}), wait_for_warm=True)
    proxy, _ = connected(None)
    proxy.connect()
    run(proxy, conversation)
    assert conversation.effective, "a proxy that starts opens its listeners when all is warm"
    proxy.inbox.extend(conversation.push(state({"a": "green"})))
    run(proxy, conversation)
    assert conversation.wants_warm
    assert proxy.shows()[0] == {"a": "blue"}
    proxy.inbox.extend(conversation.mark_warm())
    run(proxy, conversation)
    assert proxy.shows()[0] == {"a": "green"}
    assert not conversation.wants_warm


def test_types_that_are_not_served_are_ignored() -> None:
    assert Conversation(state({})).receive(Request("type.googleapis.com/unknown", subscribe=("x",))) == []
