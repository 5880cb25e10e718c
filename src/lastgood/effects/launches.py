"""How the versions of services are launched: from what the journal keeps of a release, and nothing else.

Neither Git nor the network is asked, so that a version that ran once can always be started again. Values of secrets are
looked up when an instance starts; one that was revoked meanwhile keeps the version from starting.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lastgood.config.configuration import Configuration
from lastgood.config.model import Function, Health, Service
from lastgood.effects.functions.launching import Activated, launch_function
from lastgood.effects.instances.launch import Launch
from lastgood.errors import Damaged, LastgoodError, Unavailable
from lastgood.ports import ARTIFACT, Artifacts, Bundle, MadeOf

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
"""Of our own variables these and no others reach an instance."""
OUR_DEFAULTS: Mapping[str, str] = {
    "PYTHONUNBUFFERED": "1",  # its log is a file: what it prints before it dies would be lost
    "PYTHONDONTWRITEBYTECODE": "1",  # its folder is sealed
}
SECRET = "secret:"  # noqa: S105 a form, not a secret


@dataclass(frozen=True)
class Launches:
    """``release_with(name, digest)`` is the newest release that has a version; ``attached`` what a release keeps."""

    configuration_of: Callable[[int], Configuration]
    attached: Callable[[int, str], Mapping[str, bytes]]
    release_with: Callable[[str, str], int | None]
    artifacts: Artifacts
    resolve: Callable[[str], str]
    logs: Path
    functions: Path

    def launch(self, name: str, digest: str, release: int | None) -> Launch:
        """How to start it; its bundle is checked against its seal. Blocks.

        Raises ``Unavailable`` for a bundle that is gone or a secret without a value, ``Damaged`` for a changed bundle.
        """
        number = release if release is not None else self._release_with(name, digest)
        service = self._service(name, number)
        bundle = self._bundle(name, number)
        env, secret_env = environment_of(name, service, self.resolve)
        if isinstance(service, Function):
            version, folder = (name, digest or bundle.digest), bundle.folder
            return launch_function(version, service, folder, self.functions, self.logs, env, secret_env)
        return Launch(
            service.command,
            bundle.folder,
            self.logs / "services",
            service.health,
            env,
            secret_env,
            service.drain_s,
            service.smoke,
        )

    def beside(self, name: str, release: int) -> Launch:
        """The folder and environment of a release's version, for a command of its own. Blocks; raises as ``launch``."""
        service, bundle = self._service(name, release), self._bundle(name, release)
        env, secret_env = environment_of(name, service, self.resolve)
        return Launch((), bundle.folder, self.logs / "services", env=env, secret_env=secret_env)

    def why_not(self, name: str, release: int) -> str | None:
        """Why no instance of a release's version could be started now; None where one could. Blocks."""
        try:
            self.launch(name, "", release)
        except LastgoodError as error:
            return error.what
        return None

    def health(self, name: str, digest: str) -> Health:
        """How instances of a version are asked; the defaults where no release has it (any more)."""
        try:
            number = self.release_with(name, digest)
            found = self._service(name, number) if number is not None else None
            if isinstance(found, Function):
                return Activated()
            return found.health if found is not None else Health()
        except LastgoodError:
            return Health()

    def _release_with(self, name: str, digest: str) -> int:
        number = self.release_with(name, digest)
        if number is None:
            raise Unavailable(f"no release has the version {digest[:12]} of {name}", next="lastgood history")
        return number

    def _bundle(self, name: str, number: int) -> Bundle:
        made = self.attached(number, ARTIFACT).get(f"{ARTIFACT}:{name}")
        if made is None:
            raise Damaged(f"r{number} does not say what {name} runs from", next="lastgood doctor")
        made_of = MadeOf.from_json(made)
        return self.artifacts.find(made_of.digest, made_of.seal)

    def _service(self, name: str, number: int) -> Service | Function:
        configuration = self.configuration_of(number)
        service = configuration.services.get(name) or configuration.functions.get(name)
        if service is None:
            raise Damaged(f"r{number} has no service or function {name}", next="lastgood doctor")
        return service


def environment_of(
    name: str, service: Service | Function, resolve: Callable[[str], str]
) -> tuple[dict[str, str], dict[str, str]]:
    """``(plain, secret)`` of what its process gets to see. Raises ``Unavailable`` for a secret without a value."""
    ours = {variable: os.environ[variable] for variable in PASSED_ON if variable in os.environ}
    plain = {key: text for key, text in service.environment.items() if not text.startswith(SECRET)}
    secret = {}
    for key, text in service.environment.items():
        if text.startswith(SECRET):
            try:
                secret[key] = resolve(text)
            except LastgoodError as error:
                kind = "function" if isinstance(service, Function) else "service"
                where = f"{kind}:{name} environment.{key}"
                raise Unavailable(f"{text} {error.what}", where=where, next=error.next) from None
    return {"PATH": os.defpath, **ours, **OUR_DEFAULTS, **plain}, secret
