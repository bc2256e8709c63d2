"""From ROIs back to the scan's grid."""

import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib.geometry.native_grid import native_labels
from HippoSegLib.geometry.orientation import canonical_axes
from HippoSegLib.geometry.pose import WORLD_RAS
from HippoSegLib.geometry.roi import roi_about


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_labels_as_the_scan_was_stored_are_those_of_the_turned_head(head, axes, parts):
    scan = sitk.Flip(sitk.PermuteAxes(head, axes), [False, True, True], False)
    turned, stored = canonical_axes(scan)
    middle = np.array(turned.TransformContinuousIndexToPhysicalPoint([n / 2 for n in turned.GetSize()]))
    rng = np.random.default_rng(0)
    rois = {
        side: roi_about(middle + [x, 0, 0], WORLD_RAS, side, (24, 24, 24), 2.0)
        for side, x in (("left", 18), ("right", -18))
    }
    maps = {side: rng.uniform(0, 1, (2, 24, 24, 24)).astype(np.float32) for side in rois}
    labels = native_labels(turned, rois, maps, parts, stored)
    expected = stored(native_labels(turned, rois, maps, parts))
    assert len(np.unique(sitk.GetArrayViewFromImage(labels))) == (5 if parts else 3)
    assert np.array_equal(sitk.GetArrayViewFromImage(labels), sitk.GetArrayViewFromImage(expected))
    assert labels.GetDirection() == scan.GetDirection() and labels.GetOrigin() == scan.GetOrigin()
    assert labels.GetSpacing() == scan.GetSpacing() and labels.GetPixelID() == sitk.sitkUInt16
