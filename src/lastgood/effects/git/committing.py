"""Writing a commit in the user's name, signed as the user's own Git would sign it."""

from __future__ import annotations

import os
import re

import pygit2

from lastgood.effects.git.command import attempt, run
from lastgood.errors import Unavailable, UsageError
from lastgood.ports import RevertOrder

FALLBACK_NAME, FALLBACK_EMAIL = "Lastgood", "lastgood@localhost"
_SIGNING_TIMEOUT_S = 30.0
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,62}")


def message_of(order: RevertOrder) -> str:
    """The order's message with the trailers by which we, and `git log`, find the commit again."""
    for name, value in (("release", order.release), ("deployment", order.deployment)):
        if not _WORD.fullmatch(value):
            raise UsageError(f"{value!r} cannot be the name of a {name}")
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", order.message.replace("\r\n", "\n")).strip()
    return f"{text or f'Revert {order.release}'}\n\n{trailers(order)}\n"


def trailers(order: RevertOrder) -> str:
    """The last paragraph of a revert commit's message."""
    return f"Lastgood-Deployment: {order.deployment}\nReverts: {order.bad}"


def is_answer_to(commit: pygit2.Commit, order: RevertOrder) -> bool:
    """Whether a commit was written for this very order."""
    return bool(commit.raw_message.rstrip().endswith(b"\n\n" + trailers(order).encode()))


def is_ours(commit: pygit2.Commit) -> bool:
    """Whether a commit was written by us, for any order."""
    return re.search(rb"\n\nLastgood-Deployment: \S+\nReverts: [0-9a-f]{40}\s*\Z", commit.raw_message) is not None


def write_commit(place: str, tree: str, parent: str, message: str) -> str:
    """Make a commit object (no reference moves); returns its id. Raises ``Unavailable`` when signing fails."""
    settings = _settings(place)
    sign = settings.get("commit.gpgsign", "").lower() in ("true", "yes", "on", "1")
    arguments = ["commit-tree", *(["-S"] if sign else []), "-p", parent, "-F", "-", tree]
    env = _identity("AUTHOR", settings) | _identity("COMMITTER", settings)
    if not sign:
        return run(place, *arguments, given=message.encode(), env=env).strip()
    ran = attempt(place, *arguments, given=message.encode(), env=env, timeout_s=_SIGNING_TIMEOUT_S)
    if ran.code:
        raise Unavailable(
            f"the revert commit could not be signed: {ran.errors}",
            where=place,
            next="unlock the signing key for this user, or git config commit.gpgsign false, and repeat",
        )
    return ran.text.strip()


def _settings(place: str) -> dict[str, str]:
    pattern = r"^(((user|author|committer)\.(name|email))|commit\.gpgsign)$"
    ran = attempt(place, "config", "--null", "--get-regexp", pattern)  # exit code 1: none of them is set
    pairs = (item.partition("\n") for item in ran.text.split("\0") if item)
    return {name: value if found else "true" for name, found, value in pairs}


def _identity(role: str, settings: dict[str, str]) -> dict[str, str]:
    """Nothing where Git knows who the user is (it finds out by itself), else our own name and address."""
    names, emails = (f"GIT_{role}_NAME",), (f"GIT_{role}_EMAIL", "EMAIL")
    has_name = any(map(os.environ.get, names)) or any(settings.get(f"{s}.name") for s in (role.lower(), "user"))
    has_email = any(map(os.environ.get, emails)) or any(settings.get(f"{s}.email") for s in (role.lower(), "user"))
    if has_name and has_email:
        return {}
    return {f"GIT_{role}_NAME": FALLBACK_NAME, f"GIT_{role}_EMAIL": FALLBACK_EMAIL}
