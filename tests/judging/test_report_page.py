"""The report of a bad release in a real browser: whole, quiet, and readable by day, by night and on a telephone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from lastgood.interfaces.cli import render_html
from tests.cli import test_reports
from tests.support.browser import Page, browser
from tests.support.judged import PROBES, release, text, went_back
from tests.support.moody import Moody
from tests.support.shop import Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150), pytest.mark.xdist_group("judging")]

LONG = "r2-" + "0123456789abcdef" * 12
TEXTS = """
[...document.querySelectorAll('h1,h2,dt,dd,pre,th,td,text')].map(it => {
  const range = document.createRange(); range.selectNodeContents(it);
  const seen = range.getBoundingClientRect();
  const inside = (it.ownerSVGElement || document.documentElement).getBoundingClientRect();
  const scale = it.ownerSVGElement ? inside.width / it.ownerSVGElement.viewBox.baseVal.width : 1;
  const style = getComputedStyle(it);
  return {text: it.textContent, left: seen.left, right: seen.right, top: seen.top, bottom: seen.bottom,
          from: inside.left, to: inside.right, picture: it.ownerSVGElement ? it.ownerSVGElement.ariaLabel : '',
          pixels: parseFloat(style.fontSize) * scale, ink: it.ownerSVGElement ? style.fill : style.color,
          cut: it.scrollWidth > it.clientWidth && it.clientWidth > 0};
})"""
PICTURES = """
[...document.querySelectorAll('svg')].map(it => {
  const seen = it.getBoundingClientRect();
  return {name: it.ariaLabel, width: seen.width, height: seen.height,
          inks: [...it.querySelectorAll('.line,.dot,.bar')].map(line => {
            const style = getComputedStyle(line); return style.fill == 'none' ? style.stroke : style.fill; })};
})"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with TemporaryDirectory(prefix="lastgood-browser-", dir="/tmp") as folder, browser(Path(folder)) as made:
        yield made


@pytest.fixture(scope="module")
def reports() -> Iterator[dict[str, Path]]:
    """Of a release that half fails on a real gateway, and of one whose author wrote what does not fit on a page."""
    sides = Moody("old"), Moody("new")
    sides[1].fails = 0.5
    shop = Shop()
    try:
        shop.begin()
        shop.commit(text(shop, sides[0], "300ms"))
        shop.ok("up", "--detach")
        shop.ok("deploy", "--wait", "ended")
        with shop.load(*PROBES, per_second=25.0):
            time.sleep(3.0)
            release(shop, sides[1])
            went_back(shop, 40)
        real = shop.root / "real.html"
        shop.ok("report", "d2", "--format", "html", "-o", str(real))
        wild = shop.root / "wild.html"
        found = test_reports.hostile()
        found["by"] = LONG
        found["timeline"][2]["error"] = LONG
        wild.write_text("\n".join(render_html.page(found, test_reports.verdict(evidence=LONG))))
        yield {"real": real, "wild": wild}
    finally:
        shop.close()
        for side in sides:
            side.stop()


@pytest.mark.parametrize("dark", [False, True], ids=["by day", "by night"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("which", ["real", "wild"])
def test_it_is_quiet_and_can_be_read(
    page: Page, reports: dict[str, Path], tmp_path: Path, which: str, width: int, dark: bool
) -> None:
    page.open(reports[which], width=width, dark=dark)
    page.picture(tmp_path / "seen.png")
    assert page.complaints == []
    assert page.fetched == [reports[which].as_uri()]
    assert page.ask("document.documentElement.scrollWidth") <= width
    paper = page.ask("getComputedStyle(document.body).backgroundColor")
    assert (luminance(paper) < 0.1) == dark

    pictures = page.ask(PICTURES)
    assert [one["name"] for one in pictures][-2:] == ["Evidence: 1 at the beginning", "Requests that failed"]
    for one in pictures:
        assert one["width"] > 300
        assert one["height"] > 30
        assert one["inks"]
        assert all(contrast(ink, paper) >= 3 for ink in one["inks"])

    texts = page.ask(TEXTS)
    assert len(texts) > 30
    for one in texts:
        assert not one["cut"], one
        assert one["left"] >= one["from"] - 0.5, one
        assert one["right"] <= one["to"] + 0.5, one
        assert one["pixels"] >= 9, one
        assert contrast(one["ink"], paper) >= 4.5, one
    overlapping = [(one["text"], two["text"]) for one, two in pairs(texts) if covers(one, two)]
    assert overlapping == []


def pairs(texts: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Any two words of the same picture."""
    for number, one in enumerate(texts):
        yield from ((one, two) for two in texts[number + 1 :] if one["picture"] and one["picture"] == two["picture"])


def covers(one: dict[str, Any], two: dict[str, Any]) -> bool:
    """Whether two boxes have more than the air above and below their letters in common."""
    across = min(one["right"], two["right"]) - max(one["left"], two["left"])
    down = min(one["bottom"], two["bottom"]) - max(one["top"], two["top"])
    return bool(across > 0 and down > 0.4 * min(one["pixels"], two["pixels"]))


def luminance(colour: str) -> float:
    """Relative luminance of ``rgb(...)``, 0 to 1 (WCAG 2.2)."""
    parts = [float(part) / 255 for part in re.findall(r"[\d.]+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, two: str) -> float:
    """1 to 21 (WCAG 2.2: 4.5 for words, 3 for lines)."""
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)
