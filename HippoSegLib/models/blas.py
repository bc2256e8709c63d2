"""How many threads numpy's matrix products use.

numpy has no call for it. The threads of its OpenBLAS wait by turning in place: on a machine that is busy
with other work, products that many were a hundred times slower than on one thread.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np

_lock = Lock()
_users = 0
_before = 1


@cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Functions that tell and set the threads of numpy's own OpenBLAS; None where it uses another BLAS."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs", package / ".libs"):
        for path in sorted(folder.glob("*openblas*")):
            try:
                library = ctypes.CDLL(str(path))  # the one that numpy has loaded
            except OSError:
                continue
            for prefix in ("scipy_openblas", "openblas"):
                for suffix in ("64_", ""):
                    try:
                        return (
                            library[f"{prefix}_get_num_threads{suffix}"],
                            library[f"{prefix}_set_num_threads{suffix}"],
                        )
                    except AttributeError:
                        continue
    return None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it, numpy's matrix products run on the calling thread alone; afterwards as before."""
    global _users, _before
    functions = _openblas()
    if functions is None:
        yield
        return
    tell, set_to = functions
    with _lock:
        if _users == 0:
            _before = tell()
            set_to(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                set_to(_before)
