"""This machine and the fake keep the same promises."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lastgood.bootstrap.services import make_functions
from lastgood.effects.artifacts.store import ArtifactStore
from lastgood.effects.functions.installing import build_argv
from lastgood.effects.functions.launching import Launched
from lastgood.effects.functions.local import LocalFunctions
from lastgood.effects.functions.versions import VersionStore
from lastgood.effects.launches import environment_of
from lastgood.effects.processes.client import ensure_supervisor
from lastgood.operations.function_maker import version_of_function
from lastgood.testing.contracts.functions import CLAUSES, FunctionWorld
from lastgood.testing.fake_functions import FakeFunctions

CODE = """
WORD = {word!r}
def app(event, context):
    path = event["rawPath"] + ("?" + event["rawQueryString"] if event["rawQueryString"] else "")
    return {{"statusCode": 200, "body": path}}
"""


@pytest.fixture
def root() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="lg-", dir="/tmp"))
    yield made
    if (made / "run").exists():
        asyncio.run(_stop(made))
    for path in made.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(made, ignore_errors=True)


async def _stop(root: Path) -> None:
    await (await ensure_supervisor(str(root / "run"))).shutdown(keep=False)


def local(root: Path) -> LocalFunctions:
    def resolve(reference: str) -> str:
        return "hunter2"

    return LocalFunctions(
        ArtifactStore(root / "artifacts", root / "logs/builds"),
        VersionStore(root / "versions", kept=3),
        lambda: ensure_supervisor(str(root / "run")),
        Launched(root / "functions", root / "logs", lambda name, one: environment_of(name, one, resolve)),
        build_argv=build_argv,
        digest_of=version_of_function,
    )


@pytest.mark.parametrize("kind", ["fake", "local"])
@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_contract(clause: Callable[[FunctionWorld], None], kind: str, root: Path) -> None:
    folder = root / "code"
    folder.mkdir()
    functions = FakeFunctions(kept=3) if kind == "fake" else local(root)
    settings: dict[str, object] = {"source": "functions/price"}
    broken = "raise RuntimeError('it cannot start')\n"
    clause(FunctionWorld(functions, folder, settings, lambda word: CODE.format(word=word), broken))


def test_the_product_is_put_together_so(root: Path) -> None:
    from lastgood.effects.secrets import SecretStore
    from lastgood.settings import Places

    places = Places(root, root / "state")
    (root / "state").mkdir()
    assert make_functions(places, SecretStore(places.secrets)).versions() == ()
