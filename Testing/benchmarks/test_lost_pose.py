"""The benchmark of lost poses: what it cuts away, and what it counts."""

import lost_pose
import numpy as np
import SimpleITK as sitk
from lost_pose import Side, cerebrum_alone, table

from HippoSegLib.geometry.pose import Affine
from HippoSegLib.localization.coarse import CoarseGrid
from HippoSegLib.models.store import load_model

RAS = np.diag([-1.0, -1.0, 1.0])


def test_what_lies_below_in_the_mean_head_goes_wherever_the_scan_lies(monkeypatch):
    grid = CoarseGrid()
    below = np.full((grid.size,) * 3, -1.0)
    # Below and behind the middle of the mean head, which lies at (0, 5, 20) mm: z under 20, y under 5.
    below[: grid.size // 2, : grid.size // 2] = 1
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    to_world = Affine(0.9 * turn @ RAS, np.array([10.0, -20, 30]))
    monkeypatch.setattr(lost_pose, "found_affine", lambda head, model: (to_world, grid))
    head = sitk.GetImageFromArray(np.full((30, 36, 33), 100, np.float32))
    head.SetSpacing((4.0, 3.5, 4.5))
    head.SetDirection(RAS.ravel().tolist())
    head.SetOrigin((60.0, 50.0, -50.0))
    gone = sitk.GetArrayFromImage(cerebrum_alone(head, below, load_model())) == 0
    assert 0.1 < gone.mean() < 0.6
    inverse = np.linalg.inv(to_world.matrix)
    for index in np.argwhere(np.ones(gone.shape, bool))[::97]:
        world = np.array(head.TransformIndexToPhysicalPoint(index[::-1].tolist()))
        _, y, z = inverse @ (world - to_world.offset)
        if min(abs(y - 5), abs(z - 20)) > 4:
            assert gone[tuple(index)] == (y < 5 and z < 20)


def test_wrong_sides_are_counted_apart():
    row = [
        Side(0.95, 2.0, frozenset()),
        Side(0.9, 4.0, frozenset({"voxel_size"})),
        Side(0.1, 40.0, frozenset({"unsure"})),
        Side(0.3, 40.0, frozenset()),
        Side(0.0, float("nan"), frozenset(), True),
    ]
    (line,) = table({"0.6 of its size": row})[2:]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        "0.6 of its size", "5", "1", "22 / 40", "0.10 / 0.60", "1 of 2", "1 of 2", "voxel_size",
    ]  # fmt: skip
