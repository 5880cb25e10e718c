"""What a deployment restarts is told, also where nothing in the configuration is different."""

from __future__ import annotations

from lastgood.interfaces.cli.deploy import begun
from lastgood.interfaces.cli.render_plan import way_forward

RESTART = "restarts service catalog: 2 instances of the new version beside the old ones"


def test_a_plan_and_a_deployment_name_what_restarts() -> None:
    said = {"revision": "a" * 40, "subject": "New code", "branch": "main", "changes": [], "restarts": [RESTART]}
    plan = way_forward({**said, "live": 1, "held_by": None, "basis": "b"})
    assert f"  {RESTART}" in plan
    assert not any("no difference" in line for line in plan)
    lines = begun({**said, "deployment": 2, "release": 2})
    assert lines[1:] == [f"  {RESTART}"]
    nothing = begun({**said, "restarts": [], "deployment": 2, "release": 2})
    assert nothing[1:] == ["  what it serves is not different"]
