"""A request to end, as a job scheduler sends it, ends a command like Ctrl-C."""

from __future__ import annotations

import contextlib
import signal


def stop_on_termination() -> None:
    """Let a termination request unwind like Ctrl-C, so that no half file stays behind."""

    def stop(_number, _frame):
        raise KeyboardInterrupt

    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, stop)
