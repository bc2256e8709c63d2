"""The DICOM objects among a scan's files, where they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..io.images import Scan
from .request import BatchOptions

if TYPE_CHECKING:
    from ..dicom_objects.source import SourceSeries
    from ..pipeline import SegmentationResult


def dicom_source(scan: Scan, batch: BatchOptions) -> SourceSeries | None:
    """The series that objects are to be written of; None where none are asked for.

    Raises:
        InputError: The scan is no DICOM series, or one that objects cannot refer to. DependencyError.
    """
    if not (batch.dicom_seg or batch.dicom_sr):
        return None
    from ..dicom_objects.source import source_series

    return source_series(scan.slices, scan.image)


def write_dicom_objects(
    folder: Path,
    scan: str,
    result: SegmentationResult,
    provenance: Mapping[str, Any],
    series: SourceSeries,
    batch: BatchOptions,
) -> None:
    """Write the segmentation of a result, and the report of its volumes where it is asked for.

    Args:
        folder: The folder of the new files.
        scan: The scan's name.
        result: Of the pipeline.
        provenance: As the record is to hold it: with the comparison with a reference, where there was one.
        series: Of :func:`dicom_source`.
        batch: What is asked for.

    Raises:
        OutputError: One cannot be written.
    """
    from ..dicom_objects.writing import write_objects

    names = ("dicom_seg", "dicom_sr") if batch.dicom_sr else ("dicom_seg",)
    paths = [folder / f"{scan}{batch.layout.endings[name]}" for name in names]
    write_objects(result.labels, result.measurements.as_row(), provenance, series, paths)
