"""FastAPI and Flask projects with real requirements, installed once as a version's are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastgood.effects.functions.installing import install
from tests.functions.running import Running

PROJECTS = Path(__file__).parent / "projects"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def running(name: str, tmp_path: Path) -> Iterator[Running]:
    shutil.copytree(PROJECTS / name, tmp_path / "code")
    assert install(tmp_path / "code") == 0
    with Running({}, bundle=tmp_path / "code") as function:
        yield function


def test_fastapi(tmp_path: Path) -> None:
    for function in running("fastapi", tmp_path):
        body = json.dumps({"product": "tea", "count": 3}).encode()
        answer = function.request("/orders", body, {"content-type": "application/json"})
        assert answer.status == 201
        assert json.loads(answer.body) == {"product": "tea", "count": 3, "started": 1}
        assert any(name == "set-cookie" and value.startswith("last=tea") for name, value in answer.headers)
        assert function.request("/orders", b"{}", {"content-type": "application/json"}).status == 422
        assert function.request("/stream").body == b"part 0\npart 1\npart 2\n"
        assert set(function.burst(200, "/openapi.json")) == {200}
        assert function.ask()["starts"] == 1


def test_flask(tmp_path: Path) -> None:
    for function in running("flask", tmp_path):
        form = {"content-type": "application/x-www-form-urlencoded", "cookie": "who=me"}
        answer = function.request("/form", b"product=tea&count=2", form)
        assert (answer.status, answer.body) == (200, b"tea x 2 for me")
        assert any(name.lower() == "set-cookie" and value.startswith("last=tea") for name, value in answer.headers)
        large = bytes(range(256)) * 200_000
        assert function.request("/echo", large, method="PUT").body == large
        assert function.request("/stream").body == b"part 0\npart 1\npart 2\n"
        assert function.request("/gone").status == 410
