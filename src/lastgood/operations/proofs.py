"""The gate of a deployment: a schema that is not proven to come back does not go up. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lastgood.database.migration import plain_version
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
        for version in proof.get("unsaid", ())[:1]:
            raise Refused(
                f"the live release does not work with migration {version} of database {name}:"
                f" {proof['breaks'][version]}",
                next="add first and drop in a later release; or say in the migration: -- lastgood:breaks WHY",
            )
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


def with_proofs(drafted: Drafted) -> Drafted:
    """A prepared draft that knows what its proofs found: which versions no older release can live with."""
    proofs = proofs_of(drafted)
    breaks = {name: dict(proof["breaks"]) for name, proof in proofs.items() if proof.get("breaks")}
    warnings = (*drafted.warnings, *warnings_of(drafted))
    return replace(drafted, draft=replace(drafted.draft, breaks=breaks), warnings=warnings)


def warnings_of(drafted: Drafted) -> Iterator[Problem]:
    """What a person should know of proofs that let a deployment pass."""
    for name, proof in sorted(proofs_of(drafted).items()):
        if proof["verdict"] in ("cosmetic", "irreversible", "lossy", "unproven"):
            entry = drafted.configuration.entries[f"database:{name}"]
            what = f"database {name}: the way back is {proof.get('title', proof['verdict'])}"
            reasons = "; ".join(proof["reasons"][:4])
            yield Problem(entry.file, entry.line, f"{what}: {reasons}" if reasons else what, None, "warning")
        pending = {plain_version(version) for version in proof.get("versions", ())}
        for version, why in sorted(proof.get("breaks", {}).items()):
            if version in pending:
                entry = drafted.configuration.entries[f"database:{name}"]
                what = f"database {name}: what is live cannot live with migration {version} ({why})"
                hint = "requests may fail from then on until the new release has them; the way back takes it down first"
                yield Problem(entry.file, entry.line, what, hint, "warning")
