"""From a pair of files to training cases: read, locate as the street does, cut, hash.

Whole heads are cut about where the base model's own street finds the hippocampi, so that the network
learns on what it will be shown; crops are taken as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import Cancelled, HippoSegError, InputError
from ..evaluation.grids import refuse_other_world, same_grid
from ..evaluation.labelmap import read_labels
from ..geometry.orientation import canonical_axes
from ..geometry.roi import Roi, coverage, crop, roi_about
from ..io.background import background_at_zero
from ..io.images import Scan, check_scan, read_scan
from ..labels import SIDES
from ..models.store import Model
from ..pipeline import SegmentationResult, segment
from ..training.cases import WHOLE_ONLY, Case
from ..training.protocols import FULL
from .meaning import Meaning, guess
from .sources import Source

#: Size (z, y, x) of what is cut out of a head, voxels: the network's region with room for turning it.
CUT_SHAPE = (80, 88, 72)
#: A label further from the middle of its region than this is not in it, mm.
_FAR_MM = 15.0
#: Severity of a finding: the case cannot be used; it can, but look at it; worth knowing.
ERROR, DOUBT, NOTE = "error", "doubt", "note"


@dataclass(frozen=True)
class Finding:
    """Something about a case, in words."""

    severity: str
    code: str
    text: str


@dataclass
class SiteCase:
    """One hippocampus of the site, or a pair that cannot be used.

    Attributes:
        name, subject, role: See `Source`; the name says the side where a head gave two.
        side: Which hippocampus.
        case: Region and classes as the training wants them (left geometry, 1 mm, class
            ``WHOLE_ONLY`` where the part is unknown); None where the case cannot be used.
        sha256: Of the voxels and geometry of scan and label: the card names cases by it.
        volume_mm3: Of the label, on its own grid.
        spacing: Of the scan, mm (x, y, z).
        base_dice: Whole hippocampus, what the base model finds against the label.
        findings: What the check noticed.
    """

    name: str
    subject: str
    role: str
    side: str | None = None
    case: Case | None = None
    sha256: str = ""
    volume_mm3: float = float("nan")
    spacing: tuple[float, float, float] | None = None
    base_dice: float = float("nan")
    findings: list[Finding] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        return self.case is not None and not any(f.severity == ERROR for f in self.findings)

    @property
    def whole_only(self) -> bool:
        return self.case is not None and bool((self.case.label == WHOLE_ONLY).any())

    def add(self, severity: str, code: str, text: str) -> None:
        self.findings.append(Finding(severity, code, text))


def prepare(
    sources: list[Source],
    base: Model,
    label_map: str | None = None,
    *,
    region: bool = False,
    side: str | None = None,
    threads: int | None = None,
    device: str = "cpu",
    progress: Callable[[str, float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> list[SiteCase]:
    """Read and cut every source; what is wrong with one becomes its finding, not an exception.

    Args:
        sources: From `sources.find_sources`, or made of images in memory.
        base: The model to be fine-tuned; its street finds the hippocampi.
        label_map: See `Meaning`; None guesses between the known presets by the values.
        region: The images are crops of one hippocampus.
        side: Side of all crops, where neither table nor name tells.
        threads, device: As in `segmentation.segment`.

    Raises:
        InputError: The label map cannot be read. ModelError: A model for crops, given heads. Cancelled.
    """
    meaning = None if label_map is None else Meaning.read(label_map)
    result = []
    for number, source in enumerate(sources):
        if cancel is not None and cancel():
            raise Cancelled()
        if progress is not None:
            progress(f"Reading case {number + 1} of {len(sources)}", number / len(sources))
        try:
            if region:
                result += _from_crop(source, meaning, side)
            else:
                result += _from_head(source, meaning, base, threads, device)
        except Cancelled:
            raise
        except HippoSegError as error:
            failed = SiteCase(source.name, source.subject, source.role, source.side)
            failed.add(ERROR, type(error).__name__, str(error))
            result.append(failed)
    return result


def _read(source: Source, region: bool) -> tuple[Scan, sitk.Image]:
    """Scan and label of a source."""
    if isinstance(source.image, sitk.Image):
        scan = check_scan(source.image, region)
    else:
        scan = read_scan(source.image, region)
    if isinstance(source.label, sitk.Image):
        label = sitk.Cast(source.label, sitk.sitkInt32)
    else:
        label = read_labels(source.label, region)
    return scan, label


def _label_name(source: Source) -> str:
    return source.label.name if isinstance(source.label, Path) else f"label of {source.name}"


def _meaning(meaning: Meaning | None, label: sitk.Image, source: Source, region: bool) -> Meaning:
    array = sitk.GetArrayViewFromImage(label)
    if meaning is None:
        name = guess(array, region)
        if name is None:
            Meaning.read("freesurfer").refuse_if_absent(
                np.where(np.isin(array, (17, 53)), 0, array), _label_name(source)
            )
        meaning = Meaning.read(name)
    meaning.refuse_if_absent(array, _label_name(source))
    return meaning


def fingerprint(image: sitk.Image, label: sitk.Image) -> str:
    """SHA-256 of the voxels and geometry of scan and label: which case this is, without its name."""
    total = hashlib.sha256()
    for one in (image, label):
        geometry = np.round((*one.GetSize(), *one.GetSpacing(), *one.GetOrigin(), *one.GetDirection()), 3)
        total.update((geometry + 0.0).tobytes())
        total.update(np.ascontiguousarray(sitk.GetArrayViewFromImage(one)))
    return total.hexdigest()


def _start(source: Source, scan: Scan, label: sitk.Image, **more) -> SiteCase:
    image = scan.image
    case = SiteCase(source.name, source.subject, source.role, spacing=tuple(image.GetSpacing()), **more)
    case.sha256 = fingerprint(image, label)
    for flag in scan.flags:
        case.add(NOTE, "scan", flag.message)
    if not same_grid(image, label):
        case.add(NOTE, "grid", "The label is on another grid than the scan; it is resampled.")
    return case


def _volume(mask: np.ndarray, label: sitk.Image) -> float:
    return float(np.count_nonzero(mask) * np.prod(label.GetSpacing()))


def _from_crop(source: Source, meaning: Meaning | None, side: str | None) -> list[SiteCase]:
    side = source.side or side
    if side is None:
        raise InputError(
            f"The side of the crop {source.name} is not known.",
            "State it, in the file's name (…_left, …_rh) or in a table.",
            "side_unknown",
        )
    scan, label = _read(source, True)
    image = scan.image
    found = _start(source, scan, label, side=side)
    classes = _meaning(meaning, label, source, True).classes(sitk.GetArrayViewFromImage(label), side)
    if not same_grid(image, label) and image.GetSize() == label.GetSize():
        # Crops often come without a world; voxels of one shape that lie apart are doubtful all the same.
        refuse_other_world(image, label, {side: classes > 0}, "scan", _label_name(source))
    found.volume_mm3 = _volume(classes, label)
    head = background_at_zero(canonical_axes(image)[0], region=True)
    aligned = _is_1_mm(head)
    region = _crop_region(head, side)
    if aligned:
        values = sitk.GetArrayFromImage(head).astype(np.float32)
        values = values[:, :, ::-1] if side == "right" else values
        grid = region.image(values.copy())
    else:
        values = crop(head, region)
        box = _box(coverage(head, region))
        values = values[box]
        grid = region.image(np.zeros(region.size[::-1], np.uint8))
    labels = _classes_on(classes, label, grid)
    if not aligned:
        labels = labels[box]
    found.case = _case(found, values, labels)
    return [found]


def _is_1_mm(head: sitk.Image) -> bool:
    return bool(np.abs(np.array(head.GetSpacing()) - 1).max() <= 0.01)


def _crop_region(head: sitk.Image, side: str) -> Roi:
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


def _classes_on(classes: np.ndarray, label: sitk.Image, grid: sitk.Image) -> np.ndarray:
    """Classes on another grid: each interpolated linearly, the whole cut at 0.5; uint8 (z, y, x)."""
    shares = np.zeros((3, *grid.GetSize()[::-1]), np.float32)
    region = Roi("", grid.GetSize(), grid.GetSpacing()[0], grid.GetOrigin(), grid.GetDirection())
    for number in (1, 2, WHOLE_ONLY):
        if (classes == number).any():
            mask = sitk.GetImageFromArray((classes == number).astype(np.float32))
            mask.CopyInformation(label)
            shares[number - 1] = crop(mask, region)
    return np.where(shares.sum(axis=0) > 0.5, shares.argmax(axis=0) + 1, 0).astype(np.uint8)


def _case(found: SiteCase, values: np.ndarray, labels: np.ndarray) -> Case | None:
    if not labels.any():
        found.add(ERROR, "empty", "The label lies outside the scan, or is empty.")
        return None
    if values.min() == values.max():
        found.add(ERROR, "constant", "The scan is constant where the hippocampus should be.")
        return None
    values = np.ascontiguousarray(values - values.min(), np.float32)
    # Whatever a site calls hippocampus is all of it.
    return Case(found.name, found.subject, values, np.ascontiguousarray(labels), FULL)


def _from_head(
    source: Source, meaning: Meaning | None, base: Model, threads: int | None, device: str
) -> list[SiteCase]:
    scan, label = _read(source, False)
    image = scan.image
    meaning = _meaning(meaning, label, source, False)
    array = sitk.GetArrayViewFromImage(label)
    anywhere = {"label": np.logical_or.reduce([meaning.classes(array, side) > 0 for side in SIDES])}
    refuse_other_world(image, label, anywhere, "scan", _label_name(source))
    result = segment(scan, model=base, device=device, threads=threads)
    head = background_at_zero(canonical_axes(image)[0])
    found = [_side_of_head(source, scan, head, label, meaning, result, side) for side in SIDES]
    there = [one for one in found if one is not None]
    if not there:
        raise InputError(
            f"'{_label_name(source)}' labels neither side where a hippocampus was found.",
            "Correct the labels.",
        )
    if len(there) == 1:
        there[0].add(NOTE, "one_side", f"Only the {there[0].side} side is labelled and used.")
    return there


def _side_of_head(
    source: Source,
    scan: Scan,
    head: sitk.Image,
    label: sitk.Image,
    meaning: Meaning,
    result: SegmentationResult,
    side: str,
) -> SiteCase | None:
    classes = meaning.classes(sitk.GetArrayViewFromImage(label), side)
    if not meaning.sided:
        classes = np.where(_on_side(label, result, side), classes, 0).astype(np.uint8)
    if not classes.any():
        return None
    found = _start(source, scan, label, side=side)
    found.name = f"{source.name}_{side}"
    found.volume_mm3 = _volume(classes, label)
    if side not in result.roi_images:
        found.add(ERROR, "not_found", f"The {side} hippocampus was not found in the scan.")
        return found
    seen = result.roi_images[side]
    middle = seen.TransformContinuousIndexToPhysicalPoint(((np.array(seen.GetSize()) - 1) / 2).tolist())
    if (far := _distance(classes, label, middle)) > _FAR_MM:
        other = [s for s in SIDES if s != side and s in result.roi_images]
        centre = _middle(result.roi_images[other[0]]) if other else None
        if centre is not None and _distance(classes, label, centre) < _FAR_MM:
            found.add(ERROR, "sides", f"The label for the {side} side lies on the other side: exchanged?")
        else:
            text = f"The label lies {far:.0f} mm from the {side} hippocampus found: of another structure?"
            found.add(ERROR, "elsewhere", text)
        return found
    region = roi_about(
        middle,
        np.array(seen.GetDirection()).reshape(3, 3) * ([-1, 1, 1] if side == "right" else 1),
        side,
        CUT_SHAPE,
    )
    labels = _classes_on(classes, label, region.image(np.zeros(CUT_SHAPE, np.uint8)))
    found.case = _case(found, crop(head, region), labels)
    return found


def _middle(image: sitk.Image) -> tuple[float, ...]:
    return image.TransformContinuousIndexToPhysicalPoint(((np.array(image.GetSize()) - 1) / 2).tolist())


def _world(label: sitk.Image, index_zyx: np.ndarray) -> np.ndarray:
    matrix = np.array(label.GetDirection()).reshape(3, 3) * np.array(label.GetSpacing())
    return index_zyx[:, ::-1] @ matrix.T + np.array(label.GetOrigin())


def _distance(classes: np.ndarray, label: sitk.Image, point) -> float:
    centre = _world(label, np.argwhere(classes > 0)).mean(axis=0)
    return float(np.linalg.norm(centre - np.array(point)))


def _on_side(label: sitk.Image, result: SegmentationResult, side: str) -> np.ndarray:
    """(z, y, x) bool: the label's voxels nearer to this side's region than to the other's."""
    near = np.zeros(label.GetSize()[::-1], bool)
    index = np.argwhere(sitk.GetArrayViewFromImage(label) > 0)
    points = _world(label, index)
    middles = {one: np.array(_middle(roi)) for one, roi in result.roi_images.items()}
    distances = {one: np.linalg.norm(points - middle, axis=1) for one, middle in middles.items()}
    if side in distances:
        mine = np.logical_and.reduce([distances[side] <= d for d in distances.values()])
        near[tuple(index[mine].T)] = True
    return near
