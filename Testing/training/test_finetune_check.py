"""Finding a site's cases, reading their labels by name, and the check that names what is wrong."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from sitefixture import SHAPE, body, load, make_base, wider, write_case, write_site

from HippoSegLib.errors import InputError, TrainingError
from HippoSegLib.finetuning import head_cases
from HippoSegLib.finetuning.agreement import belonging
from HippoSegLib.finetuning.case_sheet import sheets
from HippoSegLib.finetuning.case_table import table_csv, table_text
from HippoSegLib.finetuning.check import check, refuse
from HippoSegLib.finetuning.crop_cases import from_crop
from HippoSegLib.finetuning.prepare import prepare
from HippoSegLib.finetuning.run_options import RunOptions
from HippoSegLib.finetuning.site import Site
from HippoSegLib.finetuning.site_labels import SiteLabels, guess
from HippoSegLib.finetuning.sources import SiteSource, find_sources, side_of, subject_of
from HippoSegLib.training.cases import WHOLE_ONLY


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return load(make_base(tmp_path_factory.mktemp("base") / "tiny"))


def look(folder, base, **options):
    cases = prepare(Site(folder, **{"label_map": "msd", "region": True, "side": "left", **options}), base)
    return check(cases, base)


def codes(case):
    return {finding.code for finding in case.findings if finding.severity != "note"}


# --- where the cases are


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def test_two_folders_patterns_and_bids_are_found(tmp_path):
    for name in ("a_left", "b_right"):
        touch(tmp_path / "one/images" / f"{name}.nii.gz")
        touch(tmp_path / "one/labels" / f"{name}.nii.gz")
    found = find_sources(tmp_path / "one")
    assert [(s.name, s.subject, s.side) for s in found] == [
        ("a_left", "a", "left"),
        ("b_right", "b", "right"),
    ]

    for name in ("p1", "p2"):
        touch(tmp_path / "two" / f"{name}_T1w.nii.gz")
        touch(tmp_path / "two" / f"{name}_seg.nii.gz")
    found = find_sources(tmp_path / "two", "*_T1w.nii.gz", "*_seg.nii.gz")
    assert [(s.image.name, s.label.name) for s in found] == [
        ("p1_T1w.nii.gz", "p1_seg.nii.gz"),
        ("p2_T1w.nii.gz", "p2_seg.nii.gz"),
    ]

    for number in ("01", "02"):
        touch(tmp_path / f"bids/sub-{number}/ses-a/anat/sub-{number}_ses-a_T1w.nii.gz")
        touch(
            tmp_path / f"bids/derivatives/manual/sub-{number}/anat/sub-{number}_ses-a_desc-hippo_dseg.nii.gz"
        )
    found = find_sources(tmp_path / "bids")
    assert [(s.subject, s.label.name) for s in found] == [
        ("sub-01", "sub-01_ses-a_desc-hippo_dseg.nii.gz"),
        ("sub-02", "sub-02_ses-a_desc-hippo_dseg.nii.gz"),
    ]
    touch(tmp_path / "bids/derivatives/other/sub-02/anat/sub-02_ses-a_dseg.nii.gz")
    with pytest.raises(InputError, match="2 labels"):
        find_sources(tmp_path / "bids")
    (tmp_path / "one/labels/a_left.nii.gz").unlink()
    with pytest.raises(InputError, match="a_left"):
        find_sources(tmp_path / "one")
    with pytest.raises(InputError, match="No labelled scans"):
        find_sources(tmp_path)


def test_table_says_subject_and_side(tmp_path):
    for name in ("x1", "x2"):
        touch(tmp_path / "images" / f"{name}.nii")
        touch(tmp_path / "labels" / f"{name}.nii")
    table = tmp_path / "cases.csv"
    table.write_text("case,subject,side\nx1,p,left\nx2,p,right\n")
    assert [(s.subject, s.side) for s in find_sources(tmp_path, table=table)] == [
        ("p", "left"),
        ("p", "right"),
    ]
    table.write_text("case,subject,side\nx1,p,left\n")
    with pytest.raises(InputError, match="x2"):
        find_sources(tmp_path, table=table)
    table.write_text("case,subject,side\nx1,p,top\nx2,p,left\n")
    with pytest.raises(InputError, match="top"):
        find_sources(tmp_path, table=table)


def test_names_tell_subject_and_side():
    assert subject_of("hippocampus_015") == subject_of("hippocampus_016") != subject_of("hippocampus_017")
    assert subject_of("sub-07_ses-2_T1w") == "sub-07" == subject_of("sub-07_hemi-L")
    assert [side_of(n) for n in ("a_left", "a-rh", "sub-1_hemi-R_x", "plain")] == [
        "left",
        "right",
        "right",
        None,
    ]


# --- what the label values mean


def test_values_are_mapped_by_name():
    array = np.array([[[0, 17, 53, 171, 172, 48, 47, 1, 2]]])
    read = {
        text: SiteLabels.read(text)
        for text in ("freesurfer", "neuromorphometrics", "hipposeg", "msd", "whole=1")
    }
    expect = {
        ("freesurfer", "left"): [0, 3, 0, 0, 0, 0, 0, 0, 0],
        ("freesurfer", "right"): [0, 0, 3, 0, 0, 0, 0, 0, 0],
        ("neuromorphometrics", "left"): [0, 0, 0, 0, 0, 3, 0, 0, 0],
        ("neuromorphometrics", "right"): [0, 0, 0, 0, 0, 0, 3, 0, 0],
        ("hipposeg", "left"): [0, 3, 0, 1, 2, 0, 0, 0, 0],
        ("msd", "right"): [0, 0, 0, 0, 0, 0, 0, 1, 2],
        ("whole=1", "left"): [0, 0, 0, 0, 0, 0, 0, 3, 0],
    }
    for (text, side), values in expect.items():
        assert read[text].classes(array, side).ravel().tolist() == values, (text, side)
    swapped = SiteLabels.read("anterior=2, posterior=1")
    assert swapped.classes(array, "left").ravel().tolist() == [0, 0, 0, 0, 0, 0, 0, 2, 1]
    for bad in ("left=1,whole=2", "left=1,right=1", "nonsense", "left=0", "amygdala=18"):
        with pytest.raises(InputError):
            SiteLabels.read(bad)


def test_values_are_guessed_only_where_clear():
    assert guess(np.array([0, 17, 53, 47]), False) == "freesurfer"
    assert guess(np.array([0, 47, 48]), False) == "neuromorphometrics"
    assert guess(np.array([0, 1, 2]), True) == "msd" and guess(np.array([0, 1]), True) == "whole=1"
    assert guess(np.array([0, 1, 2]), False) is None


# --- the check


def test_a_good_site_passes_and_is_drawn(tmp_path, base):
    checked = look(write_site(tmp_path, 7), base)
    cases = checked.cases
    assert not checked.warnings and all(case.usable and not codes(case) for case in cases)
    image, label = body(200)
    assert cases[0].volume_mm3 == np.count_nonzero(wider(label)) and cases[0].base_dice > 0.6
    # The voxels as they are, without interpolation, shifted to 0.
    assert np.allclose(cases[0].case.image, image - image.min(), atol=1e-3)
    assert np.array_equal(cases[0].case.label, wider(label))
    (sheet,) = sheets(cases)
    pixels = np.asarray(sheet).reshape(-1, 3).astype(int)
    assert (np.abs(pixels - (230, 159, 0)).sum(axis=1) < 60).sum() > 200  # contours
    assert len(table_csv(cases).splitlines()) == 8 and "ok" in table_text(cases)
    assert refuse(checked, False, False) == list(cases)


def test_each_kind_of_bad_case_is_named(tmp_path, base):
    site = write_site(tmp_path, 8)
    image, label = body(300)
    write_case(site, "sub-20_left", image, np.zeros(SHAPE, np.uint8))  # empty
    write_case(site, "sub-21_left", np.full(SHAPE, 7, np.float32), label)  # constant
    write_case(site, "sub-22_left", body(301)[0], np.ones(SHAPE, np.uint8))  # of all and everything
    first, first_label = body(200)
    write_case(site, "sub-23_left", 3.7 * first + 11, wider(first_label))  # the same scan in other numbers
    write_case(site, "sub-24_left", body(302)[0], wider(body(201)[1]))  # another case's label
    write_case(
        site, "sub-25_left", body(303)[0], np.where(body(303)[1], 9, 0).astype(np.uint8)
    )  # other values
    write_case(site, "sub-26_left", body(304)[0], np.roll(wider(body(304)[1]), 13, axis=0))  # elsewhere
    write_case(site, "sub-27_left", body(305)[0][:-4], body(305)[1])  # other shape, other place
    write_case(site, "base_000_left", body(306)[0], wider(body(306)[1]))
    (site / "images" / "sub-28_left.nii.gz").write_bytes(b"no image")
    (site / "labels" / "sub-28_left.nii.gz").write_bytes(b"no image")
    training = replace(base.card.segmenter.training, train_cases=("base_000_left",))
    part = replace(base.card.segmenter, training=training)
    checked = look(site, replace(base, card=replace(base.card, segmenter=part)))
    by_name = {case.name.split("_left")[0]: case for case in checked.cases}
    expected = {
        "sub-22": "volume",
        "sub-23": "duplicate",
        "sub-24": "label_twice",
        "sub-26": "disagreement",
        "base_000": "base_case",
    }
    for name, code in expected.items():
        assert code in codes(by_name[name]), (name, by_name[name].findings)
    for name in ("sub-20", "sub-21", "sub-22", "sub-23", "sub-24", "sub-25", "sub-28"):
        assert not by_name[name].usable, name
    assert "9" in by_name["sub-25"].findings[0].text
    assert all(case.usable for name, case in by_name.items() if name.startswith("sub-0"))
    with pytest.raises(TrainingError, match="cannot be used"):
        refuse(checked, False, True)
    assert {case.name for case in refuse(checked, True, True)}.isdisjoint({"sub-20_left", "sub-28_left"})


def test_a_subject_in_two_roles_and_a_twin_across_roles(tmp_path, base):
    write_site(tmp_path / "train", 6)
    write_case(tmp_path / "val", "sub-00_ses-9_left", *body(400))  # subject of the training folder
    write_case(tmp_path / "val", "sub-77_left", *body(202))  # scan of sub-02
    site = Site(tmp_path / "train", tmp_path / "val", label_map="msd", region=True)
    cases = check(prepare(site, base), base).cases
    assert "two_roles" in codes(cases[-2]) and {"duplicate", "two_roles"} <= codes(cases[-1])


def test_shuffled_labels_are_noticed(tmp_path, base):
    labels = [body(200 + i)[1] for i in range(10)]
    rng = np.random.default_rng(0)
    # Bodies of clearly different size, so that a label tells its scan.
    for i in range(10):
        image, label = body(200 + i)
        grown = np.roll(label, i - 5, axis=1) if i % 2 else wider(wider(label))
        image = (40 + 60 * (grown > 0) + rng.normal(0, 6, SHAPE)).clip(1).astype(np.float32)
        labels[i] = grown
        write_case(tmp_path / "images_", f"s{i}", image, grown)
    good = tmp_path / "images_"
    assert look(good, base).warnings == ()
    for i in range(10):
        write_case(
            tmp_path / "bad",
            f"s{i}",
            sitk.GetArrayFromImage(sitk.ReadImage(str(good / "images" / f"s{i}.nii.gz"))),
            labels[(i + 3) % 10],
        )
    bad = look(tmp_path / "bad", base)
    assert any("other scans" in sentence for sentence in bad.warnings)


def test_belonging_is_chance_for_random_labels():
    masks = [body(i)[1] > 0 for i in range(8)]
    difference, chance = belonging(masks, masks)
    assert difference > 0.02 and chance < 0.01
    _, chance = belonging(masks, [masks[(i + 1) % 8] for i in range(8)])
    assert chance > 0.05


def test_too_few_subjects_are_refused(tmp_path, base):
    checked = look(write_site(tmp_path, 8, subjects=4), base)
    with pytest.raises(TrainingError, match="4 subjects are too few"):
        refuse(checked, False, False)


def test_right_crops_are_mirrored_and_coarse_ones_resampled(tmp_path, base):
    image, label = body(200)
    write_case(tmp_path, "a_right", image[:, :, ::-1].copy(), label[:, :, ::-1].copy())
    coarse = sitk.GetImageFromArray(image[::2])
    coarse.SetSpacing((1, 1, 2))
    coarse.SetOrigin((0, 0, 0.5))
    coarse.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    write_case(tmp_path, "b_left", image, label)
    sitk.WriteImage(coarse, str(tmp_path / "images/b_left.nii.gz"))
    right, thick = prepare(Site(tmp_path, label_map="msd", region=True), base)
    assert np.allclose(right.case.image, image - image.min(), atol=1e-3)
    assert np.array_equal(right.case.label, label)
    assert thick.case.image.shape[0] in (31, 32) and thick.spacing == (1, 1, 2)
    both = min(len(thick.case.label), 32)
    truth = label[:both] > 0
    found = thick.case.label[:both] > 0
    assert 2 * (truth & found).sum() / (truth.sum() + found.sum()) > 0.9
    with pytest.raises(InputError, match="side"):
        from_crop(SiteSource("c", "c", image, label), None, None)


# --- whole heads, with a pipeline that is only acted


def head_pair(exchange: bool = False, values=(17, 53)):
    """A head with two bodies, world axes as stored (RAS); the patient's left at small x."""
    image = np.full((70, 80, 120), 20, np.float32)
    label = np.zeros(image.shape, np.uint8)
    for side, x0 in enumerate((15, 73)):
        values_in, classes = body(500 + side)
        image[20:52, 24:56, x0 : x0 + 32] = values_in / values_in.max() * 100
        label[20:52, 24:56, x0 : x0 + 32] = np.where(classes > 0, values[1 - side if exchange else side], 0)
    pair = []
    for array in (image + np.random.default_rng(0).normal(0, 1, image.shape).astype(np.float32), label):
        one = sitk.GetImageFromArray(array)
        one.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
        pair.append(one)
    return pair


