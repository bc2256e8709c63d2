"""Cases from crops of one hippocampus, which are taken as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..evaluation.grids import refuse_other_world, same_grid
from ..geometry.orientation import canonical_axes
from ..geometry.roi import Roi, coverage, crop, roi_about
from ..io.background import background_at_zero
from .case_reading import begun, classes_on, label_name, labels_of, read, volume_mm3, with_region
from .site_case import SiteCase
from .site_labels import SiteLabels
from .sources import SiteSource


def from_crop(source: SiteSource, named: SiteLabels | None, side: str | None) -> list[SiteCase]:
    """Make the case of a crop; `side` is of all crops whose source does not say it.

    Raises:
        InputError: The side is not known, or scan or label cannot be read or do not fit each other.
    """
    side = source.side or side
    if side is None:
        raise InputError(
            f"The side of the crop {source.name} is not known.",
            "State it, in the file's name (…_left, …_rh) or in a table.",
            "side_unknown",
        )
    scan, label = read(source, True)
    image = scan.image
    found = begun(source, scan, label, side)
    classes = labels_of(source, label, named, True).classes(sitk.GetArrayViewFromImage(label), side)
    if not same_grid(image, label) and image.GetSize() == label.GetSize():
        # Crops often come without a world; voxels of one shape that lie apart are refused all the same.
        refuse_other_world(image, label, {side: classes > 0}, "scan", label_name(source))
    found = replace(found, volume_mm3=volume_mm3(classes, label))
    head = background_at_zero(canonical_axes(image)[0], region=True)
    region = _region(head, side)
    if _is_1_mm(head):
        values = sitk.GetArrayFromImage(head).astype(np.float32)
        values = values[:, :, ::-1] if side == "right" else values
        labels = classes_on(classes, label, region.image(values.copy()))
    else:
        box = _box(coverage(head, region))
        values = crop(head, region)[box]
        labels = classes_on(classes, label, region.image(np.zeros(region.size[::-1], np.uint8)))[box]
    return [with_region(found, values, labels)]


def _is_1_mm(head: sitk.Image) -> bool:
    return bool(np.abs(np.array(head.GetSpacing()) - 1).max() <= 0.01)


def _region(head: sitk.Image, side: str) -> Roi:
    """The crop's own grid at 1 mm, its axes in canonical order, a right side mirrored."""
    size = np.maximum(np.round(np.array(head.GetSize()) * np.array(head.GetSpacing())), 1).astype(int)
    if _is_1_mm(head):
        size = np.array(head.GetSize())
    centre = head.TransformContinuousIndexToPhysicalPoint(((np.array(head.GetSize()) - 1) / 2).tolist())
    axes = np.array(head.GetDirection()).reshape(3, 3)
    return roi_about(centre, axes, side, size[::-1], 1.0)


def _box(inside: np.ndarray) -> tuple[slice, ...]:
    points = np.argwhere(inside)
    return tuple(slice(a, b + 1) for a, b in zip(points.min(axis=0), points.max(axis=0), strict=True))
