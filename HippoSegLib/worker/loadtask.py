"""The panel's task "load": a scan and its result from the disk, as if it had been segmented in the scene."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .exchange import from_image, write_array
from .values import crop_labels, plain

if TYPE_CHECKING:
    import SimpleITK as sitk

    from ..batch.record import ScanRecord


def load_task(request: dict, folder: str, progress, cancel) -> dict:
    """Load a result.

    Args:
        request: ``record``, the path of a scan's record.

    Returns:
        ``name``, ``image`` (the scan, a description) and what the task "segment" returns of labels,
        ``row``, ``flags`` and ``provenance``; ``person`` (age and sex, where the record says them).

    Raises:
        InputError: There is no result, or the scan or its labels are gone or changed.
    """
    from ..batch.source import file_sha256
    from ..results.volumes import measure

    path = Path(request["record"])
    record = _record(path)
    progress("Reading the scan", 0.1)
    scan = _scan(record)
    progress("Reading the result", 0.7)
    file = path.parent / record.files["labels"].name
    labels = _labels(file, scan)
    row, flags = dict(record.measurements), plain(list(record.flags))
    if file_sha256(file) != record.files["labels"].sha256:
        # What was expected of the outlines as they came says nothing of edited ones.
        row = measure(labels, record.measurements.get("intracranial_mm3")).as_row()
        message = "The segments were edited by hand after the segmentation."
        flags.append({"code": "edited", "message": message, "side": None, "severity": "info"})
    import SimpleITK as sitk

    array, index = crop_labels(sitk.GetArrayViewFromImage(labels))
    return {
        "name": record.scan,
        "image": from_image(scan, folder, "loaded.npy"),
        "labels": {"array": write_array(array, folder, "loaded-labels.npy"), "index": index},
        "row": plain(row),
        "flags": flags,
        "provenance": plain(record.provenance),
        "person": _person(record.provenance),
    }


def _record(path: Path) -> ScanRecord:
    from ..report.write import load

    record = load(path)
    if record.failure is not None or "labels" not in record.files:
        raise InputError("This scan has no result to load.", "Choose another one.", "no_result")
    return record


def _scan(record: ScanRecord) -> sitk.Image:
    from ..batch.source import Source
    from ..io.images import read_scan

    source = Source(Path(record.source.path), record.source.series)
    if not source.path.exists():
        raise InputError(
            "The scan is no longer where it was when it was segmented.",
            "Put it back, or segment it from where it is now.",
            "scan_gone",
        )
    settings = record.provenance.get("settings")
    region = bool(settings.get("region_side")) if isinstance(settings, Mapping) else False
    image = read_scan(source.path, region, source.series).image
    if record.source.sha256 not in (None, source.sha256(image)):
        raise InputError("The scan has changed since it was segmented.", "Segment it again.", "scan_changed")
    return image


def _labels(file: Path, scan: sitk.Image) -> sitk.Image:
    import SimpleITK as sitk

    try:
        labels = sitk.ReadImage(str(file))
    except (RuntimeError, OSError):
        labels = None
    if labels is None or labels.GetSize() != scan.GetSize():
        raise InputError(
            f"The label image '{file.name}' is gone, damaged, or not on the scan's grid.",
            "Segment the scan again.",
            "labels",
        )
    return sitk.Cast(labels, sitk.sitkUInt16)


def _person(provenance: Mapping[str, Any]) -> dict[str, Any]:
    from ..reference import judgement_of

    judgement = judgement_of(provenance.get("reference"))
    return {} if judgement is None else plain(judgement.person)
