"""Cases from whole heads: cut about where the base model's pipeline finds the hippocampi, so that the network
learns on what it will be shown."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..evaluation.grids import refuse_other_world
from ..geometry.orientation import canonical_axes
from ..geometry.roi import crop, roi_about
from ..io.background import background_at_zero
from ..io.images import Scan
from ..labels import SIDES
from ..models.store import Model
from ..pipeline import segment
from .case_reading import begun, classes_on, label_name, labels_of, read, volume_mm3, with_region
from .run_options import RunOptions
from .site_case import ERROR, NOTE, SiteCase
from .site_labels import SiteLabels
from .sources import SiteSource

#: Size (z, y, x) of what is cut out of a head, voxels: the network's region with room for turning it.
CUT_SHAPE = (80, 88, 72)
#: A label further from the middle of its region than this is not in it, mm.
_FAR_MM = 15.0


@dataclass(frozen=True)
class _LabelledHead:
    """A head with its label, and where the pipeline found the hippocampi.

    Attributes:
        head: The scan, axes in canonical order, background at 0.
        found: Side -> the region that the network saw there.
    """

    source: SiteSource
    scan: Scan
    head: sitk.Image
    label: sitk.Image
    labels: SiteLabels
    found: dict[str, sitk.Image]


def from_head(source: SiteSource, named: SiteLabels | None, base: Model, run: RunOptions) -> list[SiteCase]:
    """Make a case for each side of a head that is labelled.

    Raises:
        InputError: Scan or label cannot be read or do not fit each other, or neither side is labelled.
        ModelError: The model is for crops.
    """
    scan, label = read(source, False)
    labels = labels_of(source, label, named, False)
    array = sitk.GetArrayViewFromImage(label)
    anywhere = {"label": np.logical_or.reduce([labels.classes(array, side) > 0 for side in SIDES])}
    refuse_other_world(scan.image, label, anywhere, "scan", label_name(source))
    result = segment(scan, model=base, device=run.device, threads=run.threads)
    head = background_at_zero(canonical_axes(scan.image)[0])
    whole = _LabelledHead(source, scan, head, label, labels, dict(result.roi_images))
    there = [one for side in SIDES if (one := _side(whole, side)) is not None]
    if not there:
        raise InputError(
            f"'{label_name(source)}' labels neither side where a hippocampus was found.",
            "Correct the labels.",
        )
    if len(there) == 1:
        there[0] = there[0].noted(NOTE, "one_side", f"Only the {there[0].side} side is labelled and used.")
    return there


def _side(head: _LabelledHead, side: str) -> SiteCase | None:
    """The case of one side; None where it is not labelled."""
    label = head.label
    classes = head.labels.classes(sitk.GetArrayViewFromImage(label), side)
    if not head.labels.sided:
        classes = np.where(_on_side(label, head.found, side), classes, 0).astype(np.uint8)
    if not classes.any():
        return None
    case = begun(head.source, head.scan, label, side)
    case = replace(case, name=f"{head.source.name}_{side}", volume_mm3=volume_mm3(classes, label))
    if side not in head.found:
        return case.noted(ERROR, "not_found", f"The {side} hippocampus was not found in the scan.")
    middle = _middle(head.found[side])
    far = _distance(classes, label, middle)
    if far > _FAR_MM:
        others = [_middle(image) for one, image in head.found.items() if one != side]
        if others and _distance(classes, label, others[0]) < _FAR_MM:
            text = f"The label for the {side} side lies on the other side: exchanged?"
            return case.noted(ERROR, "sides", text)
        text = f"The label lies {far:.0f} mm from the {side} hippocampus found: of another structure?"
        return case.noted(ERROR, "elsewhere", text)
    axes = np.array(head.found[side].GetDirection()).reshape(3, 3)
    axes = axes * ([-1, 1, 1] if side == "right" else 1)
    region = roi_about(middle, axes, side, CUT_SHAPE)
    cut = classes_on(classes, label, region.image(np.zeros(CUT_SHAPE, np.uint8)))
    return with_region(case, crop(head.head, region), cut)


def _middle(image: sitk.Image) -> tuple[float, ...]:
    return image.TransformContinuousIndexToPhysicalPoint(((np.array(image.GetSize()) - 1) / 2).tolist())


def _world(label: sitk.Image, index_zyx: np.ndarray) -> np.ndarray:
    matrix = np.array(label.GetDirection()).reshape(3, 3) * np.array(label.GetSpacing())
    return index_zyx[:, ::-1] @ matrix.T + np.array(label.GetOrigin())


def _distance(classes: np.ndarray, label: sitk.Image, point: tuple[float, ...]) -> float:
    """From the centre of what is not 0 to a point in world space, mm."""
    centre = _world(label, np.argwhere(classes > 0)).mean(axis=0)
    return float(np.linalg.norm(centre - np.array(point)))


def _on_side(label: sitk.Image, found: dict[str, sitk.Image], side: str) -> np.ndarray:
    """(z, y, x) bool: the label's voxels nearer to this side's region than to the other's."""
    near = np.zeros(label.GetSize()[::-1], bool)
    index = np.argwhere(sitk.GetArrayViewFromImage(label) > 0)
    points = _world(label, index)
    distances = {
        one: np.linalg.norm(points - np.array(_middle(image)), axis=1) for one, image in found.items()
    }
    if side in distances:
        mine = np.logical_and.reduce([distances[side] <= d for d in distances.values()])
        near[tuple(index[mine].T)] = True
    return near
