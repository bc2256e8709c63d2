"""Which process made something, and whether it still lives: host, process number and start time.

A process number alone is given anew after a while; with the start time it names one process. Only the
standard library is used, as Slicer has no psutil.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass

#: Windows: the right to ask for times and exit code, and the exit code of a process that has none yet.
_QUERY, _STILL_ACTIVE = 0x1000, 259

#: macOS: the question `PROC_PIDTBSDINFO` of `proc_pidinfo`, the size of its answer, and where in it the
#: start time stands (seconds and microseconds, 64 bits each).
_TBSD_INFO, _TBSD_SIZE, _TBSD_START = 3, 136, 120


@dataclass(frozen=True)
class Owner:
    """One process of one computer.

    Attributes:
        host: Name of the computer, on Linux with the namespace that the process number belongs to.
        pid: Process number.
        start: When it began, as the system counts it; "" where the system does not tell.
    """

    host: str
    pid: int
    start: str

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this computer, so that it can be seen whether it lives."""
        return self.host == this_host()

    @property
    def is_alive(self) -> bool:
        """Whether the process is there; in doubt it is. Only of use where `is_here`."""
        start = start_of(self.pid)
        if start is None:
            return False
        return not self.start or not start or start == self.start

    def to_dict(self) -> dict:
        """Plain values, for a marker file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> Owner | None:
        """The owner of a marker file; None where it names none."""
        if not isinstance(values, Mapping):
            return None
        host, pid, start = values.get("host"), values.get("pid"), values.get("start")
        if not (isinstance(host, str) and isinstance(pid, int) and isinstance(start, str) and pid > 0):
            return None
        return cls(host, pid, start)


def process(pid: int | None = None) -> Owner:
    """The process of this number on this computer; without a number, the one this runs in."""
    pid = os.getpid() if pid is None else pid
    return Owner(this_host(), pid, start_of(pid) or "")


def this_host() -> str:
    """The name under which owners of this computer are written."""
    name = platform.node()
    try:  # two containers may have one name, and count their processes each for itself
        return f"{name} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return name


def start_of(pid: int) -> str | None:
    """When a process of this computer began: None where there is none, "" where it is not known."""
    if os.name == "nt":
        return _windows(pid)
    start = _linux(pid) if sys.platform == "linux" else _macos(pid)
    if start != "":
        return start
    try:
        os.kill(pid, 0)  # only asks; on Windows it would end the process
    except ProcessLookupError:
        return None
    except (OSError, OverflowError):
        return ""  # it is another user's
    return ""


def _linux(pid: int) -> str | None:
    """Boot and clock ticks since then; None for a process that has ended and is not yet buried."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name, in brackets, may hold anything, brackets and spaces too.
            values = file.read().rpartition(b")")[2].split()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read(8)
        if values[0] in (b"Z", b"X"):
            return None
        return f"{boot}-{int(values[19])}"
    except (OSError, IndexError, ValueError):
        return ""


def _macos(pid: int) -> str:
    try:
        answer = ctypes.create_string_buffer(_TBSD_SIZE)
        library = ctypes.CDLL("/usr/lib/libproc.dylib")
        size = library.proc_pidinfo(pid, _TBSD_INFO, ctypes.c_uint64(0), answer, _TBSD_SIZE)
    except (OSError, AttributeError):
        return ""
    if size != _TBSD_SIZE:
        return ""
    seconds, microseconds = struct.unpack_from("=QQ", answer, _TBSD_START)
    return f"{seconds}.{microseconds:06d}"


def _windows(pid: int) -> str | None:
    try:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]
        kernel.OpenProcess.restype = ctypes.c_void_p
        handle = kernel.OpenProcess(_QUERY, False, pid)
        if not handle:
            # 87: there is no such process. Any other reason, as 5, access denied, says that there is.
            return None if ctypes.get_last_error() == 87 else ""  # type: ignore[attr-defined]
    except (OSError, AttributeError, ctypes.ArgumentError):
        return ""
    handle = ctypes.c_void_p(handle)
    try:
        code = ctypes.c_uint32()
        if kernel.GetExitCodeProcess(handle, ctypes.byref(code)) and code.value != _STILL_ACTIVE:
            return None
        times = [ctypes.c_uint64() for _ in range(4)]
        if not kernel.GetProcessTimes(handle, *map(ctypes.byref, times)):
            return ""
        return str(times[0].value)
    finally:
        kernel.CloseHandle(handle)
