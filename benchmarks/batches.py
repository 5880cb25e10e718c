"""Many runs of one simulation over every core: the seeds are shared out, so the sum does not depend on how."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor

BATCH = 250


def added_up(work: Callable[[int, int], int], of: int) -> int:
    """The sum of ``work(first, how many)`` over the runs 0 to ``of`` - 1; ``work`` must be picklable.

    As many processes as this one may use cores: ``taskset -c 0`` leaves the others alone.
    """
    cores = len(os.sched_getaffinity(0))
    if cores == 1 or of <= BATCH:
        return sum(work(*part) for part in parts(of))
    with ProcessPoolExecutor(cores, multiprocessing.get_context("forkserver")) as pool:
        return sum(pool.map(work, *zip(*parts(of), strict=True)))


def parts(of: int) -> Iterator[tuple[int, int]]:
    """``(first, how many)``, until all are given out."""
    for first in range(0, of, BATCH):
        yield first, min(BATCH, of - first)