def acted_segment(scan, model, device, threads=None):
    """Finds the bodies where `head_pair` puts them."""
    from HippoSegLib.geometry.roi import roi_about

    image = scan.image
    axes = np.array(image.GetDirection()).reshape(3, 3)
    rois = {}
    for side, x in (("left", 30.5), ("right", 88.5)):
        centre = image.TransformContinuousIndexToPhysicalPoint((x, 39.5, 35.5))
        rois[side] = roi_about(centre, axes, side, SHAPE).image(np.zeros(SHAPE, np.float32))
    return SimpleNamespace(roi_images=rois)


@pytest.mark.parametrize("text, values", [("freesurfer", (17, 53)), ("whole=1", (1, 1)), (None, (17, 53))])
def test_heads_are_cut_into_both_sides(base, monkeypatch, text, values):
    monkeypatch.setattr(head_cases, "segment", acted_segment)
    image, label = head_pair(values=values)
    left, right = prepare(Site([SiteSource("h", "h", image, label)], label_map=text), base)
    assert (left.name, right.name) == ("h_left", "h_right") and not codes(left) | codes(right)
    for case, seed, mirrored in ((left, 500, False), (right, 501, True)):
        truth = body(seed)[1] > 0
        truth = truth[:, :, ::-1] if mirrored else truth
        z, y, x = ((n - m) // 2 for n, m in zip(case.case.label.shape, SHAPE, strict=True))
        found = case.case.label[z : z + 32, y : y + 32, x : x + 32]
        assert set(np.unique(found)) == {0, WHOLE_ONLY}
        assert 2 * (truth & (found > 0)).sum() / (truth.sum() + (found > 0).sum()) > 0.85
        assert case.volume_mm3 == truth.sum()


def test_exchanged_sides_and_shifted_labels_of_heads_are_named(base, monkeypatch):
    monkeypatch.setattr(head_cases, "segment", acted_segment)
    image, label = head_pair(exchange=True)
    cases = prepare(Site([SiteSource("h", "h", image, label)], label_map="freesurfer"), base)
    assert [codes(case) for case in cases] == [{"sides"}, {"sides"}] and not any(c.usable for c in cases)
    image, label = head_pair()
    label.SetOrigin((0, 0, 400))
    (lost,) = prepare(Site([SiteSource("h", "h", image, label)], label_map="freesurfer"), base)
    assert not lost.usable and "world space" in lost.findings[0].text
    (unnamed,) = prepare(Site([SiteSource("h", "h", *head_pair(values=(3, 4)))]), base)
    assert not unnamed.usable and "3, 4" in unnamed.findings[0].text


@pytest.mark.slow
def test_a_real_head_is_cut_about_both_hippocampi(data_dir):
    """A head that trained nothing, with hippodeep's outlines as its labels, through the bundled model."""
    from HippoSegLib.models.store import bundled_models, load_model

    if "hipposeg" not in bundled_models():
        pytest.skip("the bundled model is not there")
    heads = data_dir / "heads_unlabelled"
    image = sitk.ReadImage(str(heads / "ds000011" / "sub-08_T1w.nii.gz"))
    label = sitk.Image(image.GetSize(), sitk.sitkUInt8)
    label.CopyInformation(image)
    for side, value in (("left", 17), ("right", 53)):
        weak = sitk.ReadImage(str(heads / "weak_labels" / f"ds11_sub-08_T1w_{side}.nii.gz"), sitk.sitkFloat32)
        top = float(sitk.GetArrayViewFromImage(weak).max())
        mask = sitk.Resample(weak, label, sitk.Transform(), sitk.sitkNearestNeighbor) > top / 2
        label = label + sitk.Cast(mask, sitk.sitkUInt8) * value
    model = load_model("hipposeg")
    cases = prepare(Site([SiteSource("h", "h", image, label)]), model, RunOptions(threads=1, device="cpu"))
    assert [(case.name, codes(case)) for case in cases] == [("h_left", set()), ("h_right", set())]
    for case in check(cases, model).cases:
        assert case.base_dice > 0.6 and case.case.image.shape == (80, 88, 72)
        # What is cut keeps the label's volume, on voxels of 1 mm³.
        assert np.count_nonzero(case.case.label) == pytest.approx(case.volume_mm3, rel=0.05)
        middle = np.argwhere(case.case.label > 0).mean(axis=0) - (np.array(case.case.label.shape) - 1) / 2
        assert np.linalg.norm(middle) < 8
