"""What CONTRIBUTING.md says can be added without a change inside: done here from outside, one thing each."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from HippoSegLib import read_scan, segment
from HippoSegLib.io import files, names
from HippoSegLib.preprocessing import steps
from HippoSegLib.preprocessing.chain import Preprocessing, channels

#: What is run here is measured by the core's own tests.
pytestmark = pytest.mark.no_cover


@pytest.fixture
def gaussian():
    def denoise(array: np.ndarray, sigma: float) -> np.ndarray:
        return ndimage.gaussian_filter(array, sigma)

    steps.register("gaussian_3d", steps.StepKind(denoise, {"sigma": 0.7}, "Gaussian denoising"))
    yield
    del steps.STEPS["gaussian_3d"]


def test_a_preprocessing_step(gaussian, sample_path):
    """A function and an entry in a table: descriptions, cards and the pipeline know it by its name."""
    chain = Preprocessing(((steps.step("min_max"), steps.step("gaussian_3d", sigma=0.5)),))
    assert Preprocessing.from_dict(chain.to_dict()) == chain
    noise = np.random.default_rng(0).normal(5, 1, (20, 24, 16)).astype(np.float32)
    plain = channels(noise, Preprocessing.named("plain"))
    np.testing.assert_allclose(channels(noise, chain)[0], ndimage.gaussian_filter(plain[0], 0.5))
    result = segment(read_scan(sample_path), preprocessing=chain, second_reader=False, threads=1)
    assert set(result.measurements.whole) == {"left", "right"}
    flag = next(flag for flag in result.flags if flag.code == "preprocessing")
    assert "Gaussian denoising" in flag.message


def test_a_step_of_a_name_that_is_taken_is_refused():
    with pytest.raises(ValueError, match="min_max"):
        steps.register("min_max", steps.STEPS["min_max"])


@pytest.fixture
def npz_reader():
    def read(path, region):
        with np.load(path) as stored:
            image = sitk.GetImageFromArray(stored["array"])
            image.SetSpacing(stored["spacing"].tolist())
            image.SetOrigin(stored["origin"].tolist())
            image.SetDirection(stored["direction"].tolist())
        return image, []

    files.register_reader(".head.npz", read)
    yield
    del files._READERS[".head.npz"]
    names._REGISTERED.remove(".head.npz")


def test_a_reader_of_another_format(npz_reader, sample_path, tmp_path):
    scan = read_scan(sample_path).image
    path = tmp_path / "somebody.head.npz"
    geometry = {"spacing": scan.GetSpacing(), "origin": scan.GetOrigin(), "direction": scan.GetDirection()}
    np.savez(path, array=sitk.GetArrayViewFromImage(scan), **geometry)
    again = read_scan(path).image
    assert again.GetOrigin() == scan.GetOrigin() and again.GetDirection() == scan.GetDirection()
    assert np.array_equal(sitk.GetArrayViewFromImage(again), sitk.GetArrayViewFromImage(scan))
    assert names.image_stem(path) == "somebody"


def test_a_model(sample_path, tmp_path):
    """Weights and a card make a model: any command takes its folder."""
    from dataclasses import replace

    from HippoSegLib.models.saving import save_model
    from HippoSegLib.models.store import load_model
    from HippoSegLib.models.weights import write_weights

    base = load_model("hipposeg")
    paths = {}
    for role, weights in base.weights.items():
        paths[role] = tmp_path / f"{role}.npz"
        write_weights(paths[role], weights)
    card = replace(base.card, name="mine", title="My own", files={}, second_reader=None)
    folder = save_model(tmp_path / "mine", card, paths)
    result = segment(read_scan(sample_path), model=str(folder), threads=1)
    assert result.provenance["model"]["name"] == "mine"
    own = segment(read_scan(sample_path), model="hipposeg", second_reader=False, threads=1)
    assert np.array_equal(sitk.GetArrayViewFromImage(result.labels), sitk.GetArrayViewFromImage(own.labels))


def test_label_values_of_another_protocol():
    """A site's own values are named where labels are read; nothing in the code has to know them."""
    from HippoSegLib.evaluation.labelmap import label_map

    meaning = label_map("left=9+10,right=19")
    array = np.array([[[0, 9, 10, 19]]])
    assert meaning.mask(array, "left").sum() == 2 and meaning.mask(array, "right").sum() == 1
