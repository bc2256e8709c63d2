"""Simulated participants: volumes by a known linear model with normal residuals."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from HippoSegLib.batch.columns import FIELDS, row_of
from HippoSegLib.batch.record import RecordedSource, ScanRecord
from HippoSegLib.batch.tablefile import table_bytes
from HippoSegLib.reference import Identity, Person
from HippoSegLib.reference.fitting import Control

IDENTITY = Identity("hipposeg", "0.1.0", "full", "hipposeg:ffd74a52f10a")
#: Standard deviation of a side about what is expected, mm³; correlation of both sides.
SD, CORRELATION = 300.0, 0.8


def expected(age, male, intracranial):
    """mm³ of a side."""
    return 3500 - 12 * (age - 50) - 0.15 * (age - 50) ** 2 + 60 * male + 2500 * np.log(intracranial / 1.45e6)


def measurements(left: float, right: float, intracranial: float) -> dict[str, float]:
    total = left + right
    return {
        "left_mm3": float(left),
        "right_mm3": float(right),
        "total_mm3": float(total),
        "asymmetry_index": float((right - left) / (total / 2)),
        "intracranial_mm3": float(intracranial),
    }


def true_percentile(control: Control, column: str = "left_mm3") -> float:
    """Percentile, 0..100, of a side among all people like this one."""
    male, icv = control.person.sex == "male", control.measurements["intracranial_mm3"]
    return float(100 * ndtr((control.measurements[column] - expected(control.person.age, male, icv)) / SD))


def people(count: int, seed=0) -> list[Control]:
    """Normal participants, 20 to 80 years old."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        age, male = float(rng.uniform(20, 80)), bool(rng.random() < 0.5)
        intracranial = float(np.exp(rng.normal(np.log(1.45e6) + 0.06 * male, 0.09)))
        common, left, right = rng.normal(size=3)
        mean = expected(age, male, intracranial)
        part = np.sqrt(CORRELATION), np.sqrt(1 - CORRELATION)
        sides = [mean + SD * (part[0] * common + part[1] * own) for own in (left, right)]
        person = Person(age, "male" if male else "female")
        found.append(Control(person, measurements(*sides, intracranial), f"sub-{number:03}"))
    return found


def write_table(path, controls, **columns):
    """Write `hippocampus.csv` as HippoSeg does, a line per control; returns the path.

    Args:
        path: Of the file.
        controls: Their names are the scans' subjects.
        columns: Field of `batch.columns.FIELDS` -> {name: text} in place of what stands there.
    """
    lines = []
    for control in controls:
        provenance = {
            "model": {"name": "hipposeg", "sha256": "ffd74a52f10a" + "0" * 52},
            "versions": {"HippoSeg": "0.1.0"},
            "settings": {"protocol": "full"},
        }
        source = RecordedSource(f"in/{control.name}_T1w.nii.gz", control.name, subject=control.name)
        scan = f"{control.name}_T1w"
        record = ScanRecord(scan, "ok", source, control.measurements, provenance=provenance)
        changes = {name: cells[control.name] for name, cells in columns.items() if control.name in cells}
        changes = {name: cells[control.name] for name, cells in columns.items() if control.name in cells}
        row = row_of(record) | changes
        lines.append([row[field] for field in FIELDS])
    path.write_bytes(table_bytes(lines))
    return path


def write_participants(path, controls, group="HC", **columns):
    """Write `participants.tsv`; `columns` are further ones, name -> {participant: text}."""
    names = ["participant_id", "age", "sex", "group", *columns]
    lines = ["\t".join(names)]
    for control in controls:
        sex = "n/a" if control.person.sex is None else control.person.sex[0].upper()
        age = "n/a" if control.person.age is None else f"{control.person.age:.2f}"
        further = [cells.get(control.name, "n/a") for cells in columns.values()]
        lines.append("\t".join([control.name, age, sex, group, *further]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
