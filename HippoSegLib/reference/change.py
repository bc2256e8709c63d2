"""Change between visits: mm³ and percent per year, with an interval from the measured repeatability.

The slope is that of least squares over the visits. Its standard error comes from how well a volume is
measured again (the model's card, or the site's own rescans), not from how a few scans scatter about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..models.repeatability_card import RepeatabilityCard
from .statistics import t_quantile
from .values import MEASURES, Identity, Remark
from .visits import Visit

Measure = Literal["left", "right", "total"]
CHANGING: tuple[Measure, ...] = ("left", "right", "total")


@dataclass(frozen=True)
class Change:
    """Change of one volume.

    Attributes:
        mm3_per_year: Below 0 where it shrinks.
        low, high: 95 % confidence interval of that, mm³ per year.
        mean_mm3: Mean of all visits: what percentages are of.
    """

    mm3_per_year: float
    low: float
    high: float
    mean_mm3: float

    @property
    def percent(self) -> tuple[float, float, float]:
        """Change per year and its interval, % of the mean volume."""
        first, low, high = (100 * v / self.mean_mm3 for v in (self.mm3_per_year, self.low, self.high))
        return first, low, high


@dataclass(frozen=True)
class ChangeOverTime:
    """What is said of a subject.

    Attributes:
        scans: How many of its scans count.
        years: From the first of them to the last.
        changes: Measure -> its change; empty where nothing can be said.
        withheld: Why nothing is said.
        notes: What else a reader should know.
    """

    scans: int
    years: float = 0.0
    changes: Mapping[str, Change] = field(default_factory=dict)
    withheld: Remark | None = None
    notes: tuple[Remark, ...] = ()


def change_over_time(
    visits: Sequence[Visit], repeatability: RepeatabilityCard | None, same_scanner: bool = False
) -> ChangeOverTime:
    """Change of a subject's volumes.

    Args:
        visits: All scans of the subject, in the order of their times.
        repeatability: Of the model that made the volumes; None where it is not known.
        same_scanner: The user says that one scanner and protocol made all scans.
    """
    used = [visit for visit in visits if _is_sound(visit)]
    notes = _left_out(len(visits) - len(used))
    reason = _why_not(used, repeatability, same_scanner)
    if reason is not None or repeatability is None:
        return ChangeOverTime(len(used), withheld=reason, notes=notes)
    times = np.array([visit.years for visit in used], dtype=float)
    changes: dict[str, Change] = {
        name: _change(times, [visit.scan.measurements[MEASURES[name]] for visit in used], name, repeatability)
        for name in CHANGING
    }
    text = "The interval says how well volumes were measured again in trials; real scans may differ more."
    notes = (*notes, Remark("repeatability", text))
    return ChangeOverTime(len(used), float(np.ptp(times)), changes, None, notes)


def _change(
    times: np.ndarray, volumes: Sequence[float], name: Measure, repeatability: RepeatabilityCard
) -> Change:
    values, centred = np.array(volumes), times - times.mean()
    square = float(centred @ centred)
    slope, mean = float(centred @ values) / square, float(values.mean())
    is_total = name == "total"
    sd = repeatability.total_sd_percent if is_total else repeatability.side_sd_percent
    degrees = repeatability.total_degrees if is_total else repeatability.side_degrees
    reach = t_quantile(degrees) * sd / 100 * mean / np.sqrt(square)
    return Change(slope, float(slope - reach), float(slope + reach), mean)


def _is_sound(visit: Visit) -> bool:
    scan = visit.scan
    whole = all(MEASURES[name] in scan.measurements for name in CHANGING)
    return scan.status != "failed" and scan.review != "fail" and not scan.doubted and whole


def _left_out(count: int) -> tuple[Remark, ...]:
    if not count:
        return ()
    text = f"{count} of the scans do not count: failed, failed by a reviewer, or with an outline in doubt."
    return (Remark("scans_left_out", text),)


def _why_not(
    visits: Sequence[Visit], repeatability: RepeatabilityCard | None, same_scanner: bool
) -> Remark | None:
    if len(visits) < 2:
        return Remark("one_scan", "There are not two scans that can be used.")
    return (
        _why_no_time(visits)
        or _other_volumes([visit.scan.identity for visit in visits])
        or (None if same_scanner else _other_scanner(visits))
        or _why_no_interval(visits[0].scan.identity, repeatability)
    )


def _why_no_time(visits: Sequence[Visit]) -> Remark | None:
    if any(visit.years is None for visit in visits) or len({visit.kind for visit in visits}) > 1:
        return Remark("time_unknown", "When the scans were made is not known of all of them.")
    if any(visit.is_coarse for visit in visits):
        return Remark("coarse_age", "Ages in whole years are too coarse: give dates, or ages with decimals.")
    if visits[0].years == visits[-1].years:
        return Remark("same_time", "The scans are of the same time.")
    return None


def _other_volumes(identities: Sequence[Identity]) -> Remark | None:
    if len(set(identities)) > 1:
        text = "The volumes are not all of one model, version and protocol: segment all scans with the same."
        return Remark("other_identity", text)
    return None


def _other_scanner(visits: Sequence[Visit]) -> Remark | None:
    scanners = [dict(visit.scanner or {}) for visit in visits]
    if not all(scanners) or any(scanner.keys() != scanners[0].keys() for scanner in scanners):
        text = "Whether one scanner made all scans is not known: name it in the table of visits, or say so."
        return Remark("scanner_unknown", text)
    if any(scanner != scanners[0] for scanner in scanners):
        return Remark("other_scanner", "The scans are of several scanners.")
    return None


def _why_no_interval(identity: Identity, repeatability: RepeatabilityCard | None) -> Remark | None:
    if repeatability is None:
        text = f"How well the model '{identity.model}' measures again is not known here: give it."
        return Remark("no_repeatability", text)
    readers = len(identity.readers.split()) or repeatability.readers
    if repeatability.protocol != identity.protocol or repeatability.readers != readers:
        text = "How well volumes are measured again is known of another protocol or number of readers only."
        return Remark("no_repeatability", text)
    return None
