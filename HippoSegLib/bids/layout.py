"""A BIDS derivative as the layout of an output folder: names, folders, what BIDS wants beside an image."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import SimpleITK as sitk

from ..batch.layout import Layout
from ..io.images import write_image
from ..labels import PART, SIDES, WHOLE
from .names import folder_of
from .sidecars import (
    LABELS,
    dseg_sidecar,
    dseg_table,
    map_sidecar,
    volumes_dictionary,
    volumes_table,
    write_json,
)

if TYPE_CHECKING:
    from ..batch.record import RecordedSource
    from ..pipeline import SegmentationResult

SEG, PARTS_SEG = "_seg-hipposeg", "_seg-hipposegparts"
#: The name of a map in BIDS -> what the pipeline calls it.
_MAPS = {"probseg": "probability", "entropy": "uncertainty"}
_ENDINGS = {
    "labels": f"{SEG}_dseg.nii.gz",
    "labels_sidecar": f"{SEG}_dseg.json",
    "labels_table": f"{SEG}_dseg.tsv",
    "parts": f"{PARTS_SEG}_dseg.nii.gz",
    "parts_sidecar": f"{PARTS_SEG}_dseg.json",
    "parts_table": f"{PARTS_SEG}_dseg.tsv",
    "volumes": f"{SEG}_volumes.tsv",
    "volumes_dictionary": f"{SEG}_volumes.json",
    "picture": f"{SEG}_dseg.png",
    "details": "_record.log",
    **{
        f"{side}_{what}{more}": f"{SEG}_label-{LABELS[WHOLE[side]]}_{name}{end}"
        for name, what in _MAPS.items()
        for side in SIDES
        for more, end in (("", ".nii.gz"), ("_sidecar", ".json"))
    },
}
_SUBJECT, _SESSION = re.compile(r"sub-[0-9A-Za-z]+"), re.compile(r"ses-[0-9A-Za-z]+")


class BidsLayout(Layout):
    """Results of each scan in ``sub-<label>/[ses-<label>/]anat``, pictures in ``sub-<label>/figures``.

    A scan is called as its file without suffix and extension. Its record, ``…_record.json``, lies beside its
    label image; the validator passes it over, as `.bidsignore` says.
    """

    endings = _ENDINGS
    record_ending = "_record.json"
    has_table = False

    def folder(self, scan: str, name: str) -> str:
        own = folder_of(scan)
        if not own:
            return ""
        return f"{own.split('/')[0]}/figures" if name.endswith(".png") else f"{own}/anat"

    def names(self, root: Path) -> set[str]:
        """None: a name is of one scan alone, so that no folder has to be searched."""
        return set()

    def records(self, root: Path) -> Iterator[tuple[str, Path]]:
        for subject in _folders(root, _SUBJECT):
            for folder in (subject, *_folders(subject, _SESSION)):
                anat = folder / "anat"
                for name in sorted(os.listdir(anat)) if anat.is_dir() else ():
                    if name.endswith(self.record_ending) and not name.startswith("."):
                        yield name[: -len(self.record_ending)], anat / name

    def write(
        self,
        folder: Path,
        scan: str,
        image: sitk.Image,
        result: SegmentationResult,
        source: RecordedSource,
        picture: bool,
    ) -> None:
        def path(what: str) -> Path:
            return folder / f"{scan}{self.endings[what]}"

        whole, parts = _whole_and_parts(result.labels)
        write_image(whole, path("labels"))
        write_json(path("labels_sidecar"), dseg_sidecar(source, result, parts=False))
        path("labels_table").write_text(dseg_table(WHOLE.values()), encoding="utf-8")
        if parts is not None:
            write_image(parts, path("parts"))
            write_json(path("parts_sidecar"), dseg_sidecar(source, result, parts=True))
            values = [PART[side][part] for side in SIDES for part in PART[side]]
            path("parts_table").write_text(dseg_table(values), encoding="utf-8")
        for what, maps in (("probability", result.probabilities), ("uncertainty", result.uncertainty)):
            for side, volume in (maps or {}).items():
                write_image(volume, path(f"{side}_{what}"))
                write_json(path(f"{side}_{what}_sidecar"), map_sidecar(source, result, what, side))
        path("volumes").write_text(volumes_table(scan, result, source), encoding="utf-8")
        write_json(path("volumes_dictionary"), volumes_dictionary())
        if picture:
            from ..batch.files import figure_facts
            from ..results.qc_figure import qc_figure

            qc_figure(image, result.labels, path("picture"), figure_facts(result, scan))


#: The layout of `hipposeg-bids`.
BIDS = BidsLayout()


def _whole_and_parts(labels: sitk.Image) -> tuple[sitk.Image, sitk.Image | None]:
    """The labels of whole hippocampi, and the same with parts where the labels have them."""
    changes: Mapping[int, int] = {value: WHOLE[side] for side in SIDES for value in PART[side].values()}
    array = sitk.GetArrayViewFromImage(labels)
    if not any((array == value).any() for value in changes):
        return labels, None
    whole = sitk.ChangeLabel(labels, changeMap={float(old): float(new) for old, new in changes.items()})
    return whole, labels


def _folders(parent: Path, pattern: re.Pattern[str]) -> list[Path]:
    with os.scandir(parent) as entries:
        names = sorted(entry.name for entry in entries if pattern.fullmatch(entry.name) and entry.is_dir())
    return [parent / name for name in names]
