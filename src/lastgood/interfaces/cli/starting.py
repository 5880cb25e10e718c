"""The first lastgood.yaml of a project, and the repository around it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lastgood.errors import Refused, Unavailable, UsageError
from lastgood.settings import CONFIGURATION

_FIRST = "Begin with Lastgood"


def begin_project(folder: Path, project: str | None) -> dict[str, Any]:
    """Write the file; commit it only where the repository has no commit yet, so that nobody's history is touched.

    Raises ``Refused`` where there is one already, or where the folder is not the root of its repository.
    """
    from lastgood.config.template import starting_point
    from lastgood.config.values import NAME_PATTERN
    from lastgood.effects.git.command import attempt
    from lastgood.effects.git.opening import initialise

    name = project or project_name(folder)
    if not re.fullmatch(NAME_PATTERN, name):
        raise UsageError(f"{name!r} cannot be a project's name", next="small letters, digits, - and _ (at most 63)")
    path = folder / CONFIGURATION
    if path.exists():
        raise Refused("it is there already", where=str(path), next="lastgood check")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        top = attempt(str(folder), "rev-parse", "--show-toplevel")
        if top.code == 0 and Path(top.text.strip()).resolve() != folder:
            root = top.text.strip()
            raise Refused(f"it lies inside the repository {root}", where=str(folder), next=f"lastgood init {root}")
        path.write_text(starting_point(name))
    except OSError as error:
        raise Unavailable(
            f"cannot be written: {error.strerror}", where=str(folder), next="mend its permissions"
        ) from error
    initialise(folder)
    is_new = attempt(str(folder), "rev-parse", "--verify", "--quiet", "HEAD").code != 0
    if is_new:
        _commit(folder)
    return {"folder": str(folder), "project": name, "committed": is_new}


def project_name(folder: Path) -> str:
    """The folder's name in the letters a project's name may have."""
    return re.sub(r"[^a-z0-9_-]+", "-", folder.name.lower()).strip("-_")[:63].strip("-_") or "project"


def _commit(folder: Path) -> None:
    """The first commit, of this one file; without a name of the user's it is made in ours."""
    from lastgood.effects.git.command import attempt, run
    from lastgood.effects.git.committing import FALLBACK_EMAIL, FALLBACK_NAME

    env: dict[str, str] = {}
    if attempt(str(folder), "-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT").code:
        for role in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{role}_NAME": FALLBACK_NAME, f"GIT_{role}_EMAIL": FALLBACK_EMAIL}
    run(str(folder), "add", "--", CONFIGURATION)
    run(str(folder), "commit", "--quiet", "-m", _FIRST, "--", CONFIGURATION, env=env)
