"""What a function brings into a release beside its part: what a person should know before it is deployed."""

from __future__ import annotations

from lastgood.effects.functions.wrangler import remarks
from lastgood.operations.function_maker import FunctionMaker
from lastgood.testing.fake_artifacts import FakeArtifacts
from tests.operations.controller import controlled, text

FUNCTION = "functions:\n  hello: { source: hello, runtime: worker }\n"
WRANGLER = 'main = "a.js"\ncompatibility_date = "2026-07-01"\nworkers_dev = true\n[limits]\ncpu_ms = 50\n'


async def test_what_has_no_meaning_in_a_workers_project_is_told_before_it_is_deployed() -> None:
    async with controlled() as shop:
        assert shop.verbs.drafting is not None
        shop.verbs.drafting.makers = (FunctionMaker(FakeArtifacts(), lambda function: (), remarks=remarks),)
        files = {
            "lastgood.yaml": text() + FUNCTION.encode(),
            "hello/a.js": b"export default {}",
            "hello/wrangler.toml": WRANGLER.encode(),
        }
        shop.repository.commit(files, "A Worker")
        drafted = shop.verbs.drafting.draft("HEAD")
        told = [str(problem) for problem in drafted.warnings if "function hello" in problem.what]
        assert len(told) == 2
        assert "`workers_dev` has no meaning here: it is reached by the routes of lastgood.yaml" in told[0]
        assert "`limits` has no meaning here" in told[1]
        assert told[0].startswith("lastgood.yaml:")


def test_what_cannot_be_read_is_for_its_build_to_refuse() -> None:
    assert remarks({"wrangler.toml": lambda: b"\xff"}) == ()
    assert remarks({"main.js": lambda: b""}) == ()
