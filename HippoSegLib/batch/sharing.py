"""How the work on many scans is shared out: between calls (shards), processes (workers) and threads."""

from __future__ import annotations

import hashlib
import posixpath
import random
from collections import deque
from pathlib import Path
from typing import Any

from ..models.devices import usable_cpus
from .source import Source

#: Memory that a worker takes with an ordinary head, bytes.
_WORKER_MEMORY = 1 << 30
#: A worker process has to load its libraries, which takes as long as this many scans.
_SCANS_PER_WORKER = 2
#: More threads than this do not make one scan faster.
_MOST_THREADS = 8


def in_shard(source: Source, part: int, parts: int) -> bool:
    """Whether a scan belongs to the `part`-th (from 1) of `parts` parts.

    It depends on the scan's path as it was given and its series alone: calls that know nothing of each other
    share out the same list without gap or overlap, whatever else is in it and whatever is done already.
    """
    key = f"{posixpath.normpath(source.given)}\0{source.series or ''}"
    number = int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()[:8], "big")
    return number % parts == part - 1


def apart_from_others(waiting: deque[Any]) -> None:
    """Put what is left into another order: somebody else is at work on the same scans.

    To be called where a scan turns out to have been done meanwhile. Two calls on one folder that go through
    the same list in the same order would otherwise do each scan twice.
    """
    random.SystemRandom().shuffle(waiting)  # a forked process has the same other generator


def worker_count(scans: int, on_cpu: bool = True) -> int:
    """As many workers as this machine can take: one per CPU, as far as memory goes; one for a GPU."""
    if not on_cpu:
        return 1
    by_memory = _free_memory() // _WORKER_MEMORY
    return max(1, min(usable_cpus(), by_memory, scans // _SCANS_PER_WORKER))


def threads_per_worker(workers: int, asked: int | None) -> int:
    """The CPUs, shared out between workers; or what was asked for."""
    return asked or max(1, min(usable_cpus() // workers, _MOST_THREADS))


def _free_memory() -> int:
    """Memory that can be had without swapping, bytes; plenty where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return min(int(line.split()[1]) << 10, _limit())
    except (OSError, ValueError, IndexError):
        pass
    return 1 << 60


def _limit() -> int:
    """What a container may take, bytes."""
    try:
        folder = Path("/sys/fs/cgroup")
        limit, used = (int((folder / name).read_text("ascii")) for name in ("memory.max", "memory.current"))
        return max(0, limit - used)
    except (OSError, ValueError):
        return 1 << 60
