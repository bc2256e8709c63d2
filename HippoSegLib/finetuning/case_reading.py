"""Scan and label of one source, read; and what is common to crops and heads in making a case of them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..evaluation.grids import same_grid
from ..evaluation.labelmap import in_words, read_labels
from ..geometry.roi import Roi, crop
from ..io.images import Scan, check_scan, read_scan
from ..training.cases import WHOLE_ONLY, Case
from ..training.protocols import FULL
from .site_case import ERROR, NOTE, SiteCase
from .site_labels import SiteLabels, guess, values_in
from .sources import SiteSource


def read(source: SiteSource, region: bool) -> tuple[Scan, sitk.Image]:
    """Scan and label (int32) of a source; raises InputError where one cannot be read."""
    if isinstance(source.image, sitk.Image):
        scan = check_scan(source.image, region)
    else:
        scan = read_scan(source.image, region)
    if isinstance(source.label, sitk.Image):
        label = sitk.Cast(source.label, sitk.sitkInt32)
    else:
        label = read_labels(source.label, region)
    return scan, label


def label_name(source: SiteSource) -> str:
    """What messages call the label of a source."""
    return source.label.name if isinstance(source.label, Path) else f"label of {source.name}"


def labels_of(source: SiteSource, label: sitk.Image, named: SiteLabels | None, region: bool) -> SiteLabels:
    """What the values of a label mean: as named, or guessed; raises InputError where that does not fit."""
    array = sitk.GetArrayViewFromImage(label)
    if named is None:
        preset = guess(array, region)
        if preset is None:
            raise InputError(
                f"What the values of '{label_name(source)}' mean is not clear; the values there are: "
                f"{in_words(values_in(array))}.",
                "Name the label map.",
                "label_map_values",
            )
        named = SiteLabels.read(preset)
    named.refuse_if_absent(array, label_name(source))
    return named


def fingerprint(image: sitk.Image, label: sitk.Image) -> str:
    """SHA-256 of the voxels and geometry of scan and label: which case this is, without its name."""
    total = hashlib.sha256()
    for one in (image, label):
        geometry = np.round((*one.GetSize(), *one.GetSpacing(), *one.GetOrigin(), *one.GetDirection()), 3)
        total.update((geometry + 0.0).tobytes())
        total.update(np.ascontiguousarray(sitk.GetArrayViewFromImage(one)).data)
    return total.hexdigest()


def begun(source: SiteSource, scan: Scan, label: sitk.Image, side: str) -> SiteCase:
    """A case of one side without its region yet; what reading noticed stands in its findings."""
    image = scan.image
    x, y, z = image.GetSpacing()
    name, subject, role = source.name, source.subject, source.role
    case = SiteCase(name, subject, role, side, sha256=fingerprint(image, label), spacing=(x, y, z))
    for flag in scan.flags:
        case = case.noted(NOTE, "scan", flag.message)
    if not same_grid(image, label):
        case = case.noted(NOTE, "grid", "The label is on another grid than the scan; it is resampled.")
    return case


def volume_mm3(mask: np.ndarray, label: sitk.Image) -> float:
    """Volume of what is not 0 in an array (z, y, x) on the label's grid, mm³."""
    return float(np.count_nonzero(mask) * np.prod(label.GetSpacing()))


def classes_on(classes: np.ndarray, label: sitk.Image, grid: sitk.Image) -> np.ndarray:
    """Classes on another grid: each interpolated linearly, the whole cut at 0.5; uint8 (z, y, x)."""
    shares = np.zeros((3, *grid.GetSize()[::-1]), np.float32)
    region = Roi("", grid.GetSize(), grid.GetSpacing()[0], grid.GetOrigin(), grid.GetDirection())
    for number in (1, 2, WHOLE_ONLY):
        if (classes == number).any():
            mask = sitk.GetImageFromArray((classes == number).astype(np.float32))
            mask.CopyInformation(label)
            shares[number - 1] = crop(mask, region)
    return np.where(shares.sum(axis=0) > 0.5, shares.argmax(axis=0) + 1, 0).astype(np.uint8)


def with_region(found: SiteCase, values: np.ndarray, labels: np.ndarray) -> SiteCase:
    """The case with its region (z, y, x) as the training wants it, or a finding that there is nothing to
    learn."""
    if not labels.any():
        return found.noted(ERROR, "empty", "The label lies outside the scan, or is empty.")
    if values.min() == values.max():
        return found.noted(ERROR, "constant", "The scan is constant where the hippocampus should be.")
    values = np.ascontiguousarray(values - values.min(), np.float32)
    # Whatever a site calls hippocampus is all of it.
    case = Case(found.name, found.subject, values, np.ascontiguousarray(labels), FULL)
    return replace(found, case=case)
