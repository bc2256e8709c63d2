"""Where a site's cases lie: pairs of scan and label files, whose subject and role are known.

Three forms are understood: ``SITE/images`` with ``SITE/labels``; patterns within SITE; BIDS, with the
labels under ``SITE/derivatives``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import SimpleITK as sitk

from ..errors import InputError
from ..evaluation.cases import pair_cases
from ..io.images import SUFFIXES
from ..labels import SIDES

#: What a case is there for: it is learned from and cross-validated, or only ever judged.
TRAINING, VALIDATION = "training", "validation"
_REMEDY = (
    "Give a folder with images/ and labels/ (files of the same names), a BIDS folder with "
    "derivatives/, or a pattern each for scans and labels."
)
#: What the names of BIDS label files have.
_BIDS_LABEL = re.compile(r"_(dseg|mask)\.|label|hippo", re.IGNORECASE)
_SIDE_ENDING = re.compile(r"[._-](left|right|lh|rh|l|r)$|hemi-(L|R)", re.IGNORECASE)
_SUBJECT = re.compile(r"(?:^|[_/\\-])sub-([A-Za-z0-9]+)")


@dataclass(frozen=True)
class SiteSource:
    """One case before it is read.

    Attributes:
        name: Of the scan, without suffix.
        subject: Cases of one subject are never on both sides of a split.
        image, label: A path each, or an image that is in memory already.
        side: For the crop of one hippocampus: its side, if known.
        role: ``TRAINING`` or ``VALIDATION``.
    """

    name: str
    subject: str
    image: Path | sitk.Image
    label: Path | sitk.Image
    side: str | None = None
    role: str = TRAINING


def find_sources(
    site: str | Path,
    scans: str | None = None,
    labels: str | None = None,
    table: str | Path | None = None,
    role: str = TRAINING,
) -> list[SiteSource]:
    """Find the cases of a folder.

    Args:
        site: The folder.
        scans, labels: Patterns within it, such as ``*_T1w.nii.gz`` and ``*_seg.nii.gz``; they are
            paired by what the star stands for.
        table: CSV file with the columns ``case``, ``subject`` and, for crops, ``side``, where the
            file names do not tell.
        role: Of all these cases.

    Raises:
        InputError: There are no pairs, or they are in doubt, or the table does not fit.
    """
    site = Path(site)
    if not site.is_dir():
        raise InputError(f"'{site.name}' is not a folder.", _REMEDY, "no_cases")
    if (scans is None) != (labels is None):
        raise InputError("Only one of the two patterns is given.", "Give both.", "one_pattern")
    if scans is not None and labels is not None:
        pairs = _paired([str(site / scans)], [str(site / labels)])
    elif (site / "images").is_dir() and (site / "labels").is_dir():
        pairs = _paired([str(site / "images")], [str(site / "labels")])
    elif (site / "derivatives").is_dir() and any(site.glob("sub-*")):
        pairs = _bids(site)
    else:
        raise InputError(f"No labelled scans are recognised in '{site.name}'.", _REMEDY, "no_cases")
    found = [
        SiteSource(name, subject_of(name, image.relative_to(site)), image, label, side_of(name), role)
        for name, image, label in pairs
    ]
    return found if table is None else _with_table(found, Path(table))


def _paired(scans: list[str], labels: list[str]) -> list[tuple[str, Path, Path]]:
    cases, _ = pair_cases(scans, labels)
    return [(case.name, case.scan, case.label) for case in cases if case.scan is not None]


def _bids(site: Path) -> list[tuple[str, Path, Path]]:
    """T1-weighted scans of a BIDS folder, each with the label of the same subject and session."""
    scans = sorted(
        path
        for path in site.glob("sub-*/**/*_T1w*")
        if path.is_file() and path.name.lower().endswith(SUFFIXES)
    )
    if not scans:
        raise InputError(f"The BIDS folder '{site.name}' has no T1w scans.", _REMEDY, "no_cases")
    pairs = []
    for scan in scans:
        key = re.split(r"_(?:acq|run|rec|ce|desc|T1w)", scan.name)[0]  # sub-X[_ses-Y]
        candidates = [
            path
            for path in sorted((site / "derivatives").rglob(f"{key}_*"))
            if path.name.lower().endswith(SUFFIXES) and _BIDS_LABEL.search(path.name)
        ]
        same = scan.name.split("_T1w")[0]
        candidates = [path for path in candidates if path.name.startswith(same + "_")] or candidates
        if not candidates:
            raise InputError(f"'{scan.name}' has no label under derivatives/.", _REMEDY, "no_cases")
        if len(candidates) > 1:
            raise InputError(
                f"'{scan.name}' has {len(candidates)} labels under derivatives/.",
                "Say which by patterns for scans and labels.",
                "several_labels",
            )
        pairs.append((scan.name.split(".")[0], scan, candidates[0]))
    return pairs


def subject_of(name: str, path: Path | None = None) -> str:
    """Subject of a case: BIDS' ``sub-…`` where it occurs, else the name without an ending for the side.

    Names ``hippocampus_N`` are those of the Medical Segmentation Decathlon: 2k-1 and 2k are one person.
    """
    from ..training.cases import subject_of as by_name  # numpy and SimpleITK only

    match = _SUBJECT.search(name) or (_SUBJECT.search(path.as_posix()) if path is not None else None)
    return f"sub-{match[1]}" if match else by_name(name)


def side_of(name: str) -> str | None:
    """Side that a name ends in (left/right, lh/rh, l/r, or BIDS' hemi-), else None."""
    match = _SIDE_ENDING.search(name)
    if not match:
        return None
    return SIDES[0] if (match[1] or match[2]).lower().startswith("l") else SIDES[1]


def _with_table(sources: Sequence[SiteSource], table: Path) -> list[SiteSource]:
    """Sources with what the table says of them."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = {row["case"].strip(): row for row in csv.DictReader(file)}
    except (OSError, KeyError, UnicodeError, AttributeError) as error:
        raise InputError(
            f"The table '{table.name}' cannot be read.",
            "Give a CSV file with the columns case, subject, side.",
        ) from error
    lacking = [source.name for source in sources if source.name not in rows]
    if lacking:
        raise InputError(
            f"The table '{table.name}' lacks {len(lacking)} case(s), the first is {lacking[0]}.",
            "Add a row for each case.",
        )
    result = []
    for source in sources:
        row = rows[source.name]
        side = (row.get("side") or "").strip().lower() or source.side
        if side not in (None, *SIDES):
            raise InputError(f"The table gives {source.name} the side '{side}'.", "Use left or right.")
        subject = (row.get("subject") or "").strip() or source.subject
        result.append(replace(source, subject=subject, side=side))
    return result
