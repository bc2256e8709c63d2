"""The files of one scan's result: their names, and writing them."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import SimpleITK as sitk

from ..errors import OutputError
from ..io.images import write_image
from ..io.staging import staging_folder
from ..labels import SIDES
from .record import ENDING, WrittenFile
from .source import file_sha256

if TYPE_CHECKING:
    from ..pipeline import SegmentationResult
    from ..results.qc_figure import FigureFacts

_MAPS = ("probability", "uncertainty")
#: What a file of a scan is -> the ending of its name after the scan's.
ENDINGS: dict[str, str] = {
    "labels": "_hippocampus.nii.gz",
    "picture": "_hippocampus.png",
    "details": "_hippocampus.log",
    "dicom_seg": "_hippocampus_seg.dcm",
    "dicom_sr": "_hippocampus_sr.dcm",
    **{f"{side}_{what}": f"_{side}_{what}.nii.gz" for what in _MAPS for side in SIDES},
}


def record_name(scan: str) -> str:
    """Name of a scan's record."""
    return f"{scan}{ENDING}"


def labels_name(scan: str) -> str:
    """Name of a scan's label image."""
    return f"{scan}{ENDINGS['labels']}"


def is_result(path: Path) -> bool:
    """Whether a file is one of a scan's results, and lies beside the scan's record."""
    for ending in ENDINGS.values():
        if path.name.endswith(ending):
            return (path.parent / record_name(path.name[: -len(ending)])).is_file()
    return False


def write_images(
    folder: Path, scan: str, image: sitk.Image, result: SegmentationResult, picture: bool
) -> None:
    """Write label image, maps and figure of a result.

    Args:
        folder: An empty folder.
        scan: The scan's name.
        image: The scan.
        result: Of the pipeline.
        picture: Whether to draw the quality-control figure.

    Raises:
        OutputError: One cannot be written. Whatever drawing raises.
    """
    write_image(result.labels, folder / labels_name(scan))
    for what, maps in zip(_MAPS, (result.probabilities, result.uncertainty), strict=True):
        for side, volume in (maps or {}).items():
            write_image(volume, folder / f"{scan}{ENDINGS[f'{side}_{what}']}")
    if picture:
        from ..results.qc_figure import qc_figure

        facts = figure_facts(result, scan)
        qc_figure(image, result.labels, folder / f"{scan}{ENDINGS['picture']}", facts)


def figure_facts(result: SegmentationResult, title: str) -> FigureFacts:
    """What stands in words on the quality-control figure of a result."""
    from ..results.qc_figure import FigureFacts

    version = result.provenance.get("versions", {}).get("HippoSeg", "")
    return FigureFacts(
        title=title,
        measurements=result.measurements,
        flags=[flag.message for flag in result.flags],
        model=f"{result.provenance['model']['name']} {version}".strip(),
        date=datetime.date.today().isoformat(),
        region_side=result.provenance.get("settings", {}).get("region_side"),
    )


def written_files(folder: Path, scan: str, endings: Mapping[str, str] = ENDINGS) -> dict[str, WrittenFile]:
    """What the files in a folder are, with length and SHA-256, for the record."""
    found = {}
    for what, ending in endings.items():
        path = folder / f"{scan}{ending}"
        if path.exists():
            found[what] = WrittenFile(path.name, path.stat().st_size, file_sha256(path))
    return found


def write_channels(
    regions: Mapping[str, Sequence[sitk.Image]], output: Path, name: str, *, overwrite: bool = False
) -> list[Path]:
    """Write the network's channels as `<name>_<side>_channel<n>.nii.gz`, all or none.

    Raises:
        OutputError: The folder cannot be written, or a file exists.
    """
    images = {
        f"{name}_{side}_channel{n}.nii.gz": image
        for side, channels in regions.items()
        for n, image in enumerate(channels, start=1)
    }
    for file in images:
        if not overwrite and (output / file).exists():
            raise OutputError(f"'{file}' exists.", "Choose another folder, or allow overwriting.", "exists")
    with staging_folder(output) as staging:
        for file, image in images.items():
            write_image(image, staging / file)
        for file in images:
            try:
                os.replace(staging / file, output / file)
            except OSError as error:
                raise OutputError(
                    f"'{file}' cannot be written ({error.strerror}).", "Close it in other programs."
                ) from error
    return [output / file for file in images]
