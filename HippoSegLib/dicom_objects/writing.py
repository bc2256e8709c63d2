"""Writing the DICOM objects of a result, as an archive takes them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import SimpleITK as sitk

from ..errors import OutputError
from .measurement_report import measurement_report, ranks_of
from .segmentation import segmentation, structures_in
from .source import SourceSeries

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def write_objects(
    labels: sitk.Image,
    volumes: Mapping[str, float | None],
    provenance: Mapping[str, Any],
    source: SourceSeries,
    paths: Sequence[Path],
) -> None:
    """Write the segmentation, and the report of its volumes where a second path is given for it.

    Nothing is written where nothing was found. Both belong to the patient and study of the series.

    Args:
        labels: On the series' grid, with the values of `labels.py`.
        volumes: Column of `results.volumes.COLUMNS` -> mm³.
        provenance: Of the result: its model is named, and its comparison with a reference, where there was
            one, gives percentiles.
        source: The series.
        paths: Of the segmentation, and of the report.

    Raises:
        OutputError: One cannot be written.
    """
    model = {key: str(provenance["model"][key]) for key in ("name", "sha256")}
    structures = structures_in(labels)
    if not structures:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom and highdicom, which may quote a header
        segmented = segmentation(labels, structures, source, model)
        _write(segmented, paths[0])
        if len(paths) > 1:
            ranks = ranks_of(provenance)
            _write(measurement_report(volumes, ranks, structures, segmented, source, model), paths[1])


def _write(dataset: Dataset, path: Path) -> None:
    drop_empty_sequences(dataset)
    try:
        dataset.save_as(path, enforce_file_format=True)
    except OSError as error:
        raise OutputError(
            f"'{path.name}' cannot be written ({error.strerror or type(error).__name__}).",
            "Check the disk, and give the command again.",
        ) from error


def drop_empty_sequences(dataset: Dataset) -> None:
    """Remove sequences without items, where they need not stand: the source's, which say nothing."""
    for element in list(dataset):
        if element.VR != "SQ":
            continue
        if not element.value and element.keyword not in _MAY_BE_EMPTY:
            del dataset[element.tag]
        for item in element.value:
            drop_empty_sequences(item)


#: Sequences that must be there, with or without items (type 2).
_MAY_BE_EMPTY = ("PerformedProcedureCodeSequence", "ReferencedPerformedProcedureStepSequence")
