"""Sockets that no upstream may be."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lastgood.bootstrap.places import run_root, socket_folder, why_private
from lastgood.settings import Places, find_places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "lastgood.yaml").write_text("project: shop\n")
    made = find_places(root, None, {})
    run_root(made).mkdir(parents=True, mode=0o700)
    return made


def test_our_own_by_every_name_and_those_of_another_project(places: Places, tmp_path: Path) -> None:
    own = socket_folder(places) / "proxy-1.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(own))
        hard, soft = tmp_path / "hard", tmp_path / "soft"
        os.link(own, hard)
        soft.symlink_to(own)
        for path in (own, hard, soft, Path("/srv/other/.lastgood/run/proxy-1.sock")):
            assert "is a socket of Lastgood's own" in str(why_private(places, str(path))), path


def test_others(places: Places, tmp_path: Path) -> None:
    assert why_private(places, str(tmp_path / "app.sock")) is None
    assert why_private(places, str(places.root / "app.sock")) == "lies inside of the repository"
