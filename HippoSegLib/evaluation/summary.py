"""Figures over all cases: per structure, per metric, and the agreement of volumes."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

import numpy as np

from ..labels import PARTS, SIDES
from .metrics import METRICS
from .run import COUNTED, EXCHANGED, FAILED, MISSING, UNLABELLED, Row

CASE_COLUMNS = ("case", "structure", *METRICS, "status", "flags")
STATISTICS = ("n", "mean", "sd", "median", "min", "max")
#: Single figures of a structure: counts of rows, Pearson's r of volume and reference, and the mean
#: difference ± 1.96 sd (Bland and Altman 1986), mm³.
FIGURES = (
    "missing",
    "exchanged",
    "not_labelled",
    "volume_correlation",
    "limit_of_agreement_lower_mm3",
    "limit_of_agreement_upper_mm3",
)
SUMMARY_COLUMNS = ("structure", "metric", *STATISTICS, "value")
#: Metric -> what the printed table calls it, and its number of decimals.
_WORDS = {
    "dice": ("Dice", 3),
    "jaccard": ("Jaccard", 3),
    "hd95_mm": ("HD95 (mm)", 2),
    "assd_mm": ("ASSD (mm)", 2),
    "sensitivity": ("sensitivity", 3),
    "precision": ("precision", 3),
    "volume_similarity": ("volume similarity", 3),
    "volume_mm3": ("volume (mm³)", 0),
    "reference_mm3": ("reference (mm³)", 0),
    "bias_mm3": ("volume bias (mm³)", 0),
}


def summarise(rows: Sequence[Row]) -> dict[str, dict]:
    """Structure -> metric -> the `STATISTICS`, and the structure's `FIGURES`; None where undefined.

    A missing side counts with Dice 0 and volume 0; its distances do not exist, so that their ``n`` is
    smaller. Where both sides occur, "both" (and "both-anterior", …) pools them: its ``n`` counts sides.
    """
    result = {}
    for name, members in _groups(rows).items():
        mine = [row for row in rows if row.structure in members]
        counted = [row for row in mine if row.state in COUNTED]
        values = {m: np.array([row.values[m] for row in counted], float) for m in METRICS}
        statistics = {metric: describe(v) for metric, v in values.items()}
        low, high = limits_of_agreement(values["bias_mm3"])
        result[name] = {
            **statistics,
            "missing": sum(row.state == MISSING for row in mine),
            "exchanged": sum(row.state == EXCHANGED for row in mine),
            "not_labelled": sum(row.state == UNLABELLED for row in mine),
            "volume_correlation": correlation(values["volume_mm3"], values["reference_mm3"]),
            "limit_of_agreement_lower_mm3": low,
            "limit_of_agreement_upper_mm3": high,
        }
    return result


def limits_of_agreement(difference: np.ndarray) -> tuple[float | None, float | None]:
    """Mean difference ± 1.96 sd (Bland and Altman 1986); None for fewer than three values."""
    difference = difference[~np.isnan(difference)]
    if len(difference) < 3:
        return None, None
    spread = 1.96 * float(difference.std(ddof=1))
    return float(difference.mean()) - spread, float(difference.mean()) + spread


def _groups(rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    """Name in the summary -> structures that it pools."""
    there = list(dict.fromkeys(row.structure for row in rows if row.structure))
    groups: dict[str, tuple[str, ...]] = {name: (name,) for name in there}
    for ending in ("", *(f"-{part}" for part in PARTS)):
        pair = tuple(side + ending for side in SIDES)
        if set(pair) <= set(there):
            groups[f"both{ending}"] = pair
    return groups


def describe(values: np.ndarray) -> dict[str, float | int | None]:
    """The `STATISTICS` of a 1D array without its NaN; sd with n − 1; None where there are too few values."""
    values = values[~np.isnan(values)]
    n = len(values)
    if not n:
        return dict.fromkeys(STATISTICS) | {"n": 0}
    sd = float(values.std(ddof=1)) if n > 1 else None
    mean, median = float(values.mean()), float(np.median(values))
    return {"n": n, "mean": mean, "sd": sd, "median": median, "min": values.min(), "max": values.max()}


def correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Pearson's r; None for fewer than three pairs, or where one of them does not vary."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def cases_csv(rows: Sequence[Row]) -> str:
    """Text of `cases.csv`; undefined values are empty."""
    table = []
    for row in rows:
        entry = {"case": row.case, "structure": row.structure, "status": row.status, "flags": row.flags}
        table.append(entry | {name: _number(name, value) for name, value in row.values.items()})
    return _csv(CASE_COLUMNS, table)


def summary_csv(summary: dict[str, dict]) -> str:
    """Text of `summary.csv`: a row per structure and metric, then one per figure."""
    table = []
    for structure, entries in summary.items():
        for name, entry in entries.items():
            row = {"structure": structure, "metric": name}
            if isinstance(entry, dict):
                row |= {s: entry[s] if s == "n" else _number(name, entry[s]) for s in STATISTICS}
            else:
                row["value"] = entry if isinstance(entry, int) else _number(name, entry)
            table.append(row)
    return _csv(SUMMARY_COLUMNS, table)


def _number(name: str, value: float | None) -> str:
    if value is None or math.isnan(value):
        return ""
    return f"{value:.1f}" if name.endswith("_mm3") else f"{value:.4f}"


def _csv(columns: Sequence[str], table: Sequence[dict]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def summary_text(summary: dict[str, dict], rows: Sequence[Row]) -> str:
    """The table for the terminal."""
    lines = []
    for structure, entries in summary.items():
        n = entries["dice"]["n"]
        what = "side" if structure.startswith("both") else "case"
        notes = [f"{n} {what}{'' if n == 1 else 's'}"]
        if entries["missing"]:
            notes.append(f"{entries['missing']} of them not found, counted as Dice 0")
        if entries["exchanged"]:
            notes.append(f"{entries['exchanged']} of them on the wrong side, counted")
        if entries["not_labelled"]:
            notes.append(f"{entries['not_labelled']} not labelled, not counted")
        lines.append(f"{structure} ({'; '.join(notes)})")
        lines.append(f"  {'':18}" + "".join(f"{s:>9}" for s in STATISTICS[1:]) + f"{'n':>6}")
        for metric, (words, decimals) in _WORDS.items():
            entry = entries[metric]
            numbers = "".join(f"{_shown(entry[s], decimals):>9}" for s in STATISTICS[1:])
            lines.append(f"  {words:18}{numbers}{entry['n']:>6}")
        r, low = entries["volume_correlation"], entries["limit_of_agreement_lower_mm3"]
        if r is not None:
            lines.append(f"  volume correlation r = {r:.3f}")
        if low is not None:
            high = entries["limit_of_agreement_upper_mm3"]
            lines.append(f"  95 % limits of agreement of the volume: {low:+.0f} to {high:+.0f} mm³")
        lines.append("")
    failed = sum(row.state == FAILED for row in rows)
    if failed:
        lines.append(f"{failed} case{'s' if failed > 1 else ''} failed and is in no figure: see cases.csv.")
    return "\n".join(lines).rstrip()


def _shown(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"
