"""Bundles on a real disk: what a build sees, what is left of one that fails, hangs or is killed, and damage."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from lastgood.effects.artifacts.store import ArtifactStore
from lastgood.errors import Damaged, Refused, Unavailable
from lastgood.ports import ArchiveSource, BundleFile, Recipe
from lastgood.testing.contracts.artifacts import bundle_file, recipe

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts", tmp_path / "logs", lambda text: text.replace("hunter2", "[redacted]"))


def sh(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def left(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "artifacts").iterdir() if not path.name.startswith(".lock")]


def test_a_build_sees_the_source_and_nothing_else(store: ArtifactStore) -> None:
    files = (bundle_file("main.py", b"1"), bundle_file("deep/er/data.txt", b"2"))
    made = store.make(
        Recipe(
            "catalog", files, build=sh('seen="$(find . -type f | sort)"; echo "$seen" > listing; ln -s main.py link')
        )
    )
    assert (made.folder / "listing").read_text().split() == ["./deep/er/data.txt", "./main.py"]
    assert (made.folder / "link").read_text() == "1"
    assert store.find(made.digest, made.seal) == made
    modes = {path.name: path.lstat().st_mode & 0o777 for path in (made.folder, made.folder / "main.py")}
    assert modes == {"bundle": 0o555, "main.py": 0o444}


def test_a_build_gets_none_of_our_variables(store: ArtifactStore, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from lastgood.effects.artifacts.store import ArtifactStore;"
        "from lastgood.ports import Recipe; import sys; root = Path(sys.argv[1]);"
        "made = ArtifactStore(root / 'artifacts', root / 'logs').make(Recipe('x', build=('sh', '-c', 'env > seen')));"
        "print((made.folder / 'seen').read_text())"
    )
    environment = {**os.environ, "OUR_TOKEN": "hunter2"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=30
    )
    assert "PATH=" in done.stdout, done.stderr
    assert "hunter2" not in done.stdout


def test_a_failed_build_tells_the_end_of_its_log(store: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        store.make(recipe(build=sh("echo no module named flask; echo password hunter2; exit 3")))
    assert "catalog: the build failed with 3" in caught.value.what
    assert "no module named flask" in caught.value.what
    assert "hunter2" not in str(caught.value)
    assert "[redacted]" in caught.value.what
    assert caught.value.where is not None
    assert Path(caught.value.where).read_text().endswith("hunter2\n")
    assert left(tmp_path) == []


def test_a_build_that_hangs_is_ended_with_all_it_started(store: ArtifactStore, tmp_path: Path) -> None:
    started_s = time.monotonic()
    script = f"setsid sh -c 'sleep 1; echo late > {tmp_path}/late; sleep 100' & sleep 100"
    with pytest.raises(Refused, match=r"did not end within 0\.5 s"):
        store.make(recipe(build=sh(script), timeout_s=0.5))
    assert time.monotonic() - started_s < 20
    time.sleep(1.0)
    assert not (tmp_path / "late").exists()
    assert left(tmp_path) == []


def test_what_a_killed_controller_left_is_swept_and_made_again(store: ArtifactStore, tmp_path: Path) -> None:
    build = sh(f"touch {tmp_path}/began; sleep 2; touch {tmp_path}/late")
    code = (
        "from pathlib import Path; from lastgood.effects.artifacts.store import ArtifactStore;"
        "from lastgood.testing.contracts.artifacts import recipe; import sys; root = Path(sys.argv[1]);"
        f"ArtifactStore(root / 'artifacts', root / 'logs').make(recipe(build={build!r}))"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    deadline_s = time.monotonic() + 20
    while not (tmp_path / "began").exists() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    child.kill()
    child.wait()
    assert store.held() == ()
    assert store.sweep() == 1
    assert left(tmp_path) == []
    time.sleep(2.1)
    assert not (tmp_path / "late").exists(), "its build was ended too"
    assert store.sweep() == 0


def test_every_kind_of_damage_is_told(store: ArtifactStore) -> None:
    made = store.make(Recipe("catalog", (bundle_file("a.py", b"1"), bundle_file("b.py", b"2"))))
    a, b = made.folder / "a.py", made.folder / "b.py"
    a.chmod(0o600)
    a.write_bytes(b"9")
    with pytest.raises(Damaged, match=r"a\.py is not what it was"):
        store.find(made.digest, made.seal)
    a.write_bytes(b"1")
    made.folder.chmod(0o700)
    b.unlink()
    with pytest.raises(Damaged, match=r"b\.py is missing"):
        store.find(made.digest, made.seal)
    b.write_bytes(b"2")
    (made.folder / "cache.pyc").write_bytes(b"added by the program as root")
    assert store.find(made.digest, made.seal) == made


def test_what_a_program_added_can_be_removed_with_the_bundle(store: ArtifactStore, tmp_path: Path) -> None:
    made = store.make(recipe(build=sh("mkdir deep; echo 1 > deep/x")))
    store.remove(made.digest)
    assert left(tmp_path) == []


def archive_of(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            item = tarfile.TarInfo(name.replace("_", "."))
            item.size = len(content)
            tar.addfile(item, io.BytesIO(content))
    return packed.getvalue()


def test_a_prepared_archive_is_taken_by_its_digest(store: ArtifactStore, tmp_path: Path) -> None:
    path = tmp_path / "catalog.tar.gz"
    path.write_bytes(archive_of(main_py=b"print(1)"))
    source = ArchiveSource(path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest())
    made = store.make(Recipe("catalog", archive=source))
    assert (made.folder / "main.py").read_bytes() == b"print(1)"
    path.unlink()
    assert store.make(Recipe("catalog", archive=source)) == made, "what was fetched once is not fetched again"


def test_another_archive_than_was_named_is_refused(store: ArtifactStore, tmp_path: Path) -> None:
    path = tmp_path / "catalog.tar.gz"
    path.write_bytes(archive_of(main_py=b"print(1)"))
    with pytest.raises(Refused, match="the archive's SHA-256 is"):
        store.make(Recipe("catalog", archive=ArchiveSource(path.as_uri(), "0" * 64)))
    with pytest.raises(Unavailable, match="cannot be fetched"):
        store.make(Recipe("catalog", archive=ArchiveSource((tmp_path / "none.zip").as_uri(), "0" * 64)))
    assert left(tmp_path) == []


def test_a_wheel_is_unpacked_and_none_leaves_the_folder(store: ArtifactStore, tmp_path: Path) -> None:
    good, evil = tmp_path / "shop-1-py3-none-any.whl", tmp_path / "evil.zip"
    for path, name in ((good, "shop/__init__.py"), (evil, "../outside.py")):
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr(name, "1")
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (good, evil)}
    made = store.make(Recipe("shop", archive=ArchiveSource(good.as_uri(), digests[good])))
    assert (made.folder / "shop/__init__.py").read_text() == "1"
    with pytest.raises(Refused, match="does not stay inside"):
        store.make(Recipe("shop", archive=ArchiveSource(evil.as_uri(), digests[evil])))
    assert not list(tmp_path.rglob("outside.py"))


def test_a_full_disk_leaves_nothing_half_made(tmp_path: Path) -> None:
    def full() -> bytes:
        raise OSError(28, "No space left on device")

    store = ArtifactStore(tmp_path / "artifacts", tmp_path / "logs")
    files = (bundle_file("a.py", b"1"), BundleFile("b.py", False, "0" * 64, full))
    with pytest.raises(Unavailable, match="No space left on device") as caught:
        store.make(Recipe("catalog", files))
    assert caught.value.next == "make room on the disk"
    assert left(tmp_path) == []


def test_two_at_once_build_once(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from lastgood.effects.artifacts.store import ArtifactStore;"
        "from lastgood.testing.contracts.artifacts import recipe; import sys; root = Path(sys.argv[1]);"
        f"build = ('sh', '-c', 'echo x >> {tmp_path}/count; sleep 0.3');"
        "print(ArtifactStore(root / 'artifacts', root / 'logs').make(recipe(build=build)).seal)"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    seals = {child.communicate(timeout=30)[0] for child in both}
    assert len(seals) == 1
    assert (tmp_path / "count").read_text() == "x\n"
