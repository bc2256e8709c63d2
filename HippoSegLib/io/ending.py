"""How a process ended: what its exit status and the system say, and nothing that they do not say."""

from __future__ import annotations

import signal
from dataclasses import asdict, dataclass

#: Faults of native code.
_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGSYS", "SIGTRAP")

#: The same on Windows (NTSTATUS): debug break, access violation, illegal instruction, array bounds,
#: divisions, stack overflow, missing function, heap corruption, buffer overrun or abort.
_WINDOWS_CRASHES = {
    0x80000003,
    0xC0000005,
    0xC000001D,
    0xC000008C,
    0xC000008E,
    0xC0000094,
    0xC00000FD,
    0xC0000139,
    0xC0000374,
    0xC0000409,
}
_WINDOWS_NO_MEMORY = {0xC0000017, 0xC000009A, 0xC000012D}
_WINDOWS_CONTROL_C = 0xC000013A

EXITED, CRASHED, KILLED, NO_MEMORY = "exited", "crashed", "killed", "no_memory"


@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        how: `EXITED` by itself, `CRASHED` in native code, `KILLED` by another process, or ended by the
            system for want of memory (`NO_MEMORY`).
        code: Its exit code; of a signal, 128 more than its number.
        signal: Name of the signal or, on Windows, of the status; "" where it exited by itself.
    """

    how: str
    code: int
    signal: str = ""

    def to_dict(self) -> dict:
        """Plain values, for a message."""
        return asdict(self)


def ending(status: int, memory_ran_out: bool = False) -> Ending:
    """What an exit status says.

    Args:
        status: As `subprocess.Popen.returncode`: negative for a signal; on Windows the exit code.
        memory_ran_out: Whether the system ended a process for want of memory at that moment.
    """
    if status < 0:
        name = _signal_name(-status)
        if name in _CRASHES:
            return Ending(CRASHED, 128 - status, name)
        how = NO_MEMORY if name == "SIGKILL" and memory_ran_out else KILLED
        return Ending(how, 128 - status, name)
    if status in _WINDOWS_CRASHES:
        return Ending(CRASHED, status, f"0x{status:08X}")
    if status in _WINDOWS_NO_MEMORY:
        return Ending(NO_MEMORY, status, f"0x{status:08X}")
    if status == _WINDOWS_CONTROL_C:
        return Ending(KILLED, status, f"0x{status:08X}")
    return Ending(EXITED, status)


def kills_for_memory() -> int:
    """How often this system has ended a process for want of memory (Linux); -1 where it does not say."""
    try:
        with open("/proc/vmstat", encoding="ascii") as file:
            for line in file:
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return -1


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
