"""The story of the README is a test: every promise it makes is checked, and it ends with exit code 0."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest


@pytest.mark.xdist_group("story")
@pytest.mark.timeout(420)
def test_the_demo_keeps_every_promise() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lastgood", "demo"],
        capture_output=True,
        text=True,
        timeout=380,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert "      NOT " not in done.stdout, done.stdout
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    kept = re.findall(r"^ {6}ok {3}\S", done.stdout, re.MULTILINE)
    assert len(kept) >= 31, "every promise of both acts was looked at"
    assert "failed: 0" in done.stdout
    assert "rows lost: 0" in done.stdout
    assert "it is known good by what was measured" in done.stdout
