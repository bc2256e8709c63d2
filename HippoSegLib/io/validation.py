"""Is this image something that can be measured? One sentence with cause and remedy where not.

Arrays are (z, y, x); lengths are mm.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..flags import Flag
from ..geometry import masks
from .background import SAMPLE, background_level
from .hounsfield import CT_FLAG, looks_like_ct

#: Sensible voxel sizes, mm.
SPACING_RANGE = (0.2, 6.0)
#: Sensible field of view per axis, mm: of a head (a slab included), of the crop of one hippocampus.
HEAD_EXTENT, REGION_EXTENT = (40.0, 650.0), (15.0, 150.0)
#: An image that is thinner than a head, but measures so much along its other axes, is a slab, mm.
SLAB_EXTENT = 100.0
#: Farthest place of the first voxel, mm; a header that states more is damaged.
MAX_ORIGIN = 1e5
#: Least number of voxels per axis of a 3D image.
MIN_VOXELS = 8
#: Spacing above which volumes are uncertain, mm.
COARSE_SPACING = 3.0
#: A label image has at most so many values, and so large a part of neighbouring voxels equal.
LABEL_VALUES, LABEL_EQUAL_NEIGHBOURS = 256, 0.7


def check_image(image: sitk.Image, region: bool = False) -> tuple[sitk.Image, list[Flag]]:
    """Check an image and return it as a 3D scalar image that the rest can work with.

    Args:
        image: Any SimpleITK image.
        region: The image is the crop of one hippocampus, not a head.

    Returns:
        The image (the same object where nothing had to be changed; a last axis of length 1 dropped,
        64-bit numbers as float32, NaN and infinity outside the head taken as background) and flags.

    Raises:
        InputError: It cannot be used.
    """
    image = _three_dimensional(image)
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError("The image holds colours or vectors.", "Give a grey-value T1 image.", "not_grey")
    if "complex" in image.GetPixelIDTypeAsString():
        raise InputError("The image holds complex numbers.", "Give the magnitude image.", "not_grey")
    if image.GetPixelIDTypeAsString().startswith("label"):
        raise InputError(
            "The image is a label image, not a scan.", "Give the T1 image itself.", "label_image"
        )
    flags = _check_geometry(image, region)
    if image.GetPixelID() in (sitk.sitkFloat64, sitk.sitkInt64, sitk.sitkUInt64):
        image = sitk.Cast(image, sitk.sitkFloat32)  # 64 bits are twice the memory for nothing
    array = sitk.GetArrayViewFromImage(image)
    if array.dtype.kind == "f":
        image, array, more = _finite(image, array)
        flags += more
    low, high = array.min(), array.max()
    if low == high:
        raise InputError(
            "The image is constant: every voxel has the same value.",
            "Give a T1 image of the head.",
            "constant",
        )
    if is_label_image(array):
        raise InputError(
            "The image is a label image (a segmentation), not a scan.",
            "Give the T1 image itself.",
            "label_image",
        )
    if looks_like_ct(array):
        flags.append(CT_FLAG)
    return image, flags


def _three_dimensional(image: sitk.Image) -> sitk.Image:
    size = list(image.GetSize())
    if len(size) == 4 and size[3] == 1:
        image = sitk.Extract(image, size[:3] + [0], [0] * 4)
    elif len(size) > 3:
        raise InputError(f"The image is {len(size)}D.", "Give one volume, the T1 image.", "several_volumes")
    if image.GetDimension() < 3 or min(image.GetSize()) == 1:
        raise InputError(
            "The image is 2D: a single slice.", "Give a 3D T1 image of the head.", "two_dimensional"
        )
    if min(image.GetSize()) < MIN_VOXELS:
        raise InputError(
            f"The image has only {min(image.GetSize())} slices along one axis.",
            "Give a 3D T1 image of the whole head.",
            "few_slices",
        )
    return image


def _check_geometry(image: sitk.Image, region: bool) -> list[Flag]:
    numbers = (*image.GetSpacing(), *image.GetOrigin(), *image.GetDirection())
    if not np.isfinite(numbers).all():
        raise InputError(
            "The image's geometry holds numbers that are not finite.", "Convert the scan again.", "geometry"
        )
    if np.abs(image.GetOrigin()).max() > MAX_ORIGIN:
        raise InputError(
            f"The image lies {np.abs(image.GetOrigin()).max():.3g} mm away from the origin: its header is "
            "damaged.",
            "Convert the scan again.",
            "geometry",
        )
    direction = np.reshape(image.GetDirection(), (3, 3))
    if np.abs(direction.T @ direction - np.eye(3)).max() > 1e-3:
        raise InputError(
            "The image's axes are not at right angles.",
            "Resample it onto a rectangular grid first, or give the scan before registration.",
            "not_rectangular",
        )
    spacing = np.array(image.GetSpacing())
    extent = spacing * image.GetSize()
    text = " × ".join(f"{s:.3g}" for s in spacing)
    if spacing.min() < SPACING_RANGE[0] or spacing.max() > SPACING_RANGE[1]:
        raise InputError(
            f"The voxel size, {text} mm, is not that of a usable head scan "
            f"({SPACING_RANGE[0]:g} to {SPACING_RANGE[1]:g} mm).",
            "Check the voxel size in the header (the unit is mm), or give another scan.",
            "voxel_size",
        )
    least, most = REGION_EXTENT if region else HEAD_EXTENT
    if extent.min() < least or extent.max() > most:
        size = " × ".join(f"{e:.3g}" for e in extent)
        if not region and extent.max() <= most and sorted(extent)[1] >= SLAB_EXTENT:
            raise InputError(
                f"The image is a slab of {size} mm: it does not hold the whole head.",
                "Give a T1 scan of the whole head.",
                "slab",
            )
        what = "of one hippocampus" if region else "of a head"
        remedy, code = "Check the voxel size in the header (the unit is mm).", "extent"
        if region and extent.max() > most:
            remedy = "Give the crop of one hippocampus, or segment it as a whole head."
        elif not region and extent.min() >= REGION_EXTENT[0] and extent.max() <= REGION_EXTENT[1]:
            remedy = "Give a whole head; if this is the crop of one hippocampus, say so, and of which side."
            code = "crop"
        raise InputError(f"The image measures {size} mm, which is not the size {what}.", remedy, code)
    if spacing.max() > COARSE_SPACING + 1e-3:
        return [Flag("coarse_voxels", f"The voxels are coarse ({text} mm): expect uncertain volumes.")]
    return []


def _finite(image: sitk.Image, array: np.ndarray) -> tuple[sitk.Image, np.ndarray, list[Flag]]:
    """Replace NaN and infinity outside the head by the background; refuse them inside."""
    with np.errstate(over="ignore", invalid="ignore"):
        # One pass: a sum is finite only if every term is (float64, so that it cannot overflow).
        if np.isfinite(array.sum(dtype=np.float64)):
            return image, array, []
    bad = ~np.isfinite(array)
    if bad.all() or _inside_head(array, bad):
        raise InputError(
            "The image has voxels inside the head that are not numbers (NaN or infinite).",
            "Export the scan again without a mask or division that creates them.",
            "not_finite",
        )
    good = array[~bad]
    background = background_level(good[:: max(1, good.size // SAMPLE)])
    fixed = sitk.GetImageFromArray(np.where(bad, background, array))
    fixed.CopyInformation(image)
    words = (
        f"{int(bad.sum())} voxels outside the head were not numbers (NaN or infinite): taken as background."
    )
    return fixed, sitk.GetArrayViewFromImage(fixed), [Flag("not_finite", words, severity="info")]


def _inside_head(array: np.ndarray, bad: np.ndarray) -> bool:
    """Whether a voxel of ``bad`` is enclosed by the head, or ``bad`` blanks a slice through it.

    The head: finite voxels above a tenth of the robust range. Enclosed: not reachable from the
    image's border without passing through the head.
    """
    good = array[~bad]
    low = float(good.min())
    head = ~bad & (array > low + 0.1 * (float(np.percentile(good, 99)) - low))
    components, count = masks.components(~head)
    open_ = np.zeros(count + 1, bool)
    for axis in range(3):
        for end in (0, -1):
            open_[components.take(end, axis=axis).ravel()] = True
    if not open_[components[bad]].all():
        return True
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        with_head = np.flatnonzero(head.any(axis=others))
        blank = np.asarray(bad.all(axis=others))
        if len(with_head) and blank[with_head[0] : with_head[-1]].any():
            return True
    return False


def is_label_image(array: np.ndarray) -> bool:
    """Whether an array (z, y, x) is a segmentation: few integer values in patches of equal voxels.

    A T1 image, even of 8 bits, differs from voxel to voxel inside the head; a label map does not.
    Judged on every second slice and row, without the most frequent value (the background).
    """
    step = max(1, round((array.size / 50_000) ** (1 / 3)))
    values, counts = np.unique(array[::step, ::step, ::step], return_counts=True)
    if len(values) > LABEL_VALUES or (values != np.round(values)).any():
        return False
    sample = array[:: 2 if array.shape[0] > 64 else 1, :: 2 if array.shape[1] > 64 else 1]
    foreground = sample != values[counts.argmax()]
    pairs = foreground[:, :, 1:] | foreground[:, :, :-1]
    if not pairs.any():
        return True
    equal = (sample[:, :, 1:] == sample[:, :, :-1]) & pairs
    return bool(equal.sum() / pairs.sum() > LABEL_EQUAL_NEIGHBOURS)
