"""Other contrasts than T1 are named by the order of their tissues; a T1 of any kind is not."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from HippoSegLib import segment
from HippoSegLib.io.images import read_image
from HippoSegLib.localization.coarse import CoarseGrid
from HippoSegLib.results.contrast import contrast_flags, contrast_of, tissue_map

#: Brightness of white matter, grey matter, fluid and bone.
T1_KINDS = {"T1": (160, 115, 35, 20), "little contrast": (130, 110, 50, 30), "no bone": (160, 115, 35, 0)}
#: Grey values of the sample scan: nothing, fluid, grey and white matter, fat.
LEVELS = (23, 77, 122, 142, 199)
OTHERS = {
    "T2": (80, 120, 230, 12),
    "FLAIR": (95, 135, 25, 12),
    "FLAIR, white matter a little brighter": (128, 124, 20, 12),
    "PD": (122, 150, 140, 15),
    "EPI": (100, 130, 210, 5),
    "tomogram, brain window": (92, 118, 20, 255),
    "tomogram, wide window": (132, 134, 128, 245),
    "unborn, T2": (150, 95, 235, 20),
}


def drawn(levels, seed: int = 0, moved=(0.4, -0.3, 0.3), bias: float = 0.15, noise: float = 0.05):
    """A head on the map's grid, of the map's shares, moved by some mm, shaded and noisy."""
    shares = tissue_map().shares
    rng = np.random.default_rng(seed)
    image = sum(
        level * ndimage.shift(share, moved, order=1) for level, share in zip(levels, shares, strict=True)
    )
    nodes = ndimage.zoom(rng.normal(0, bias, (4, 4, 4)), image.shape[0] / 4, order=2)
    image = image * np.exp(nodes) + rng.normal(0, noise * levels[0], image.shape)
    return np.clip(image, 0, None).astype(np.float32)


def test_the_map_is_that_of_a_head():
    where = tissue_map()
    white, grey, fluid, bone = where.shares
    assert where.grid == CoarseGrid() and where.shares.shape == (4, 40, 40, 40)
    assert where.shares.sum(axis=0).max() < 1.02 and where.shares.min() >= 0
    litres = where.shares.sum(axis=(1, 2, 3)) * where.grid.spacing**3 / 1e6
    assert 0.35 < litres[0] < 0.65 and 0.45 < litres[1] < 0.9 and 0.15 < litres[2] < 0.5
    # Both sides alike, fluid in the ventricles, bone around.
    assert np.abs(white - white[:, :, ::-1]).mean() < 0.02
    assert fluid[18:24, 15:25, 18:22].max() > 0.5 and bone[18:24, 18:22, 12:28].max() < 0.1


@pytest.mark.parametrize("kind", T1_KINDS)
@pytest.mark.parametrize("change", [{}, {"noise": 0.3}, {"bias": 0.5}, {"moved": (0.8, 0.8, 0)}])
def test_a_t1_is_not_named(kind, change):
    assert contrast_of(drawn(T1_KINDS[kind], **change), tissue_map().shares).like_t1


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("change", [{}, {"noise": 0.3}, {"bias": 0.5}])
def test_what_is_no_t1_is_named(kind, change):
    found = contrast_of(drawn(OTHERS[kind], **change), tissue_map().shares)
    (flag,) = contrast_flags(found)
    assert flag.code == "contrast" and flag.severity == "warning" and flag.side is None


def test_the_measure_has_no_unit():
    image, shares = drawn(T1_KINDS["T1"]), tissue_map().shares
    once, more = contrast_of(image, shares), contrast_of(37 * image, shares)
    assert once.white == pytest.approx(more.white, rel=1e-4) and once.bone == pytest.approx(
        more.bone, rel=1e-4
    )


def test_a_head_that_is_hardly_in_view_is_not_judged():
    image = drawn(OTHERS["T2"])
    image[:, :, 10:] = 0
    assert contrast_of(image, tissue_map().shares) is None and contrast_flags(None) == []
    flat = (image > 0).astype(np.float32)
    flat[:] = 1
    assert contrast_of(flat, tissue_map().shares) is None


@pytest.mark.parametrize(
    ("kind", "values"),
    [("T1", (0.2, 0.6, 0.9, 1.0)), ("FLAIR", (0.12, 0.85, 0.6, 0.7)), ("PD", (0.9, 0.95, 0.75, 0.8))],
)
def test_the_pipeline_names_them(sample_path, kind, values):
    image = sitk.Cast(read_image(sample_path), sitk.sitkFloat32)
    array = sitk.GetArrayFromImage(image)
    changed = sitk.GetImageFromArray(np.interp(array, LEVELS, (0.0, *values)).astype(np.float32))
    changed.CopyInformation(image)
    flags = segment(changed, device="cpu", threads=1, second_reader=False).flags
    named = [flag for flag in flags if flag.code == "contrast"]
    assert len(named) == (kind != "T1")
