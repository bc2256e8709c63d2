"""Real scans pass the checks, real label maps do not."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib.errors import InputError
from HippoSegLib.io.images import canonical_axes, read_scan

HEADS = [
    "sample_heads/*.nii.gz",
    "heads_unlabelled/ds*/*.nii.gz",
    "heads_labelled_evaluation_only/*_SS.nii.gz",
    "templates/cit168_T1w_head_0.7mm.nii.gz",
]
LABELS = [
    "head_label_maps/training_seg_*.nii.gz",
    "heads_labelled_evaluation_only/*_glm.nii.gz",
    "heads_unlabelled/weak_labels/*_brain.nii.gz",
]


def files(folder, patterns):
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    assert len(found) > len(patterns)
    return found


@pytest.mark.no_cover
def test_every_head_passes_and_reads_as_nibabel_reads_it(data_dir):
    for path in files(data_dir, HEADS):
        scan = read_scan(path)
        assert scan.flags == (), path.name
        expected = nib.load(path)
        turned, _ = canonical_axes(scan.image)
        direction = np.reshape(turned.GetDirection(), (3, 3)) * turned.GetSpacing()
        canonical = nib.as_closest_canonical(expected)
        assert np.allclose(np.diag([-1, -1, 1]) @ direction, canonical.affine[:3, :3], atol=1e-4), path.name
        array = sitk.GetArrayViewFromImage(turned)[::7, ::5, ::3]
        values = canonical.get_fdata(dtype=np.float32).T[::7, ::5, ::3]
        assert np.allclose(array, values, rtol=1e-5), path.name


@pytest.mark.no_cover
def test_every_crop_passes(data_dir):
    for path in files(data_dir, ["msd_hippocampus/images/*.nii.gz", "msd_hippocampus/images/*1.nii.gz"]):
        scan = read_scan(path, region=True)
        assert scan.flags == (), path.name


@pytest.mark.no_cover
def test_every_label_map_is_refused(data_dir):
    for path in files(data_dir, LABELS):
        with pytest.raises(InputError, match="label image"):
            read_scan(path)
    for path in files(data_dir, ["msd_hippocampus/labels/*.nii.gz", "msd_hippocampus/labels/*1.nii.gz"]):
        with pytest.raises(InputError, match="label image"):
            read_scan(path, region=True)
