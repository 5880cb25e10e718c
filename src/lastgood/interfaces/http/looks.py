"""What the API tells of the controller's own machine: its logs, and what the doctor finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lastgood.settings import Places


@dataclass(frozen=True)
class MachineLooks:
    """``Looks`` of a project. Loaded late: a controller that nobody asks needs none of it."""

    places: Places

    def logs(self, who: str, lines: int) -> dict[str, Any]:
        """See ``Looks``."""
        from lastgood.interfaces.cli.logs import tail

        return tail(self.places, who, lines)[0]

    def doctor(self) -> dict[str, Any]:
        """See ``Looks``."""
        from lastgood.interfaces.doctor import examine

        return {"checks": [asdict(check) for check in examine(self.places)]}
