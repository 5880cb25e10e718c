"""Logs go when nobody has written to them for long; the controller's and the proxies' are not touched."""

from __future__ import annotations

import os
from pathlib import Path

from lastgood.effects.old_logs import AGE_S, remove_old


def test_old_logs_go_save_the_newest_of_each_service(tmp_path: Path) -> None:
    written_s = {"services/a@1.log.1": 1, "services/a@1.log": 2, "services/a@2.log": 3, "services/a@3.log": 4}
    written_s |= {"services/b@1.log": 1, "services/c@1.log": 9000, "controller.log": 1}
    for name, at_s in written_s.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (at_s, at_s))
    assert remove_old(tmp_path, AGE_S) == 0
    assert remove_old(tmp_path, AGE_S + 100.0) == 2
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.log*")}
    assert left == set(written_s) - {"services/a@1.log.1", "services/a@1.log"}
