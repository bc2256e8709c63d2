"""How far a batch is: counts, speed and the time that is left, as plain values that travel as JSON."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import Cancelled
from .outcome import Outcome

#: What a scan can end as in a call, see `Outcome.what`.
ENDS = ("ok", "review", "failed", "refused", "skipped")
#: The speed is that of the last so many scans, or of so many seconds if those are more.
_SCANS, _SECONDS = 50, 120.0


@dataclass(frozen=True)
class BatchProgress:
    """How far a batch is.

    Attributes:
        total: Scans in all, those included of which nothing is to be done.
        done: Scans that are settled.
        ok, review, failed, refused, skipped: How they ended; they add up to `done`.
        seconds: Since the beginning.
        per_minute: Scans segmented per minute lately; None before the first.
        seconds_left: Expected until the end; None where it is not known.
        scan: The scan that was settled last, or the one at hand.
        stage: What is being done with it, in words; empty where it is settled.
        fraction: How much of it is done, 0 to 1.
    """

    total: int
    done: int = 0
    ok: int = 0
    review: int = 0
    failed: int = 0
    refused: int = 0
    skipped: int = 0
    seconds: float = 0.0
    per_minute: float | None = None
    seconds_left: float | None = None
    scan: str = ""
    stage: str = ""
    fraction: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a message between processes."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BatchProgress:
        """What `to_dict` gave."""
        return cls(**values)

    def words(self) -> str:
        """For instance "17 of 500, 12 per minute, 41 min left, 2 failed"."""
        parts = [f"{self.done} of {self.total}"]
        if self.per_minute is not None and self.done < self.total:
            parts.append(f"{_digits(self.per_minute)} per minute")
        if self.seconds_left is not None and self.done < self.total:
            parts.append(f"{duration(self.seconds_left)} left")
        parts += [f"{n} {word}" for n, word in ((self.failed, "failed"), (self.refused, "refused")) if n]
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds for people: "40 s", "41 min", "3 h 20 min", "2 d 4 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"


class Listener:
    """What wants to know of a run, and may end it.

    Args:
        progress: Called with the name of the scan at hand, the stage in words and the fraction done.
        cancel: Polled; True ends the run.
        on_progress: Called with a `BatchProgress` as something changes.
        clock: Seconds.
    """

    def __init__(
        self,
        progress: Callable[[str, str, float], None] | None = None,
        cancel: Callable[[], bool] | None = None,
        on_progress: Callable[[BatchProgress], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.cancel, self._progress, self._on_progress, self._clock = cancel, progress, on_progress, clock
        self._total, self._start, self._ends = 0, clock(), Counter[str]()
        self._times: deque[float] = deque()

    @property
    def progress(self) -> Callable[[str, str, float], None] | None:
        """To be called with a scan's name, stage and fraction; None where nobody listens."""
        return None if self._progress is None and self._on_progress is None else self._tell

    def check(self) -> None:
        """Go on only if nobody wants the run to end.

        Raises:
            Cancelled.
        """
        if self.cancel is not None and self.cancel():
            raise Cancelled()

    def begin(self, total: int) -> None:
        """The number of scans is known."""
        self._total, self._start = total, self._clock()
        self._say()

    def settled(self, outcome: Outcome) -> BatchProgress:
        """A scan has come to its end."""
        self._ends[outcome.what] += 1
        if outcome.what != "skipped" and outcome.what != "refused":
            now = self._clock()
            self._times.append(now)
            while len(self._times) > _SCANS and now - self._times[1] > _SECONDS:
                self._times.popleft()
        return self._say(outcome.scan)

    def now(self, scan: str = "", stage: str = "", fraction: float = 0.0) -> BatchProgress:
        """How far the run is."""
        done = sum(self._ends.values())
        speed = self._speed()
        left = None if speed is None else (self._total - done) / speed
        return BatchProgress(
            total=self._total,
            done=done,
            **{end: self._ends[end] for end in ENDS},
            seconds=round(self._clock() - self._start, 1),
            per_minute=None if speed is None else round(60 * speed, 2),
            seconds_left=None if left is None else round(left, 1),
            scan=scan,
            stage=stage,
            fraction=fraction,
        )

    def _speed(self) -> float | None:
        """Scans per second."""
        if not self._times:
            return None
        all_of_them = len(self._times) == sum(self._ends[end] for end in ("ok", "review", "failed"))
        since = self._start if all_of_them else self._times[0]
        count = len(self._times) if all_of_them else len(self._times) - 1
        seconds = self._times[-1] - since
        return count / seconds if count and seconds > 0 else None

    def _tell(self, scan: str, stage: str, fraction: float) -> None:
        if self._progress is not None:
            self._progress(scan, stage, fraction)
        if self._on_progress is not None:
            self._on_progress(self.now(scan, stage, fraction))

    def _say(self, scan: str = "") -> BatchProgress:
        now = self.now(scan)
        if self._on_progress is not None:
            self._on_progress(now)
        return now
