"""The sample scan that ships: small, sound, faceless, of the size of a head."""

from __future__ import annotations

import hashlib
import sys

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from HippoSegLib.io.images import canonical_axes, read_scan


def test_size_and_check_sum(sample_path):
    content = sample_path.read_bytes()
    assert len(content) < 3_000_000
    readme = (sample_path.parent / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(content).hexdigest() in readme
    assert "public domain" in (sample_path.parent / "LICENSE.txt").read_text(encoding="utf-8")


def test_header(sample_path):
    header = nib.load(sample_path).header
    assert header.get_data_dtype() == np.uint8
    assert int(header["qform_code"]) > 0 and int(header["sform_code"]) > 0
    assert np.allclose(header.get_qform(), header.get_sform(), atol=1e-4)
    assert np.allclose(header.get_zooms(), 1.0)
    for key in ("descrip", "db_name", "aux_file", "intent_name", "data_type"):
        assert bytes(header[key]).strip(b"\0 ") == b"", key


def test_it_passes_the_checks(sample_path):
    scan = read_scan(sample_path)
    assert scan.flags == ()
    array = sitk.GetArrayViewFromImage(scan.image)
    volume = (array > 0).sum() / 1e6  # litres: a brain in its skull, no neck
    assert 2.0 < volume < 4.5
    assert len(np.unique(array)) > 200


def has_face(image: sitk.Image, threshold: float) -> bool:
    """Whether the profile of a head, seen from the side, has anything in front of or below the brain.

    From the frontal lobe downwards the profile of a faceless head only recedes; that of a face juts
    out at the nose and the lips, and goes on to the chin.
    """
    turned, _ = canonical_axes(image)
    kept = sitk.GetArrayFromImage(turned) > threshold  # (z, y, x) to superior, anterior, right
    heights = np.flatnonzero(kept.any(axis=(1, 2)))
    front = np.array([np.flatnonzero(row).max(initial=0) for row in kept.any(axis=2)])
    upper = heights[heights > heights.max() - 90]  # the forehead and above it, 9 cm
    lower = heights[heights <= heights.max() - 90]
    juts_out = (np.diff(front[lower]) < -4).any()
    recedes = front[lower].max() < front[upper].max() and front[lower[lower < lower.max() - 30]].max() < (
        front[upper].max() - 40
    )
    return bool(juts_out or not recedes or len(lower) > 100)


def test_there_is_no_face(sample_path):
    assert not has_face(read_scan(sample_path).image, 0)


def test_the_original_has_a_face(data_dir):
    """The test above can fail."""
    assert has_face(read_scan(data_dir / "sample_heads" / "myconnectome_T1.nii.gz").image, 60)


def test_it_is_made_from_the_original(sample_path, data_dir):
    """The committed script gives the shipped voxels again."""
    sys.path.insert(0, str(sample_path.parents[2] / "Testing" / "tools"))
    from make_sample import make

    again = make(data_dir)
    shipped = sitk.ReadImage(str(sample_path))
    assert again.GetSize() == shipped.GetSize()
    assert np.allclose(again.GetOrigin(), shipped.GetOrigin(), atol=1e-3)
    difference = sitk.GetArrayFromImage(again).astype(int) - sitk.GetArrayFromImage(shipped)
    assert np.abs(difference).max() <= 1
