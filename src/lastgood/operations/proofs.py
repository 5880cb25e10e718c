"""The gate of a deployment: a schema that is not proven to come back does not go up. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lastgood.errors import Problem, Refused
from lastgood.operations.database_maker import PROOF
from lastgood.operations.drafting import Drafted
from lastgood.operations.world import View
from lastgood.release.ledger import equal_before, live_now

_HOLDS = ("exact", "cosmetic", "applied", "irreversible")
_NEXT = {
    "lossy": "keep the rows (db plan shows them), or say --accept-loss",
    "broken": "mend the down script: lastgood db prove {name}; or mark it: -- lastgood:irreversible WHY",
}


def proofs_of(drafted: Drafted) -> dict[str, Mapping[str, Any]]:
    """What the rehearsals came to, by the name of the database."""
    entries = drafted.draft.entries
    keys = {name: f"{PROOF}:{name}" for name in drafted.draft.schemas}  # by name: there may be thousands of entries
    return {name: json.loads(drafted.contents[entries[key]]) for name, key in keys.items() if key in entries}


def refuse_unproven(drafted: Drafted, view: View, *, accept_loss: bool) -> None:
    """Raise ``Refused`` for a schema whose way back is not proven.

    Content that was good before is a way back, and waits for no proof. A database that could not be asked holds up
    only what changes it.
    """
    parts = drafted.draft.parts
    earlier = equal_before(view.state, parts, view.release_of)
    if earlier is not None and view.state.verdict(earlier).name == "good":
        return
    live = live_now(view.state)
    before = view.release_of(live).parts if live is not None else {}
    for name, proof in sorted(proofs_of(drafted).items()):
        verdict = proof["verdict"]
        part = f"database:{name}"
        if verdict in _HOLDS or (verdict == "lossy" and accept_loss):
            continue
        if verdict == "unproven" and before.get(part) == parts[part]:
            continue
        reasons = "; ".join(proof["reasons"][:4])
        if verdict == "unproven":
            raise Refused(
                f"the way back of database {name} could not be proven: {reasons}",
                where=proof.get("where"),
                next=proof.get("next") or f"lastgood db prove {name}",
            )
        raise Refused(
            f"the way back of database {name} is {proof['title']}: {reasons}", next=_NEXT[verdict].format(name=name)
        )


def warnings_of(drafted: Drafted) -> Iterator[Problem]:
    """What a person should know of proofs that let a deployment pass."""
    for name, proof in sorted(proofs_of(drafted).items()):
        if proof["verdict"] in ("cosmetic", "irreversible", "lossy", "unproven"):
            entry = drafted.configuration.entries[f"database:{name}"]
            what = f"database {name}: the way back is {proof.get('title', proof['verdict'])}"
            reasons = "; ".join(proof["reasons"][:4])
            yield Problem(entry.file, entry.line, f"{what}: {reasons}" if reasons else what, None, "warning")
