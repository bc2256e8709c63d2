"""Surroundings: the place and the axes of what is cut out of a head."""

import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib.errors import InputError
from HippoSegLib.training.background_context import CONTEXT_SHAPE, cut_region, load_contexts


def world_image(component: int, orientation: str) -> sitk.Image:
    """A head-sized grid whose values are one LPS coordinate in mm."""
    image = sitk.Image([70, 90, 80], sitk.sitkFloat32)
    image.SetSpacing((2.0, 1.5, 2.0))
    image.SetOrigin((-60.0, -80.0, -30.0))
    index = np.indices((80, 90, 70))[::-1]
    values = index[component] * image.GetSpacing()[component] + image.GetOrigin()[component]
    result = sitk.GetImageFromArray(values.astype(np.float32))
    result.CopyInformation(image)
    return sitk.DICOMOrient(result, orientation)


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "PIR", "SLA"])
def test_cut_region_runs_right_anterior_superior(orientation):
    center, shape = (3.0, -10.0, 20.0), (5, 9, 7)
    offsets = np.indices(shape) - (np.array(shape).reshape(3, 1, 1, 1) - 1) / 2
    expected = (center[0] - offsets[2], center[1] - offsets[1], center[2] + offsets[0])
    for component in range(3):
        region = cut_region(world_image(component, orientation), center, shape)
        np.testing.assert_allclose(region, expected[component], atol=1e-3)


def test_cut_region_is_0_outside():
    region = cut_region(world_image(2, "LPS") + 1000, (-60.0, 0.0, 20.0), (5, 5, 41))
    assert (region[:, :, :20] > 0).all() and (region[:, :, 23:] == 0).all()


def test_missing_heads_are_named(tmp_path):
    with pytest.raises(InputError, match="none of the heads"):
        load_contexts(tmp_path)


def test_real_hosts(data_dir):
    contexts = load_contexts(data_dir / "heads_unlabelled")
    assert [h.name for h in contexts[:2]] == ["ds11_sub-01_left", "ds11_sub-01_right"] and len(contexts) == 24
    assert all(h.image.shape == CONTEXT_SHAPE and h.image.max() > 0 for h in contexts)
    # Mirrored, a right side resembles the left side of its own head more than it does unmirrored.
    for left, right in zip(contexts[::2], contexts[1::2], strict=True):
        mid = np.s_[20:60, 20:68, 16:56]
        same = np.corrcoef(left.image[mid].ravel(), right.image[mid].ravel())[0, 1]
        turned = np.corrcoef(left.image[mid].ravel(), right.image[:, :, ::-1][mid].ravel())[0, 1]
        assert same > turned
