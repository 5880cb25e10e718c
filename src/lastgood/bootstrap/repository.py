"""What reads revisions, and what its references lead to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lastgood.bootstrap.places import why_private

if TYPE_CHECKING:
    from lastgood.effects.secrets import SecretStore
    from lastgood.operations.drafting import Drafting
    from lastgood.settings import Places


def make_drafting(places: Places) -> tuple[Drafting | None, str]:
    """What reads revisions, or why the repository cannot be opened."""
    from lastgood.bootstrap.databases import make_databases
    from lastgood.bootstrap.services import make_artifacts, make_versions
    from lastgood.effects.functions.installing import build_argv
    from lastgood.effects.functions.wrangler import remarks
    from lastgood.effects.git.opening import discover
    from lastgood.effects.git.repository import GitRepository
    from lastgood.effects.secrets import SecretStore
    from lastgood.errors import LastgoodError
    from lastgood.operations.database_maker import DatabaseMaker
    from lastgood.operations.drafting import Drafting
    from lastgood.operations.function_maker import FunctionMaker
    from lastgood.operations.service_maker import ServiceMaker

    try:
        repository = GitRepository(discover(places.root))
    except LastgoodError as error:
        return None, error.what
    store = SecretStore(places.secrets)

    def resolves(reference: str) -> bool:
        try:
            store.resolve(reference)
        except LastgoodError:
            return False
        return True

    databases = DatabaseMaker(make_databases(places, store))
    artifacts = make_artifacts(places, store.redactor.redact)
    functions = FunctionMaker(artifacts, build_argv, make_versions(places).keep, remarks)
    makers = (ServiceMaker(artifacts), functions, databases)
    return Drafting(repository, resolves, makers, why_private=lambda path: why_private(places, path)), ""


def why_unusable(store: SecretStore) -> Callable[[str], str | None]:
    """Why a reference to a secret leads to no value, None where it does."""
    from lastgood.errors import LastgoodError

    def why(reference: str) -> str | None:
        try:
            store.resolve(reference)
        except LastgoodError as error:
            return f"cannot be used ({error.what})"
        return None

    return why
