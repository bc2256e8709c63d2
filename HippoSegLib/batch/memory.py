"""How freed memory is kept, in a process of ours that segments and does nothing else."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

#: Parameters of `mallopt` of the GNU C library: from which size on memory is the system's own mapping, and
#: how much that is free at the end goes back to it.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Use freed memory again instead of giving it back to the system, where the C library can be told so.

    Images of tens of MB are made and freed for each scan; getting their memory anew, page by page, takes a
    twelfth of the time. For a process of a command alone: it concerns all that runs in it.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):  # another C library has no such function
        set_option = ctypes.CDLL(None).mallopt
        for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
            set_option(option, _BYTES)
