"""Age and sex of the person whose scan a volume is: from DICOM where it came from there, or as the user says.

They stand as attributes of the volume node, and so are saved with the scene.
"""

from __future__ import annotations

import datetime
import re

import slicer

from HippoSegLib.reference import Person

AGE, SEX = "HippoSeg.Age", "HippoSeg.Sex"
#: Said by the user: it is not known, whatever the DICOM header says.
_UNKNOWN = "unknown"
_UIDS = "DICOM.instanceUIDs"
_DAYS_PER_YEAR = 365.25
#: Letter of a DICOM age -> how many make a year.
_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": _DAYS_PER_YEAR / 7, "D": _DAYS_PER_YEAR}


def personOf(volumeNode) -> Person:
    """Who was scanned, as far as it is known; what the DICOM database says is noted on the volume."""
    if volumeNode.GetAttribute(AGE) is None and volumeNode.GetAttribute(SEX) is None:
        found = _fromDicom(volumeNode)
        if found is not None:
            setPerson(volumeNode, found)
    age, sex = volumeNode.GetAttribute(AGE), volumeNode.GetAttribute(SEX)
    return Person(_number(age), sex if sex in ("female", "male") else None)


def setPerson(volumeNode, person: Person) -> None:
    """Note who was scanned."""
    values = {AGE: None if person.age is None else f"{person.age:g}", SEX: person.sex}
    wasModifying = volumeNode.StartModify()
    for name, value in values.items():
        if volumeNode.GetAttribute(name) != (value or _UNKNOWN):
            volumeNode.SetAttribute(name, value or _UNKNOWN)
    volumeNode.EndModify(wasModifying)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 < value <= 130 else None


def _fromDicom(volumeNode) -> Person | None:
    """What the header of the volume's first slice says; None where it is not in the database."""
    uids = (volumeNode.GetAttribute(_UIDS) or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not uids or database is None or not database.isOpen:
        return None

    def value(tag: str) -> str:
        return (database.instanceValue(uids[0], tag) or "").strip()

    sex = {"F": "female", "M": "male"}.get(value("0010,0040").upper())
    age = ageYears(value("0010,1010"))
    if age is None:
        scanned = value("0008,0022") or value("0008,0021") or value("0008,0020")
        age = yearsBetween(value("0010,0030"), scanned)
    return Person(age, sex)  # type: ignore[arg-type]


def ageYears(text: str) -> float | None:
    """A DICOM age (``045Y``, ``018M``) in years; None where it is none."""
    found = re.fullmatch(r"(\d{1,3})([YMWD])", text.strip().upper())
    if found is None:
        return None
    return _plausible(int(found[1]) / _PER_YEAR[found[2]])


def yearsBetween(birth: str, scan: str) -> float | None:
    """Years between two DICOM dates (``19801231``), to a tenth; None where one is none."""
    try:
        days = (_date(scan) - _date(birth)).days
    except ValueError:
        return None
    return _plausible(days / _DAYS_PER_YEAR)


def _date(text: str) -> datetime.date:
    return datetime.datetime.strptime(text.replace(".", "").strip(), "%Y%m%d").date()


def _plausible(years: float) -> float | None:
    return round(years, 1) if 0 < years <= 130 else None
