"""Files of the repository that a configuration names: ``repo:`` texts, key sets, folders of code and migrations."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lastgood.config.yaml_tree import shorten

MAX_TEXT_BYTES = 1024 * 1024
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+={0,2}")
_MEMBERS: Mapping[str, tuple[str, ...]] = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_CURVES = {"EC": ("P-256", "P-384", "P-521"), "OKP": ("Ed25519",)}
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "k")


@dataclass(frozen=True, slots=True)
class RepositoryItem:
    """What lies at a path of the revision; ``size`` and ``read`` matter for files only."""

    kind: Literal["file", "folder", "link", "submodule"]
    size: int = 0
    read: Callable[[], bytes] = bytes


ReadFile = Callable[[str], RepositoryItem | None]
"""Looks a path of the revision up; ``None`` where there is nothing."""


class WrongFile(Exception):
    """What is wrong with a file, in the user's words; ``line`` is a line of that file, or 0."""

    def __init__(self, what: str, hint: str | None = None, line: int = 0) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.line = line


def inside(path: str) -> str:
    """A path that stays inside of the repository, without a slash at its end. Raises ``WrongFile`` for others."""
    clean = path.removeprefix("./").removesuffix("/")
    if path.startswith(("/", "~")) or "\\" in path or "\0" in path:
        raise WrongFile(f"{shorten(path)!r} is no path of the repository", "write it relative to the root, with /")
    if not clean or any(part in ("", ".", "..", ".git") for part in clean.split("/")):
        raise WrongFile(f"{shorten(path)!r} does not stay inside of the repository", "leave out . and ..")
    return clean


def find_folder(path: str, read_file: ReadFile) -> None:
    """Raise ``WrongFile`` unless the revision has this folder with something in it."""
    path = inside(path)
    item = read_file(path)
    if item is None:
        raise WrongFile(f"the folder {shorten(path)} is not in this revision", "is it committed?")
    if item.kind != "folder":
        raise WrongFile(f"{shorten(path)} is a {item.kind}, a folder is needed")


def read_text(path: str, read_file: ReadFile) -> str:
    """The text of a file of the revision. Raises ``WrongFile``."""
    path = inside(path)
    item = read_file(path)
    if item is None:
        raise WrongFile(f"the file {shorten(path)} is not in this revision", "is it committed?")
    if item.kind == "link":
        raise WrongFile(f"{shorten(path)} is a symbolic link", "name the file itself")
    if item.kind != "file":
        raise WrongFile(f"{shorten(path)} is a {item.kind}, a file is needed")
    if item.size > MAX_TEXT_BYTES:
        raise WrongFile(f"{shorten(path)} has {item.size} bytes, at most 1 MiB is read")
    content = item.read()
    if len(content) > MAX_TEXT_BYTES:
        raise WrongFile(f"{shorten(path)} has {len(content)} bytes, at most 1 MiB is read")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise WrongFile(f"{shorten(path)} is not UTF-8 text") from None


def parse_keys(text: str) -> list[dict[str, Any]]:
    """The keys of a JSON Web Key Set (RFC 7517). Raises ``WrongFile``."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise WrongFile(f"this is not JSON: {error.msg}", line=error.lineno) from None
    except (RecursionError, ValueError):
        raise WrongFile("this is not JSON that we take: it is nested too deeply, or a number is too long") from None
    return check_keys(value)


def check_keys(value: Any) -> list[dict[str, Any]]:
    """The keys of a key set that was read already. Raises ``WrongFile``; never shows what is in a key."""
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list):
        raise WrongFile("a JSON Web Key Set is needed: {keys: [...]}")
    if not keys:
        raise WrongFile("the key set has no keys, so no token could be valid")
    seen = set()
    for number, key in enumerate(keys, 1):
        if not isinstance(key, dict):
            raise WrongFile(f"key {number} is not a mapping")
        _check_key(number, key)
        if key.get("kid") is not None and key["kid"] in seen:
            raise WrongFile(f"two keys have the kid of key {number}")
        seen.add(key.get("kid"))
    return keys


def _check_key(number: int, key: dict[str, Any]) -> None:
    kind = key.get("kty")
    if "kid" in key and not isinstance(key["kid"], str):
        raise WrongFile(f"key {number}: kid is a text")
    if kind == "oct" or any(member in key for member in _PRIVATE):
        hint = "publish the public half; take this key out of use, it is in the history of the repository"
        raise WrongFile(f"key {number} is a private or shared key, a key set holds public keys", hint)
    if not isinstance(kind, str) or kind not in _MEMBERS:
        raise WrongFile(f"key {number}: kty must be RSA, EC or OKP")
    for member in _MEMBERS[kind]:
        text = key.get(member)
        if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
            raise WrongFile(f"key {number} ({kind}): the member {member} is missing or is not base64url")
    if kind in _CURVES and key["crv"] not in _CURVES[kind]:
        raise WrongFile(f"key {number} ({kind}): crv must be one of {', '.join(_CURVES[kind])}")
