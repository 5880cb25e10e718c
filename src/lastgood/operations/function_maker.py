"""What functions bring into a release: a part for each, made of its code and of its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lastgood.config.configuration import Configuration, canonical, digest_of
from lastgood.config.functions import ORIGIN_OF_FUNCTION
from lastgood.config.model import Function
from lastgood.config.strategies import HOW_IT_MOVES
from lastgood.errors import ConfigError, LastgoodError, Problem
from lastgood.operations.code_changes import code_of
from lastgood.operations.makers import Made, Preparation
from lastgood.operations.service_maker import bundle_files
from lastgood.ports import ARTIFACT, Artifacts, MadeOf, Recipe, Repository, Revision


def version_of_function(function: Function, artifact: str) -> str:
    """The digest that names a version: code, settings, references to secrets. How it moves is no part of it."""
    settings = function.model_dump(mode="json", exclude=set(HOW_IT_MOVES | ORIGIN_OF_FUNCTION))
    return digest_of(canonical({"artifact": artifact, "function": settings}))


def settings_of(function: Function) -> dict[str, Any]:
    """The settings as JSON values, as they are written in a configuration."""
    return function.model_dump(mode="json", by_alias=True, exclude_unset=True)


Keep = Callable[[str, str, Mapping[str, object], MadeOf, int], object]
"""``(name, digest, settings, made of, bytes)``: remember a version, to be asked for by itself."""


@dataclass
class FunctionMaker:
    """Makes ``function:NAME`` parts. ``build_argv`` is what installs or bundles, once for each version of the code;
    ``remarks`` are what a person should know of a Workers project."""

    artifacts: Artifacts
    build_argv: Callable[[Function], tuple[str, ...]]
    keep: Keep = lambda name, digest, settings, made_of, size_bytes: None
    remarks: Callable[[Mapping[str, Callable[[], bytes]]], Sequence[str]] = lambda files: ()
    kind: str = "function"

    def make(self, configuration: Configuration, revision: Revision, repository: Repository) -> Made:
        """See ``Maker``. Nothing is installed or bundled: that is its preparation, for a deployment."""
        parts: dict[str, str] = {}
        attachments: dict[str, bytes] = {}
        preparations: list[Preparation] = []
        problems: list[Problem] = []
        warnings: list[Problem] = []
        for name, function in configuration.functions.items():
            entry = configuration.entries[f"function:{name}"]
            try:
                folder = function.source.removeprefix("./").rstrip("/")
                files = tuple(bundle_files(repository.files(revision.oid, folder), folder))
            except LastgoodError as error:
                what = f"function {name}: {error.where or function.source}: {error.what}"
                problems.append(Problem(entry.file, entry.line, what, error.next))
                continue
            if not files:
                what = f"function {name}: {function.source} is no folder of this revision"
                problems.append(Problem(entry.file, entry.line, what, "name a folder that is committed"))
                continue
            if function.runtime == "worker":
                told = self.remarks({file.path: file.read for file in files})
                warnings += [
                    Problem(entry.file, entry.line, f"function {name}: {one}", None, "warning") for one in told
                ]
            recipe = Recipe(name, files, None, self.build_argv(function), function.build_timeout_s)
            parts[entry.key] = digest = version_of_function(function, recipe.digest)
            preparations.append(partial(self._prepare, recipe, function, digest))
            attachments |= code_of(recipe)
        if problems:
            raise ConfigError(tuple(problems))
        return Made(
            parts,
            attachments,
            instances=dict.fromkeys(configuration.functions, 1),
            keep_old_s={
                name: function.strategy.keep_old_s(configuration.bake.for_s)
                for name, function in configuration.functions.items()
            },
            preparations=tuple(preparations),
            warnings=tuple(warnings),
        )

    def _prepare(self, recipe: Recipe, function: Function, digest: str) -> Mapping[str, bytes]:
        bundle = self.artifacts.make(recipe)
        made_of = MadeOf(bundle.digest, bundle.seal)
        self.keep(recipe.name, digest, settings_of(function), made_of, bundle.size_bytes)
        return {f"{ARTIFACT}:{recipe.name}": made_of.to_json()}
