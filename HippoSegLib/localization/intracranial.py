"""The intracranial volume, measured in the head brought upright and to the mean size.

The coarse network counts intracranial voxels in any pose, and its count depends on the pose and on what lies
outside the skull. Here it is asked again about the head where it is surest: upright, as large as the mean
head; as it is, mirrored, and without what it takes to lie outside, so that the same head has nearly the same
volume whole, defaced and stripped. The counts are averaged, times by how much the head is larger than the
mean one, and straightened by two constants, which were fitted on heads drawn from the label maps that train.
`Testing/benchmarks/intracranial.py` says what it is worth.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk

from ..geometry import masks
from ..geometry.pose import Affine
from ..models.engines import Network, softmax
from .coarse import CoarseGrid, Localization, shrink
from .normalisation import normalise
from .upright import about_middle, on_upright_grid

#: log(volume) = SLOPE * log(count) + OFFSET, in mm³.
SLOPE, OFFSET = 0.958, 0.611
#: A face of the field of view that shows more tissue of the intracranial space than this cuts it; a brain in
#: a box as tight as can be shows less, and a cut of so much loses under a percent.
MAX_FACE_MM2 = 2500.0
#: What is brighter than this share of the brain is tissue.
_TISSUE = 0.25
#: Steps between the points of a face that are looked at, mm.
_STEP_MM = 2.0
#: Blocks, along z, that are thinned at once.
_SLAB = 8


def intracranial_volume(
    head: sitk.Image, found: Localization, network: Network, grid: CoarseGrid
) -> float | None:
    """The intracranial volume in mm³ of a head that was found; None where the field of view cuts it, or the
    head was not understood.

    Args:
        head: Scalar 3D head in canonical axes, its background at 0.
        found: What `coarse.localize` returned.
        network, grid: The localisation network and its grid.
    """
    if found.head_to_world is None:
        return None
    place = about_middle(found.head_to_world)
    image = normalise(on_upright_grid(_thinned(head, grid), place, grid))
    share = 0.5 * (
        intracranial_share(image, network)
        + intracranial_share(np.ascontiguousarray(image[:, :, ::-1]), network)[:, :, ::-1]
    )
    if found.intracranial_cut and _is_cut(head, place, share, grid):
        return None
    stripped = intracranial_share(normalise(np.where(share > 0.5, image, 0)), network)
    scale = grid.spacing**3 * found.head_to_world.volume
    counts = [scale * max(float(one.sum()), 1.0) for one in (share, stripped)]
    return float(np.exp(SLOPE * np.mean(np.log(counts)) + OFFSET))


def intracranial_share(image: np.ndarray, network: Network) -> np.ndarray:
    """Which share of each voxel of a coarse image (n, n, n) is intracranial, 0..1."""
    share: np.ndarray = softmax(network(image[None])[:4])[1:].sum(axis=0)
    return share


def _thinned(head: sitk.Image, grid: CoarseGrid) -> sitk.Image:
    """As `coarse.shrink`, but with the last voxels of each axis, which may fill no block, and with an empty
    block at each end, so that what touches a face of the field of view ends there as a brain does in air."""
    size, spacing = head.GetSize(), head.GetSpacing()
    blocks = [max(1, min(int(grid.spacing // s), n)) for s, n in zip(spacing, size, strict=True)]
    beyond = [block + -n % block for n, block in zip(size, blocks, strict=True)]
    slabs = []
    for start in range(0, size[2], _SLAB * blocks[2]):  # a padded copy of the whole would be tens of MB
        count = min(_SLAB * blocks[2], size[2] - start)
        slab = sitk.RegionOfInterest(head, [*size[:2], count], [0, 0, start])
        slab = sitk.ConstantPad(slab, [*blocks[:2], 0], [*beyond[:2], -count % blocks[2]], 0)
        slabs.append(sitk.GetArrayFromImage(shrink(slab, grid)))
    image = sitk.GetImageFromArray(np.pad(np.concatenate(slabs), ((1, 1), (0, 0), (0, 0))))
    image.SetSpacing([s * block for s, block in zip(spacing, blocks, strict=True)])
    image.SetDirection(head.GetDirection())
    image.SetOrigin(head.TransformContinuousIndexToPhysicalPoint([-(block + 1) / 2 for block in blocks]))
    return image


def _is_cut(head: sitk.Image, place: Affine, share: np.ndarray, grid: CoarseGrid) -> bool:
    """Whether a face of the field of view shows much tissue of the intracranial space."""
    array = sitk.GetArrayViewFromImage(head)
    inverse = np.linalg.inv(place.matrix)
    brain = _brightness(head, place, share, grid)
    # Voxels of the grid that lie half outside the field of view show half of what is there.
    near = masks.within_a_voxel(share > 0.5)
    for index, area in _faces(head):
        points = index @ (np.reshape(head.GetDirection(), (3, 3)) * np.array(head.GetSpacing())).T
        at = (points + np.array(head.GetOrigin()) - place.offset) @ inverse.T
        voxel = np.rint((at - grid.axis()[0]) / grid.spacing).astype(int)
        known = ((voxel >= 0) & (voxel < grid.size)).all(axis=1)
        x, y, z = voxel[known].T
        inside = near[z, y, x]
        i, j, k = index[known][inside].T
        if area * np.count_nonzero(array[k, j, i] > _TISSUE * brain) > MAX_FACE_MM2:
            return True
    return False


def _brightness(head: sitk.Image, place: Affine, share: np.ndarray, grid: CoarseGrid) -> float:
    """Median grey value within the skull, of points a centimetre apart."""
    sure = np.argwhere(share > 0.95)[::11, ::-1]
    array = sitk.GetArrayViewFromImage(head)
    world = place(grid.axis()[0] + grid.spacing * sure)
    matrix = np.reshape(head.GetDirection(), (3, 3)) * np.array(head.GetSpacing())
    index = np.rint((world - np.array(head.GetOrigin())) @ np.linalg.inv(matrix).T).astype(int)
    inside = ((index >= 0) & (index < np.array(head.GetSize()))).all(axis=1)
    i, j, k = index[inside].T
    values = array[k, j, i]
    return float(np.median(values[values > 0])) if (values > 0).any() else 0.0


def _faces(head: sitk.Image) -> Iterator[tuple[np.ndarray, float]]:
    """Voxels (n, 3), x y z, spread over each face of the field of view, and the mm² that each stands for."""
    size, spacing = np.array(head.GetSize()), np.array(head.GetSpacing())
    steps = np.maximum(1, np.rint(_STEP_MM / spacing).astype(int))
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        grids = np.meshgrid(*(np.arange(0, size[a], steps[a]) for a in others), indexing="ij")
        area = float(np.prod([steps[a] * spacing[a] for a in others]))
        for end in (0, size[axis] - 1):
            index = np.empty((grids[0].size, 3), int)
            index[:, others[0]], index[:, others[1]] = grids[0].ravel(), grids[1].ravel()
            index[:, axis] = end
            yield index, area
