"""Files and folders of the repository that entries name: there, inside, readable, and key sets sound."""

from __future__ import annotations

from collections.abc import Iterable

from lastgood.config.configuration import Entry, make_entry
from lastgood.config.model import Database, Policy, Service
from lastgood.config.parse import Fragment
from lastgood.config.repository_files import ReadFile, WrongFile, check_keys, find_folder, inside, parse_keys, read_text
from lastgood.errors import Problem


def check_files(fragments: Iterable[Fragment], read_file: ReadFile) -> tuple[dict[str, Entry], list[Problem]]:
    """The ``file:PATH`` entries that policies name with ``repo:PATH``, and what is wrong with files and folders."""
    texts: dict[str, Entry] = {}
    problems: list[Problem] = []
    for fragment in fragments:
        for entry in fragment.shared:
            path: tuple[str, ...] = ()
            try:
                if isinstance(entry.value, Service) and entry.value.source is not None:
                    path = ("source",)
                    find_folder(entry.value.source, read_file)
                elif isinstance(entry.value, Database):
                    path = ("migrations",)
                    find_folder(entry.value.migrations, read_file)
                elif isinstance(entry.value, Policy) and entry.value.jwt is not None:
                    path = ("jwt", "jwks")
                    problems += _key_set(entry.value.jwt.jwks, read_file, texts)
            except WrongFile as wrong:
                what = f"{entry.kind} {entry.name}: {wrong.what}"
                problems.append(Problem(fragment.file, fragment.line(entry.key, *path), what, wrong.hint))
    return texts, problems


def _key_set(jwks: object, read_file: ReadFile, texts: dict[str, Entry]) -> list[Problem]:
    if not isinstance(jwks, str):
        check_keys(jwks)
        return []
    if not jwks.startswith("repo:"):
        raise WrongFile(
            "jwks is a key set inline ({keys: [...]}) or a file of the repository, such as repo:keys/jwks.json"
        )
    path = inside(jwks.removeprefix("repo:"))
    key = f"file:{path}"
    if key in texts:
        return []
    text = read_text(path, read_file)
    texts[key] = make_entry(key, text, file=path)
    try:
        parse_keys(text)
    except WrongFile as wrong:
        return [Problem(path, wrong.line, wrong.what, wrong.hint)]
    return []
