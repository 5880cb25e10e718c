"""What a release starts and stops on its way: said before it does it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from lastgood.release.release import Release, services_of

_HOW = {
    "blue_green": "beside the old ones",
    "rolling": "in place of the old ones, batch by batch",
    "canary": "beside the old ones, share by share",
}


def restarts(
    live: Release | None, parts: Mapping[str, str], instances: Mapping[str, int], kinds: Mapping[str, str]
) -> list[str]:
    """A line for each service that changes; ``kinds`` are their strategies. What stays as it is has none."""
    before = services_of(live) if live is not None else {}
    after = {part.partition(":")[2]: digest for part, digest in parts.items() if part.startswith("service:")}
    lines = []
    for name in sorted(before.keys() | after.keys()):
        count = instances.get(name, 1)
        many = f"{count} instance{'s' if count != 1 else ''}"
        if name not in after:
            lines.append(f"stops service {name}")
        elif name not in before:
            lines.append(f"starts service {name}: {many}")
        elif before[name] != after[name]:
            how = _HOW.get(kinds.get(name, "blue_green"), _HOW["blue_green"])
            lines.append(f"restarts service {name}: {many} of the new version {how}")
    return lines
