"""Reports as Markdown and as one HTML page: whole by themselves, and nothing that users wrote is obeyed in them."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from lastgood.interfaces.cli import plots, render_html, render_report, render_verdict
from tests.cli import recorded
from tests.cli.conftest import Project
from tests.cli.controller import RecordedController
from tests.judging.court import court

HOSTILE = '</pre><script>alert(1)</script> & "quoted" ```\n\x1b[2J'
SVG = "{http://www.w3.org/2000/svg}"


def verdict(**more: Any) -> dict[str, Any]:
    """r13, judged over a minute; in the middle nothing is known of it."""
    points = [[100.0 + n, 2.0**n, 3.0 if n < 5 else 900.0, 10 if n != 4 else 0, 1, 190, 2] for n in range(10)]
    finding = {"outcome": "bad", "requests": [90, 1900], "failures": [10, 20], "watched_s": 10.0, "harm": 1024.0}
    finding |= {"good": 1.0, "by": {"errors": 1024.0}, "lacks": [], "says": []}
    promise = {"alpha": 0.001, "beta": 0.001, "tolerated": 0.01, "dispersion": {}, "objectives": []}
    measured = {"lines": 11, "digest": "ab" * 32, "finding": finding, "replay": "same", "why": "", "differs": {}}
    measured |= {"points": points, "promise": promise, "seconds": 9.0, "after": False, **more.pop("measured", {})}
    return {"release": 13, "verdict": "bad", "basis": "measured", "evidence": HOSTILE, "measured": measured, **more}


def parsed(lines: list[str]) -> ElementTree.Element:
    """The page as a tree: it is well-formed, so that a browser has nothing to guess."""
    assert lines[0] == "<!DOCTYPE html>"
    return ElementTree.fromstring("\n".join(lines[1:]))


def hostile() -> dict[str, Any]:
    found = recorded.report(recorded.went_back(why=HOSTILE, by=HOSTILE), changes=[recorded.change(HOSTILE)])
    found["timeline"][2]["error"] = HOSTILE
    return found


def test_a_page_is_whole_by_itself_and_runs_nothing() -> None:
    tree = parsed(render_html.page(hostile(), verdict()))
    names = {element.tag.partition("}")[2] for element in tree.iter()}
    assert not names & {"script", "link", "img", "iframe", "object", "form", "a"}
    for element in tree.iter():
        assert not [name for name in element.attrib if name.startswith("on") or name in ("src", "href")]
    policy = next(e for e in tree.iter() if e.get("http-equiv") == "Content-Security-Policy")
    assert policy.get("content") == "default-src 'none'; style-src 'unsafe-inline'"
    said = "".join(tree.itertext())
    assert said.count("<script>alert(1)</script>") >= 4
    assert "\x1b" not in said


def test_its_plots_stay_inside_and_show_gaps() -> None:
    drawn = plots.of_verdict(verdict()["measured"])
    assert len(drawn) == 2
    for svg in drawn:
        tree = ElementTree.fromstring(svg)
        assert tree.find(f"{SVG}title") is not None
        for line in tree.iter(f"{SVG}polyline"):
            for point in str(line.get("points")).split():
                x, y = map(float, point.split(","))
                assert 0 <= x <= plots.WIDTH
                assert 0 <= y <= plots.HEIGHT
    failed = ElementTree.fromstring(drawn[1])
    kinds = [str(line.get("class")) for line in failed.iter(f"{SVG}polyline")]
    assert kinds == ["line one", "line one", "line two"]


def test_what_was_found_at_its_first_second_is_a_dot() -> None:
    points = verdict()["measured"]["points"][-1:]
    for svg in plots.of_verdict(verdict(measured={"points": points})["measured"]):
        tree = ElementTree.fromstring(svg)
        assert [dot.get("class") for dot in tree.iter(f"{SVG}circle")] == ["dot one", "dot two"]
        assert not list(tree.iter(f"{SVG}polyline"))


def test_what_rises_in_the_plot_is_what_was_measured() -> None:
    evidence = ElementTree.fromstring(plots.of_verdict(verdict()["measured"])[0])
    worse = next(iter(evidence.iter(f"{SVG}polyline")))
    heights = [float(point.split(",")[1]) for point in str(worse.get("points")).split()]
    assert heights == sorted(heights, reverse=True)
    limit = next(line for line in evidence.iter(f"{SVG}line") if line.get("class") == "limit")
    per_decade = (plots.HEIGHT - plots.TOP - plots.BOTTOM) / (3 * 1.25)
    assert math.isclose(float(str(limit.get("y1"))), plots.HEIGHT - plots.BOTTOM - 3 * per_decade, abs_tol=0.1)


def test_nothing_measured_is_no_plot() -> None:
    assert plots.of_verdict(verdict(measured={"points": []})["measured"]) == []
    tree = parsed(render_html.page(recorded.report(recorded.deployment()), {**verdict(), "measured": None}))
    assert "nothing was measured" in "".join(tree.itertext())


def test_steps_are_bars_and_a_failed_one_says_so() -> None:
    tree = parsed(render_html.page(hostile(), None))
    assert [bar.get("class") for bar in tree.iter(f"{SVG}rect")] == ["bar bad"]


def test_a_step_that_another_plan_took_over_from_was_under_way_until_then() -> None:
    at = "2026-03-01T12:00:{:02}.000Z".format
    found = recorded.report(recorded.went_back(why="", by="a"))
    found["timeline"] = [
        {"kind": "StepStarted", "at": at(1), "step": "hold"},
        {"kind": "Planned", "at": at(4), "intent": "retreat"},
        {"kind": "StepStarted", "at": at(4), "step": "shift"},
        {"kind": "StepEnded", "at": at(5), "step": "shift", "result": {}},
    ]
    tree = parsed(render_html.page(found, None))
    said = [str(word.text) for word in tree.iter(f"{SVG}text")]
    assert said[1:] == ["hold, left", "3.0 s", "shift", "1.0 s"]
    widths = [float(str(bar.get("width"))) for bar in tree.iter(f"{SVG}rect")]
    assert math.isclose(widths[0], 3 * widths[1], rel_tol=0.01)


def test_markdown_has_the_verdict_and_no_line_of_it_ends_its_block() -> None:
    told = render_report.markdown(recorded.report(recorded.deployment()), verdict())
    begin, end = told.index("## Verdict on r13"), told.index("## Timeline")
    block = told[begin + 2 : end - 1]
    assert all(line.startswith("    ") for line in block)
    assert any(re.search("worse +[▁-█]+", line) for line in block)


def test_a_watch_speaks_of_the_rest() -> None:
    told = render_verdict.verdict(verdict(measured={"after": True}))
    assert any("the rest" in line for line in told)
    assert not any("evidence that it is fine" in line for line in told)


@pytest.mark.parametrize(("form", "begins"), [("html", "<!DOCTYPE html>"), ("markdown", "# d31"), ("text", "d31: ")])
def test_a_report_goes_into_a_file(project: Project, controller: RecordedController, form: str, begins: str) -> None:
    controller.says = {
        "GET /v1/deployments/d31": recorded.report(recorded.deployment()),
        "GET /v1/verdict/r13": verdict(),
    }
    ran = project.run("report", "d31", "--format", form, "-o", "report.out")
    assert (ran.code, ran.out, ran.err) == (0, "", "written to report.out\n")
    assert (project.root / "report.out").read_text().startswith(begins)
    printed = project.run("report", "d31", "--format", form)
    assert printed.out.startswith(begins)


def test_a_file_that_cannot_be_written_is_named(project: Project, controller: RecordedController) -> None:
    controller.says = {"GET /v1/deployments/d31": recorded.report(recorded.deployment())}
    ran = project.run("report", "d31", "-o", "no/such/folder")
    assert ran.code == 7
    assert "no/such/folder" in ran.err


def test_a_verdict_is_drawn(project: Project, controller: RecordedController) -> None:
    controller.says = {"GET /v1/verdict/live": verdict()}
    assert project.run("verdict", "--plot", "r13.svg").code == 0
    tree = ElementTree.fromstring((project.root / "r13.svg").read_text())
    assert tree.tag == f"{SVG}svg"
    controller.says = {"GET /v1/verdict/live": {**verdict(), "measured": None}}
    ran = project.run("verdict", "--plot", "again.svg")
    assert "nothing to draw" in ran.err
    assert not (project.root / "again.svg").exists()


async def test_what_a_real_controller_tells_of_a_bad_release_becomes_a_page() -> None:
    async with court() as it:
        it.made.verbs.evidence = it.evidence
        await it.second()
        await it.seconds(5)
        await it.seconds(10, fails=0.2)
        await it.made.until(lambda state: state.deployment is None and state.live == 1)
        tree = parsed(render_html.page(it.made.verbs.report("d2"), it.made.verbs.verdict("r2")))
        said = "".join(tree.itertext())
        assert "requests failed, of the baseline" in said
        assert len(list(tree.iter(f"{SVG}polyline"))) == 4
