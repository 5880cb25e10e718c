"""What people read, as golden texts made of recorded JSON values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lastgood.interfaces.cli import render_changes, render_history, render_plan, render_report, text
from tests.cli import recorded


def lines(found: list[str]) -> str:
    return "\n".join(found) + "\n"


@given(st.text())
def test_nothing_in_a_text_can_move_the_cursor(raw: str) -> None:
    clean = text.escaped(raw)
    assert all(letter >= " " and not 0x7F <= ord(letter) <= 0x9F for letter in clean)
    clean.encode()  # raises on a lone surrogate


def test_control_characters_and_turned_writing_are_written_out() -> None:
    assert text.escaped("a\x1b[31m\r\u202eb\x9b") == r"a\x1b[31m\r\u202eb\x9b"
    assert text.escaped("it ended:\n  no such table\n\nnext: mend it\n") == "it ended: / no such table / next: mend it"


def test_numbers_carry_their_unit() -> None:
    assert [text.milliseconds(ms) for ms in (0.04, 1.912, 52.4, 3210)] == ["0.0 ms", "1.9 ms", "52 ms", "3.2 s"]
    assert [text.lasting(s) for s in (0.2, 9.96, 59.9, 598, 7200, 90_061)] == [
        "0.2s", "10s", "1m", "9m58s", "2h", "1d1h",
    ]  # fmt: skip
    assert [text.counted(n, noun) for n, noun in ((1, "proxy"), (3, "proxy"), (0, "request"))] == [
        "1 proxy", "3 proxies", "0 requests",
    ]  # fmt: skip


def test_alarming_words_are_coloured_and_only_whole_words() -> None:
    assert text.painted("LOOSENS x") == "\x1b[1;31mLOOSENS\x1b[0m x"
    assert text.painted("an error") == "an error"
    assert text.painted("warning: x").startswith("\x1b[1;33mwarning\x1b[0m")


def test_what_loosens_comes_first() -> None:
    found = [
        recorded.change("route a: timeout 2s -> 3s"),
        recorded.change("policy office: allows fewer addresses", "tightens"),
        recorded.change("policy office: allows 0.0.0.0/0", "loosens"),
    ]
    assert lines(render_changes.changes(found)) == (
        "  LOOSENS  policy office: allows 0.0.0.0/0\n"
        "  tightens policy office: allows fewer addresses\n"
        "  route a: timeout 2s -> 3s\n"
    )


def test_a_long_list_is_cut_but_never_what_loosens() -> None:
    found = [recorded.change(f"route {n}: timeout 2s -> 3s") for n in range(60)]
    assert render_changes.changes(found)[-1] == "  and 20 more changes (--json has all)"
    found += [recorded.change(f"policy {n}: open", "loosens") for n in range(50)]
    told = render_changes.changes(found)
    assert sum("LOOSENS" in line for line in told) == 50
    assert told[-1] == "  and 60 more changes (--json has all)"


def test_way_back() -> None:
    found = recorded.way_back(
        skipped=[[14, "bad"]],
        loosens=["policy office: removed"],
        reverts=[recorded.change("policy office: removed", "loosens"), recorded.change("route a: timeout 3s -> 2s")],
        keeps=["service:api"],
    )
    assert lines(render_plan.way_back(found)) == (
        "r13 -> r12: known good (timed: no veto in 600 s)\n"
        "  passed over: r14, it is bad\n"
        "LOOSENS  policy office: removed\n"
        "REVERTS\n"
        "  route a: timeout 3s -> 2s\n"
        "KEEPS    service:api\n"
        "steps\n"
        "  shift all requests to r12\n"
        "nothing was changed; to go exactly this way: lastgood rollback r12 --accept-loosening --basis a8f1\n"
    )


def test_way_forward() -> None:
    found = {**recorded.deploy_answer(uncommitted=["lastgood.yaml"]), "held_by": 9, "live": 12, "basis": "a8f1"}
    assert lines(render_plan.way_forward(found)) == (
        '7a53198103c3 "Raise the limit" (main), compared to r12\n'
        "  route catalog: timeout 2s -> 3s\n"
        "warning: not committed, so not part of it: lastgood.yaml\n"
        "held: it contains what made r9 bad (lastgood deploy --force -m WHY)\n"
        "nothing was changed; to deploy it: lastgood deploy 7a53198103c3 --basis a8f1\n"
    )


def test_history() -> None:
    line = {
        "deployment": 32, "intent": "rollback", "from": 13, "to": 12, "by": "ann (cli)", "why": "slow",
        "at": "2026-03-01T12:05:00.021Z", "outcome": "done", "live": 12,
        "convergence": recorded.convergence(effective_ms=1.9),
    }  # fmt: skip
    back = {**line, "deployment": 31, "intent": "deploy", "from": None, "to": 13, "why": "", "outcome": "went back"}
    back["convergence"] = None
    releases = [
        recorded.live(verdict="bad", basis="marked", held=True, live=False),
        recorded.live(release=12, verdict="good", tags=["stable"], subject="Begin"),
        recorded.live(release=9, verdict="unproven", basis=None, live=False, lived=False, revision=None, subject="x"),
    ]
    assert lines(render_history.history({"releases": releases, "deployments": [line, back]})) == (
        "releases\n"
        '  r13  bad (marked)  7a53198103c3  held              "Raise the limit"\n'
        '  r12  good (timed)  7a53198103c3  live, tag stable  "Begin"\n'
        '  r9   unproven                    never served      "x"\n'
        "deployments\n"
        '  d32  2026-03-01 12:05:00Z  rollback  r13 -> r12      done                    1.9 ms  ann (cli): "slow"\n'
        "  d31  2026-03-01 12:05:00Z  deploy    nothing -> r13  went back, r12 is live          ann (cli)\n"
    )
    assert render_history.history({"releases": [], "deployments": []}) == ["nothing was deployed yet"]


def test_report() -> None:
    assert lines(render_report.text(recorded.report(recorded.went_back()))) == (
        'd32: rollback r13 -> r12, by ann (cli), 2026-03-01 12:00:05Z: "slow"\n'
        "  ok  shift all requests to r12        3.1 ms\n"
        "  ok  see that r13 gets no requests    208 ms\n"
        "  ok  write the revert commit on main  40 ms\n"
        "  ok  settle on r12                    2.9 ms\n"
        "done, r12 was live after it\n"
        "proof: 3 of 3 proxies, effective in 1.9 ms; r13 got 0 requests in the 200 ms after\n"
        "revert commit 2e7ba62ff062 on main\n"
        "changes\n"
        "  route catalog: timeout 2s -> 3s\n"
        "timeline\n"
        "  12:00:05.021  asked for: intent rollback, by ann (cli)\n"
        "  12:00:05.022  begins: step shift\n"
        "  12:00:05.027  ends: step shift, result took_ms=1.1\n"
    )


def test_report_of_a_way_back_shows_the_way_forward_first() -> None:
    steps = [recorded.step("bake", "bake", "bake r13 for 600 s", "left"), recorded.step("settle", "serve", "settle")]
    forward = {"intent": "deploy", "target": 13, "replanned": None, "steps": steps}
    back = recorded.went_back(intent="retreat", replanned="r13 is bad", **{"from": 12}, asked=13)
    found = recorded.report(back, replaced=[forward])
    found["timeline"].append({"at": "2026-03-01T12:00:06.000Z", "seq": 10, "kind": "Noted", "what": "both sides fail"})
    said = lines(render_report.text(found))
    assert said.endswith("  12:00:06.000  note: both sides fail\n")
    assert said.startswith(
        'd32: deploy r12 -> r13, by ann (cli), 2026-03-01 12:00:05Z: "slow"\n'
        "  left  bake r13 for 600 s\n"
        "  -     settle\n"
        "  going to r12 instead: r13 is bad\n"
        "  ok  shift all requests to r12        3.1 ms\n"
    )


def test_report_as_markdown_quotes_what_users_wrote() -> None:
    found = recorded.report(recorded.went_back(why="`rm` | <b>\n# no"), changes=[])
    told = lines(render_report.markdown(found))
    assert told.startswith("# d32: rollback r13 -> r12\n\n- Asked for by `ann (cli)` at 2026-03-01T12:00:05.021Z: ")
    assert "`` `rm` \\| <b> / # no ``" in told
    assert "| 12:00:05.022 | `begins: step shift` |" in told
