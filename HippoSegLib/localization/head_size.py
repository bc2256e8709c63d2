"""How large a head is for the voxel size that its file states, as a whole and along each axis.

The coarse network predicts coordinates in a mean adult head, so that an affine fit to them says how this head
is stretched against it. It was trained on heads 0.83 to 1.21 times the mean and draws what lies near or
beyond these towards them; it is therefore asked once more, about the head brought to the mean size and
upright, and both stretches are multiplied. The intracranial volume is then measured near the mean size too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..errors import NotFoundError
from ..geometry.pose import WORLD_RAS, Affine, stretch
from ..models.engines import Network
from .coarse import CoarseGrid, Localization, interpret
from .upright import about_middle, upright

#: Intracranial volumes, mm³, and deviations per axis that need no second look.
USUAL_MM3, USUAL_AXIS = (1.25e6, 1.60e6), 1.0
#: Where the field of view cuts more of the intracranial space, or leaves out more of where the mean brain
#: would lie (the network may not see that what is there is cut), size and shape cannot be told.
SLIGHT_CUT_MM2, SLIGHT_LOSS = 4000.0, 0.01
#: An ellipsoid like the mean intracranial space, mm in the hippocampal frame: middle and half axes.
_BRAIN_MIDDLE, _BRAIN_HALF = np.array([0.0, 1.0, 16.0]), np.array([63.0, 78.0, 66.0])
#: Shape of heads whose voxel size is right, as `shape_of` gives it: mean and standard deviation (32 heads,
#: Testing/benchmarks/voxel_size.py); rather too wide, so that a head in odd position is not blamed.
SHAPE_MEAN = np.array([0.02, -0.012, 0.0, 0.02, 0.0])
SHAPE_SD = np.array([0.05, 0.033, 0.03, 0.03, 0.03])


@dataclass(frozen=True)
class HeadSize:
    """The size of a head, if its voxel size is as stated.

    Attributes:
        intracranial_mm3: Intracranial volume within the field of view.
        head_to_world: From mm in the mean head (right, anterior, superior) to LPS mm.
        cut: The intracranial space reaches the edge of the field of view: its volume tells no size, and the
            shape little.
    """

    intracranial_mm3: float
    head_to_world: Affine
    cut: bool = False

    def axis_deviations(self, direction: np.ndarray) -> np.ndarray:
        """How unusual the head's shape is, if one image axis were stretched: standard deviations.

        Args:
            direction: (3, 3) columns of the image's axes in LPS.

        Returns:
            (3,) per image axis: positive where the head is too long along it.
        """
        rotation, matrix = stretch(self.head_to_world.matrix)
        z = (shape_of(matrix) - SHAPE_MEAN) / SHAPE_SD
        found = []
        for axis in np.asarray(direction, float).T:
            along = rotation.T @ axis
            unit = _components(np.outer(along, along)) / SHAPE_SD
            found.append(z @ unit / np.linalg.norm(unit))
        return np.array(found)


def shape_of(matrix: np.ndarray) -> np.ndarray:
    """A symmetric positive (3, 3) stretch without its size: (5,) components of its logarithm.

    Width against length, height against both, and the three shears; 0 in a head of the mean shape.
    """
    values, vectors = np.linalg.eigh(matrix)
    return _components(vectors @ np.diag(np.log(values)) @ vectors.T)


def _components(matrix: np.ndarray) -> np.ndarray:
    """A symmetric (3, 3) matrix, its trace left aside, in an orthonormal basis: (5,)."""
    x, y, z = np.diag(matrix)
    shears = np.sqrt(2) * matrix[[0, 0, 1], [1, 2, 2]]
    return np.array([(x - y) / np.sqrt(2), (2 * z - x - y) / np.sqrt(6), *shears])


def head_size(head: sitk.Image, found: Localization, network: Network, grid: CoarseGrid) -> HeadSize | None:
    """Measure a head that was found.

    Args:
        head: As for `coarse.localize`.
        found: What that returned.
        network, grid: The localisation network and its grid.

    Returns:
        The size, or None where it cannot be told: the field of view leaves out some of the brain, or the head
        was not understood (its pose is from the user's points).
    """
    if found.head_to_world is None:
        return None
    first = HeadSize(found.intracranial_mm3, found.head_to_world)
    cut = found.cut_mm2 > SLIGHT_CUT_MM2 or share_out_of_view(head, first.head_to_world) > SLIGHT_LOSS
    deviations = first.axis_deviations(np.reshape(head.GetDirection(), (3, 3)))
    usual = USUAL_MM3[0] <= first.intracranial_mm3 <= USUAL_MM3[1] and np.abs(deviations).max() <= USUAL_AXIS
    if usual and not cut:
        return first
    to_middle = about_middle(first.head_to_world)
    seen = head if found.thinned is None else found.thinned
    try:
        again = interpret(network(upright(seen, to_middle, grid)[None]), np.zeros(3), grid)
    except NotFoundError:
        return None if cut else first
    assert again.head_to_world is not None
    # `again` lies in the LPS mm of the upright grid.
    whole = to_middle.after(Affine(WORLD_RAS, np.zeros(3))).after(again.head_to_world)
    # A head that is stated much too short may seem to reach the edges; brought to the mean size, it does not.
    if cut and share_out_of_view(head, whole) > SLIGHT_LOSS:
        return None
    return HeadSize(again.intracranial_mm3 * first.head_to_world.volume, whole, cut)


def share_out_of_view(head: sitk.Image, to_world: Affine) -> float:
    """Share of the mean intracranial space that `to_world` puts outside the image, 0..1."""
    steps = np.linspace(-1, 1, 21)
    unit = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    points = to_world(_BRAIN_MIDDLE + _BRAIN_HALF * unit[(unit**2).sum(axis=1) <= 1])
    matrix = np.reshape(head.GetDirection(), (3, 3)) * np.array(head.GetSpacing())
    index = np.linalg.solve(matrix, (points - np.array(head.GetOrigin())).T).T
    inside = (index >= -0.5) & (index <= np.array(head.GetSize()) - 0.5)
    return float(1 - inside.all(axis=1).mean())
