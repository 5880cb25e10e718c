"""From a Workers project to one module and a configuration, when its version is made: npm, then esbuild."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from lastgood.effects.functions.worker_entry import entry
from lastgood.effects.functions.worker_runtime import BUILT, CONFIG, CRONS, find_esbuild
from lastgood.effects.functions.wrangler import FILES, Project, config_text, read_project
from lastgood.errors import Refused

_ENTRY = "entry.js"
_NODE = (
    *("assert", "assert/strict", "async_hooks", "buffer", "child_process", "cluster", "console", "constants", "crypto"),
    *("dgram", "diagnostics_channel", "dns", "dns/promises", "domain", "events", "fs", "fs/promises", "http", "http2"),
    *("https", "inspector", "module", "net", "os", "path", "path/posix", "path/win32", "perf_hooks", "process"),
    *("punycode", "querystring", "readline", "repl", "stream", "stream/consumers", "stream/promises", "stream/web"),
    *("string_decoder", "sys", "timers", "timers/promises", "tls", "tty", "url", "util", "util/types", "v8", "vm"),
    *("wasi", "worker_threads", "zlib"),
)


def build_worker(folder: Path, environment: tuple[str, ...] = (), *, limited: bool = False) -> None:
    """Make ``.worker/`` in the folder of a project, with the gate if ``limited``.

    Raises ``Refused`` and ``Unavailable``; tells the rest.
    """
    file = next((name for name in FILES if (folder / name).is_file()), None)
    if file is None:
        raise Refused(f"there is none of {', '.join(FILES)}", where=str(folder.name), next="is it a Workers project?")
    project = read_project(file, (folder / file).read_text())
    for warning in project.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if not (folder / project.main).is_file():
        raise Refused(f"there is no file {project.main}", where=f"{file} main", next="name the entry of the Worker")
    fetched = _fetch_packages(folder)
    built = folder / BUILT
    built.mkdir()
    if project.crons:
        (built / CRONS).write_text(json.dumps(dict(project.crons)))
    if project.crons or limited:
        (built / _ENTRY).write_text(entry(f"../{project.main}", limited=limited))
    _bundle(folder, project, f"{BUILT}/{_ENTRY}" if project.crons or limited else project.main)
    (built / CONFIG).write_text(config_text(project, environment, "index.js", limited=limited))
    if fetched:
        shutil.rmtree(folder / "node_modules")


def _fetch_packages(folder: Path) -> bool:
    """Whether npm brought what ``package.json`` names; scripts of packages are not run."""
    package = folder / "package.json"
    if (folder / "node_modules").is_dir() or not package.is_file():
        return False
    try:
        named = json.loads(package.read_text()).get("dependencies")
    except (ValueError, AttributeError):
        raise Refused("it cannot be read", where="package.json", next="mend it") from None
    if not named:
        return False
    verb = "ci" if (folder / "package-lock.json").is_file() else "install"
    npm = shutil.which("npm")
    if npm is None:
        raise Refused("package.json names packages, and npm is not installed", next="install Node.js with npm")
    code = subprocess.run([npm, verb, "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)
    if code.returncode != 0:
        raise Refused(f"npm {verb} failed", where="package.json", next="read the lines above")
    return True


def _bundle(folder: Path, project: Project, entry: str) -> None:
    command = [
        find_esbuild(),
        entry,
        "--bundle",
        "--format=esm",
        "--target=es2022",
        "--platform=neutral",
        "--main-fields=workerd,worker,browser,module,main",
        "--conditions=workerd,worker,browser",
        "--external:cloudflare:*",
        "--external:node:*",
        *(f"--alias:{name}=node:{name}" for name in _NODE if "nodejs_compat" in project.flags),
        "--loader:.txt=text",
        "--loader:.html=text",
        "--loader:.sql=text",
        "--log-level=warning",
        f"--outfile={BUILT}/index.js",
        *(["--minify"] if project.minify else []),
        *(f"--define:{name}={value}" for name, value in sorted(project.define.items())),
    ]
    if subprocess.run(command, cwd=folder).returncode != 0:
        raise Refused("the Worker cannot be bundled", where=project.main, next="read the lines above")
