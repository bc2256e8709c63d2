"""The background of a scan at 0, whatever its grey values count from.

Scanners, converters and statistics packages shift and scale grey values: 1024 added, z-scores, signed
numbers, -1000 outside the field of view. All later stages take 0 for "nothing there"; here the darkest level
of the scan becomes 0, exactly (integers stay integers), so that an added constant changes nothing. A scan
whose darkest level is 0 already is returned as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..geometry import masks

#: Share of the voxels that may be darker than the background: ringing of an interpolation, stray voxels.
DARKER = 0.005
#: Share of the voxels, brightest first, that does not count for the range of grey values.
BRIGHTER = 0.01
#: Padding below the rest: at most so many values, each on this share of the voxels, and parted from the rest
#: by this share of its range; of the rest, so much may lie between (interpolated), and this share lies in
#: the lowest tenth of the range: it has a background of its own (in skull-stripped brains it is under 0.08).
LOW_VALUES, LOW_SHARE, LOW_GAP, BETWEEN, OWN_BACKGROUND = 3, 0.002, 0.1, 0.02, 0.15
#: Padding above the background: one value on this share of the volume's faces, and so far up in the range.
FACE_SHARE, HIGH_RISE = 0.25, 0.15
#: Voxels of a masked hole within the head; fewer with the padding's very value are tissue.
HOLE = 30
#: Enough voxels to judge by.
SAMPLE = 500_000


@dataclass(frozen=True)
class _Histogram:
    """Grey values, sorted, in their own type, and how many voxels have each."""

    values: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, array: np.ndarray) -> _Histogram:
        return cls(*np.unique(array, return_counts=True))

    def where(self, keep: np.ndarray) -> _Histogram:
        return _Histogram(self.values[keep], self.counts[keep])

    def quantile(self, share: float) -> np.generic:
        place = int(np.searchsorted(np.cumsum(self.counts), share * self.counts.sum()))
        return self.values[min(place, len(self.values) - 1)]

    def share(self, which: np.ndarray) -> float:
        return float(self.counts[which].sum() / self.counts.sum())


def background_at_zero(image: sitk.Image, region: bool = False) -> sitk.Image:
    """The image with its background at 0 and nothing below it.

    Args:
        image: Scalar 3D image in canonical axes (the voxels that are judged depend on the storage).
        region: It is the crop of one hippocampus: there is no background, its minimum becomes 0.

    Returns:
        The same object where nothing is to be done; else a new one: unsigned integers of the same size, or
        float32. Padding, also above the background, is 0 too.
    """
    array = sitk.GetArrayViewFromImage(image)
    if region:
        return _shifted(image, array, array.min(), None)
    step = max(1, int((array.size / SAMPLE) ** (1 / 3)))
    inside = _above_padding(_Histogram.of(array[::step, ::step, ::step]))
    padding, covered = _padding_on_the_faces(array, inside), None
    if padding is not None:
        inside = inside.where(inside.values != padding)
        covered = _regions(array == padding)
    return _shifted(image, array, inside.quantile(DARKER), covered)


def background_level(values: np.ndarray) -> np.generic:
    """The darkest level among grey values (any shape, finite): one of them, of their own type.

    Padding below it is passed over, and so is the small share of voxels that a filter left darker.
    """
    return _above_padding(_Histogram.of(values)).quantile(DARKER)


def _above_padding(all_: _Histogram) -> _Histogram:
    """Without the lowest values where they lie outside the field of view: apart from a rest that has air."""
    for number in range(min(LOW_VALUES, len(all_.values) - 2), 0, -1):
        rest = _Histogram(all_.values[number:], all_.counts[number:])
        if all_.counts[:number].min() < LOW_SHARE * all_.counts.sum():
            continue
        lowest = rest.quantile(BETWEEN)
        low, high = float(lowest), float(rest.quantile(1 - BRIGHTER))
        apart = low - float(all_.values[number - 1]) > LOW_GAP * (high - low)
        if apart and rest.share(rest.values <= low + 0.1 * (high - low)) >= OWN_BACKGROUND:
            return rest.where(rest.values >= lowest)
    return all_


def _padding_on_the_faces(array: np.ndarray, inside: _Histogram) -> np.generic | None:
    """A value that fills much of the volume's faces though it is not dark: 0 in z-scored images, say."""
    faces = _Histogram.of(np.concatenate([face.ravel() for face in _faces(array)]))
    commonest = faces.values[np.where(faces.values >= inside.values[0], faces.counts, 0).argmax()]
    rest = inside.where(inside.values != commonest)
    if faces.share(faces.values == commonest) < FACE_SHARE or not len(rest.values):
        return None
    low, high = float(rest.quantile(DARKER)), float(rest.quantile(1 - BRIGHTER))
    return commonest if float(commonest) - low > HIGH_RISE * (high - low) else None


def _faces(array: np.ndarray) -> list[np.ndarray]:
    return [array.take(end, axis=axis) for axis in range(3) for end in (0, -1)]


def _regions(mask: np.ndarray) -> np.ndarray:
    """The components of a mask (z, y, x) that are large or touch the border; others are voxels of tissue."""
    components, _ = masks.components(mask)
    large = np.bincount(components.ravel()) >= HOLE
    for face in _faces(components):
        large[face.ravel()] = True
    large[0] = False
    return large[components]


def _shifted(
    image: sitk.Image, array: np.ndarray, level: np.generic, covered: np.ndarray | None
) -> sitk.Image:
    if level == 0 and covered is None and array.min() >= 0:
        return image
    lifted = np.maximum(array, level)
    if array.dtype.kind in "iu":
        # Modulo 2**n the difference is exact, also where it does not fit the signed type.
        unsigned = np.dtype(f"u{array.dtype.itemsize}")
        lifted = lifted.view(unsigned)
        lifted -= np.asarray(level).astype(unsigned)
    else:
        lifted -= level
    if covered is not None:
        lifted[covered] = 0
    result = sitk.GetImageFromArray(lifted)
    result.CopyInformation(image)
    return result
