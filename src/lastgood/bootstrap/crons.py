"""Functions that run by the clock: which those of the live release are, and how they are asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lastgood.bootstrap.controller import Controller
    from lastgood.config.model import Function
    from lastgood.effects.artifacts.store import ArtifactStore
    from lastgood.effects.secrets import SecretStore
    from lastgood.operations.crons import Crons
    from lastgood.ports import CronTrigger
    from lastgood.settings import Places


def cron_record(places: Places) -> Path:
    """Where it is written what became of them."""
    return places.state / "functions" / "crons.json"


def make_crons(made: Controller) -> Crons:
    """What watches the clock for a controller."""
    from lastgood.bootstrap.services import make_artifacts
    from lastgood.effects.cron_record import CronFile
    from lastgood.effects.functions.calling import FunctionCaller
    from lastgood.effects.secrets import SecretStore
    from lastgood.operations.crons import Crons

    triggers = _Triggers(made, make_artifacts(made.places), SecretStore(made.places.secrets))
    caller = FunctionCaller(made.places.state / "functions", made.services.endpoints, triggers.environment)
    record = CronFile(cron_record(made.places))
    return Crons(made.loop, triggers.live, caller.fire, record.read, record.write, made.clock)


@dataclass
class _Triggers:
    """Those of the release that is live now; a Worker's are in its bundle, which is looked into once a version."""

    made: Controller
    artifacts: ArtifactStore
    secrets: SecretStore
    _known: dict[str, tuple[CronTrigger, ...]] = field(default_factory=dict)

    def live(self) -> tuple[CronTrigger, ...]:
        from lastgood.release.ledger import live_now
        from lastgood.release.release import services_of

        number = live_now(self.made.loop.state)
        if number is None:
            return ()
        functions = self.made.configurations.of(number).functions
        digests = services_of(self.made.loop.release_of(number))
        versions = {name: digests[name] for name in functions if name in digests}
        self._known = {digest: found for digest, found in self._known.items() if digest in versions.values()}
        for name, digest in versions.items():
            if digest not in self._known:
                self._known[digest] = self._of(name, digest, functions[name], number)
        return tuple(trigger for digest in versions.values() for trigger in self._known[digest])

    def _of(self, name: str, digest: str, function: Function, number: int) -> tuple[CronTrigger, ...]:
        from lastgood.ports import CronTrigger

        if function.runtime == "worker":
            said = self._of_bundle(name, number)
            return tuple(CronTrigger(name, digest, how, text, "/", function.timeout_s) for text, how in said.items())
        return tuple(
            CronTrigger(name, digest, cron.schedule, cron.schedule, cron.path, function.timeout_s)
            for cron in function.crons
        )

    def _of_bundle(self, name: str, number: int) -> Mapping[str, str]:
        """What was said -> how it is meant."""
        from lastgood.effects.functions.worker_runtime import BUILT, CRONS
        from lastgood.ports import ARTIFACT, MadeOf

        kept = self.made.configurations.attached(number, ARTIFACT).get(f"{ARTIFACT}:{name}")
        if kept is None:
            return {}
        made_of = MadeOf.from_json(kept)
        path = self.artifacts.find(made_of.digest, made_of.seal).folder / BUILT / CRONS
        return dict(json.loads(path.read_text())) if path.is_file() else {}

    def environment(self, name: str) -> Mapping[str, str]:
        """The variables of a function's own, secrets too."""
        from lastgood.effects.launches import environment_of
        from lastgood.release.ledger import live_now

        number = live_now(self.made.loop.state)
        function = self.made.configurations.of(number).functions.get(name) if number is not None else None
        if function is None:
            return {}
        plain, secret = environment_of(name, function, self.secrets.resolve)
        return {**plain, **secret}
