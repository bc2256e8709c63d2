"""A signal in plain Python, so that logic needs no Qt object of its own."""

from __future__ import annotations

from collections.abc import Callable


class Signal:
    """Callables that are called, in the order they were connected, when the signal is emitted."""

    def __init__(self):
        self._slots: list[Callable] = []

    def connect(self, slot: Callable) -> None:
        """Call ``slot`` at each emission; connecting twice calls it once."""
        if slot not in self._slots:
            self._slots.append(slot)

    def disconnect(self, slot: Callable) -> None:
        """Stop calling ``slot``; unknown slots are ignored."""
        if slot in self._slots:
            self._slots.remove(slot)

    def emit(self, *arguments) -> None:
        """Call every slot; one connected or disconnected meanwhile takes effect the next time."""
        for slot in list(self._slots):
            slot(*arguments)
