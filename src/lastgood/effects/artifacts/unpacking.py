"""Prepared archives: fetched, checked against their digest, unpacked without leaving the folder."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import stat
import tarfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from lastgood.errors import Refused, Unavailable
from lastgood.ports import ArchiveSource

LARGEST_BYTES = 1024 * 1024 * 1024
FETCH_S = 60.0
"""Seconds without a byte."""
_CHUNK_BYTES = 1024 * 1024


def fetch(source: ArchiveSource, into: Path) -> None:
    """Copy an archive to a file. Raises ``Unavailable``; ``Refused`` when its bytes are not those that were named."""
    digest, total = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(source.url, timeout=FETCH_S) as reader, into.open("wb") as writer:  # noqa: S310 the configuration admits file: and http(s): only
            while chunk := reader.read(_CHUNK_BYTES):
                total += len(chunk)
                if total > LARGEST_BYTES:
                    raise Refused(f"the archive is larger than {LARGEST_BYTES:,} bytes", where=source.url)
                digest.update(chunk)
                writer.write(chunk)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        what = f"the archive cannot be fetched: {getattr(error, 'reason', error)}"
        raise Unavailable(what, where=source.url, next="see whether the URL is right") from None
    if digest.hexdigest() != source.sha256:
        raise Refused(
            f"the archive's SHA-256 is {digest.hexdigest()}, not {source.sha256}",
            where=source.url,
            next="see who changed it; then name the digest that you mean",
        )


def unpack(archive: Path, url: str, into: Path) -> None:
    """Unpack by what the URL ends with. Raises ``Refused`` for what is damaged or would leave the folder."""
    try:
        if url.endswith((".zip", ".whl")):
            _unzip(archive, into)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(into, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise Refused(f"the archive cannot be unpacked: {error}", where=url, next="make it anew") from None


def _unzip(archive: Path, into: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        for item in opened.infolist():
            parts = item.filename.rstrip("/").split("/")
            if item.filename.startswith("/") or "\\" in item.filename or any(part in ("", ".", "..") for part in parts):
                raise ValueError(f"{item.filename!r} does not stay inside of it")
            if stat.S_ISLNK(item.external_attr >> 16):
                raise ValueError(f"{item.filename!r} is a link")
            target = into.joinpath(*parts)
            if item.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(item) as reader, target.open("wb") as writer:
                shutil.copyfileobj(reader, writer)
            target.chmod(0o755 if (item.external_attr >> 16) & 0o100 else 0o644)
