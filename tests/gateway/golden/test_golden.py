"""The compiled form of each example, to the letter."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.gateway.golden.golden_render import cases, output, render


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.stem)
def test_what_is_compiled_is_what_was_looked_at(case: Path) -> None:
    assert render(case) == output(case).read_text(), (
        "if that is meant: python -m tests.gateway.golden, and read the diff"
    )


def test_every_output_has_a_case() -> None:
    assert {path.name for path in (Path(__file__).parent / "out").iterdir()} == {output(case).name for case in cases()}
