"""Keep a log within bounds while somebody else writes to it: copy its end to ``.1``, then truncate it.

What is written between copy and truncation is lost; a process that survives the supervisor cannot reopen its log.
Between two looks a log may outgrow its limit by what its process writes in that time.
"""

from __future__ import annotations

import os
import stat

LIMIT_BYTES = 10 * 1024 * 1024
OLD_LOGS = 2
_CHUNK_BYTES = 1024 * 1024


def rotate(path: str, limit_bytes: int = LIMIT_BYTES) -> bool:
    """Rotate when the log is over its limit; whether it was. ``.1`` and ``.2`` get at most the limit each.

    When the copy cannot be written (the disk may be full, perhaps of this very log), the log is truncated all the same.
    """
    try:
        log = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        seen = os.fstat(log)
        if not stat.S_ISREG(seen.st_mode) or seen.st_size <= limit_bytes:
            return False
        _keep_end(log, path, seen.st_size, limit_bytes)
        os.ftruncate(log, 0)
    except OSError:
        return False
    finally:
        os.close(log)
    return True


def _keep_end(log: int, path: str, size_bytes: int, limit_bytes: int) -> None:
    try:
        for number in range(OLD_LOGS, 1, -1):
            if os.path.exists(f"{path}.{number - 1}"):
                os.replace(f"{path}.{number - 1}", f"{path}.{number}")
        copy = os.open(f"{path}.1", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return
    try:
        _copy(log, copy, size_bytes - limit_bytes, size_bytes)
    except OSError:
        os.ftruncate(copy, 0)
    finally:
        os.close(copy)


def _copy(log: int, copy: int, start: int, end: int) -> None:
    while start < end:
        chunk = os.pread(log, min(_CHUNK_BYTES, end - start), start)
        if not chunk:
            return
        start += len(chunk)
        while chunk:
            chunk = chunk[os.write(copy, chunk) :]
