"""Workers projects as people write them, on the real workerd; what we do not provide is refused by name."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lastgood.effects.functions.worker_build import build_worker
from lastgood.effects.functions.wrangler import config_text, read_project
from lastgood.errors import Refused
from tests.functions.running import Running, worker

PROJECT = Path(__file__).parent / "projects/worker"
HEAD = 'main = "a.js"\ncompatibility_date = "2026-07-01"\n'


pytestmark = pytest.mark.usefixtures("worker_runtime")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(PROJECT, tmp_path / "worker")
    return tmp_path / "worker"


def test_a_project_runs_unchanged(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """TypeScript, a router over two files, URLPattern, vars, crypto.subtle, node:crypto, streaming, waitUntil."""
    with worker(project) as function:
        price = function.request("/price/5")
        assert price.body == b'{"id":"5","greeting":"hi \\"there\\"","a":[1,2]}'
        digest = function.request("/digest").body
        assert len(digest) == 128
        assert digest[:64] == digest[64:]
        assert function.request("/stream").body == b"part 0\npart 1\npart 2\n"
        assert function.until(lambda: function.request("/waited").body == b"1")
        assert function.request("/raise").status == 500
        assert "no such price" in function.said()
        assert function.request("/none").status == 404


def test_a_burst_on_a_cold_worker_starts_it_once(project: Path) -> None:
    with worker(project) as function:
        assert set(function.burst(500, "/price/5")) == {200}
        assert function.ask()["starts"] == 1


def test_it_sleeps_and_wakes_without_losing_a_request(project: Path) -> None:
    with worker(project, idle_s=0.3) as function:
        for _ in range(4):
            assert function.request("/price/5").status == 200
            function.until(lambda: function.ask()["state"] == "cold")
        assert function.ask()["starts"] == 4


def test_a_worker_that_never_returns_is_replaced_and_who_waits_is_answered(project: Path) -> None:
    (project / "src/index.ts").write_text(
        "export default { fetch(r) { if (r.url.endsWith('/hang')) while (true); return new Response('ok'); } };"
    )
    with worker(project, stuck_s=0.5) as function:
        assert function.request("/").body == b"ok"
        with socket.create_connection(("127.0.0.1", function.port)) as hanging:
            hanging.sendall(b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n")
            time.sleep(0.3)
            assert function.request("/").body == b"ok"
        assert "has accepted nothing for 0.5 s" in function.said()
        assert function.ask()["starts"] == 2


def test_one_that_takes_too_much_memory_is_ended_and_the_next_request_starts_it(project: Path) -> None:
    grow = "kept.push(new Uint8Array(20_000_000).fill(1))"
    code = f"const kept = []; export default {{ fetch() {{ {grow}; return new Response(`${{kept.length}}`); }} }};"
    (project / "src/index.ts").write_text(code)
    with worker(project, memory_mb=200) as function:
        assert function.request("/").body == b"1"
        first = function.worker()
        for _ in range(12):
            function.request("/")
        Running.until(lambda: function.worker() != first)
        assert function.request("/").body == b"1"
        assert "it takes more than 200 MB and is ended" in function.said()


def test_what_goes_on_behind_an_answer_is_finished_before_it_leaves(project: Path) -> None:
    code = """export default { fetch(request, env, ctx) {
      const later = new Promise((resolve) => setTimeout(resolve, 1000)).then(() => console.log("it was written"));
      ctx.waitUntil(later);
      return new Response("ok");
    } };"""
    (project / "src/index.ts").write_text(code)
    with worker(project, linger_s=4.0) as function:
        assert function.request("/").body == b"ok"
        function.process.terminate()
        function.process.wait(15)
        assert "it was written" in function.said()


@pytest.mark.parametrize("module", ["fs", "fs/promises", "perf_hooks", "util/types", "worker_threads"])
def test_modules_of_node_are_found_by_their_bare_names(project: Path, module: str) -> None:
    (project / "wrangler.json").write_text(
        '{"main": "a.js", "compatibility_date": "2026-06-01", "compatibility_flags": ["nodejs_compat"]}'
    )
    (project / "wrangler.jsonc").unlink()
    (project / "a.js").write_text(
        f"import * as it from '{module}';\nexport default {{ fetch() {{ return new Response(typeof it); }} }};"
    )
    with worker(project) as function:
        assert function.request("/").body == b"object"


def test_npm_packages_are_bundled(project: Path) -> None:
    package = project / "node_modules/tiny"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "tiny", "main": "index.js"}')
    (package / "index.js").write_text("module.exports = () => 'from a package';")
    (project / "src/index.ts").write_text(
        "import tiny from 'tiny';\nexport default { fetch() { return new Response(tiny()); } };"
    )
    with worker(project) as function:
        assert function.request("/").body == b"from a package"


@pytest.mark.parametrize(
    ("source", "why"),
    [("export default { fetch( }", "cannot be bundled"), ("import 'absent-package';", "cannot be bundled")],
)
def test_what_cannot_be_bundled_is_refused_with_its_place(
    project: Path, source: str, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "src/index.ts").write_text(source)
    with pytest.raises(Refused, match=why):
        build_worker(project)
    assert "index.ts:1" in capfd.readouterr().err


def test_a_module_that_throws_when_it_is_loaded_does_not_start(project: Path) -> None:
    (project / "src/index.ts").write_text("throw new Error('no such table'); export default { fetch() {} };")
    with worker(project) as function:
        assert function.request("/").status == 503
        assert "no such table" in function.said()


@pytest.mark.parametrize(
    "key", ["kv_namespaces", "r2_buckets", "durable_objects", "queues", "ai", "d1_databases", "env"]
)
def test_what_is_not_provided_is_refused_by_name(key: str) -> None:
    with pytest.raises(Refused, match=f"`{key}` is not provided here"):
        read_project("wrangler.toml", HEAD + f'[{key}]\nbinding = "X"\n')


def test_what_has_no_meaning_here_is_warned_of() -> None:
    made = read_project("wrangler.toml", HEAD + "workers_dev = true\n[observability]\nenabled = true\n")
    assert len(made.warnings) == 2
    assert "`workers_dev` has no meaning here" in made.warnings[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("main = ", "cannot be read"),
        ('compatibility_date = "2026-07-01"', "`main`"),
        ('main = "../a.js"\ncompatibility_date = "2026-07-01"', "`main`"),
        ('main = "a.js"', "`compatibility_date`"),
        (HEAD + "vars = 3", "`vars`"),
        (HEAD + "[vars]\nD = 2025-01-01", "`vars` have to be texts"),
        (HEAD + "[vars]\nF = nan", "`vars` have to be texts"),
        (HEAD + "[define]\nX = true", "`define`"),
        (HEAD + 'minify = "false"', "`minify`"),
    ],
)
def test_what_is_written_wrongly_is_said(text: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        read_project("wrangler.toml", text)


def test_jsonc_is_json_with_comments_and_commas() -> None:
    text = '/* a */ {"main": "a//b.js", // c\n "compatibility_date": "2026-07-01", "vars": {"A": "x, }", },}'
    made = read_project("wrangler.jsonc", text)
    assert (made.main, made.variables) == ("a//b.js", {"A": "x, }"})


def test_texts_of_variables_cannot_leave_their_place() -> None:
    made = read_project("wrangler.toml", HEAD + 'vars = { A = \'"), (name = "B\\\', C = "\\n\\u0001" }')
    text = config_text(made, ("TOKEN",), "index.js")
    assert '(name = "A", text = "\\"), (name = \\"B\\\\")' in text
    assert '(name = "C", text = "\\x0a\\x01")' in text
    assert '(name = "TOKEN", fromEnvironment = "TOKEN")' in text


def test_a_missing_runtime_says_how_to_get_it(tmp_path: Path) -> None:
    code = "from lastgood.effects.functions.worker_runtime import find_workerd; find_workerd()"
    env = {"HOME": str(tmp_path), "PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert "npm install --prefix ~/.cache/lastgood/npm workerd esbuild" in done.stderr
